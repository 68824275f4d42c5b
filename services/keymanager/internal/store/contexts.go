package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/contract/webhook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// CreateContext implements tenant.Store.
func (s *Store) CreateContext(ctx context.Context, c tenant.Context, principals []principal.Principal) (tenant.Context, error) {
	err := s.change(ctx, func(tx *gorm.DB, at time.Time) error {
		c.CreatedAt = at
		if err := insertContext(tx, at, c, principals); err != nil {
			return err
		}
		return record(tx, at, audit.Entry{Action: audit.ContextCreated, ContextID: c.ID, Target: c.ID})
	})
	if errors.Is(err, database.ErrDuplicate) {
		return tenant.Context{}, tenant.Taken(c.ID)
	}
	return c, err
}

func insertContext(tx *gorm.DB, at time.Time, c tenant.Context, principals []principal.Principal) error {
	row := rowOfContext(c)
	if err := tx.Create(&row).Error; err != nil {
		return fmt.Errorf("inserting a context: %w", err)
	}
	for _, p := range principals {
		if err := insertPrincipal(tx, at, p); err != nil {
			return err
		}
	}
	return nil
}

// Context implements tenant.Store.
func (s *Store) Context(ctx context.Context, id string) (tenant.Context, error) {
	c, err := findContext(s.db.Reader(ctx), id)
	return c, public(database.Translate(err))
}

// lock is what a transaction keeps others from doing to a row until it ends. SQLite has no such locks and needs none.
type lock string

const (
	lockShared lock = "SHARE"  // nobody changes or deletes the row
	lockAlone  lock = "UPDATE" // nobody else locks it either
)

// findContext returns a context, or tenant.NotFound.
func findContext(tx *gorm.DB, id string, locks ...lock) (tenant.Context, error) {
	for _, l := range locks {
		tx = tx.Clauses(clause.Locking{Strength: string(l)})
	}
	var row contextRow
	err := tx.Where("id = ?", id).Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return tenant.Context{}, tenant.NotFound(id)
	}
	return row.context(), err
}

// Contexts implements tenant.Store.
func (s *Store) Contexts(ctx context.Context, after string, limit int) ([]tenant.Context, error) {
	var rows []contextRow
	err := s.db.Reader(ctx).Where("id > ?", after).Order("id").Limit(limit).Find(&rows).Error
	if err != nil {
		return nil, public(database.Translate(err))
	}
	out := make([]tenant.Context, len(rows))
	for i, row := range rows {
		out[i] = row.context()
	}
	return out, nil
}

// ChangeContext implements tenant.Store.
func (s *Store) ChangeContext(
	ctx context.Context, id string, change func(tenant.Context) (tenant.Context, error),
) (after tenant.Context, revised int64, err error) {
	err = s.revise(ctx, func(tx *gorm.DB, at time.Time) error {
		before, err := findContext(tx, id, lockAlone)
		if err != nil {
			return err
		}
		if after, err = change(before); err != nil {
			return err
		}
		err = tx.Model(&contextRow{}).Where("id = ?", id).Updates(map[string]any{
			"config": configText(after.Config), "enforcement_blocked": after.EnforcementBlocked,
		}).Error
		if err != nil {
			return fmt.Errorf("updating a context: %w", err)
		}
		if revised, err = numberPolicy(tx, at, before, after); err != nil {
			return err
		}
		return record(tx, at, audit.Entry{Action: audit.ContextPatched, ContextID: id, Target: id, Detail: map[string]any{
			"enforcement_blocked": after.EnforcementBlocked,
			// Without the settings of providers: a document never holds them.
			"config": json.RawMessage(configText(after.Config)),
		}})
	})
	return after, revised, err
}

// numberPolicy takes a revision when the policy of keys has changed; otherwise it returns the newest there is.
func numberPolicy(tx *gorm.DB, at time.Time, before, after tenant.Context) (int64, error) {
	was, err := before.Config.Config()
	if err != nil {
		return 0, err
	}
	is, err := after.Config.Config()
	if err != nil {
		return 0, err
	}
	if is.SamePolicy(was) && after.EnforcementBlocked == before.EnforcementBlocked {
		return newest(tx)
	}
	return number(tx, at, revision.Change{Kind: revision.PolicyPatched, Subject: after.ID, ContextID: after.ID})
}

// DeleteContext implements tenant.Store.
func (s *Store) DeleteContext(ctx context.Context, id string) (revised int64, err error) {
	err = s.revise(ctx, func(tx *gorm.DB, at time.Time) error {
		// The lock makes mints wait; they find the context gone.
		gone, err := findContext(tx, id, lockAlone)
		if err != nil {
			return err
		}
		err = tell(tx, at, webhook.KeyRevoked, webhook.Data{Reason: "its context was deleted"}, "k.context_id = ?", id)
		if err != nil {
			return err
		}
		keys := tx.Where("context_id = ?", id).Delete(&keyRow{})
		if keys.Error != nil {
			return fmt.Errorf("deleting the keys of a context: %w", keys.Error)
		}
		if err := tx.Where("context_id = ?", id).Delete(&principalRow{}).Error; err != nil {
			return fmt.Errorf("deleting the principals of a context: %w", err)
		}
		if err := tx.Where("id = ?", id).Delete(&contextRow{}).Error; err != nil {
			return fmt.Errorf("deleting a context: %w", err)
		}
		purge := purgeRow{Incarnation: gone.Incarnation, ContextID: id, DeletedAt: at}
		if err := tx.Create(&purge).Error; err != nil {
			return fmt.Errorf("asking for a purge: %w", err)
		}
		if revised, err = number(tx, at, revision.Change{Kind: revision.ContextGone, Subject: id, ContextID: id}); err != nil {
			return err
		}
		return record(tx, at, audit.Entry{
			Action: audit.ContextDeleted, ContextID: id, Target: id,
			Detail: map[string]any{"incarnation": gone.Incarnation, "keys": keys.RowsAffected},
		})
	})
	return revised, err
}
