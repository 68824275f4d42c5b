package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/webhook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
)

// CreatePrincipal implements principal.Store.
func (s *Store) CreatePrincipal(ctx context.Context, p principal.Principal) (stored principal.Principal, created bool, err error) {
	err = s.change(ctx, func(tx *gorm.DB, at time.Time) error {
		// The lock keeps others from taking the name or the external id.
		if _, err := findContext(tx, p.ContextID, lockAlone); err != nil {
			return err
		}
		stored, created, err = createOrGet(tx, at, p)
		return err
	})
	return stored, created, err
}

// createOrGet inserts p and records that, or returns the principal that has its external id. tx must be alone with the context.
func createOrGet(tx *gorm.DB, at time.Time, p principal.Principal) (stored principal.Principal, created bool, err error) {
	if p.ExternalID != "" {
		stored, err = findOutside(tx, p.ContextID, p.ExternalID)
		if err == nil || !errors.Is(err, gorm.ErrRecordNotFound) {
			return stored, false, err
		}
	} else if err := nameFree(tx, p.ContextID, p.DisplayName); err != nil {
		return principal.Principal{}, false, err
	}
	p.CreatedAt = at
	if err := insertPrincipal(tx, at, p); err != nil {
		return principal.Principal{}, false, err
	}
	return p, true, record(tx, at, audit.Entry{
		Action: audit.PrincipalCreated, ContextID: p.ContextID, Target: p.ID, Detail: principalDetail(p),
	})
}

func principalDetail(p principal.Principal) map[string]any {
	return map[string]any{"display_name": p.DisplayName, "kind": p.Kind, "external_id": p.ExternalID, "grants": p.Grants}
}

// insertPrincipal inserts a principal and the first version of its grants.
func insertPrincipal(tx *gorm.DB, at time.Time, p principal.Principal) error {
	row, err := rowOfPrincipal(p, at)
	if err != nil {
		return err
	}
	if err := tx.Create(&row).Error; err != nil {
		return fmt.Errorf("inserting a principal: %w", err)
	}
	return keepGrants(tx, firstGrants(row, at))
}

// firstGrants is the first version of what a principal is allowed.
func firstGrants(p principalRow, at time.Time) grantsRow {
	return grantsRow{ContextID: p.ContextID, PrincipalID: p.ID, Version: 1, At: at, Grants: p.Grants}
}

// keepGrants notes a version of what a principal is allowed.
func keepGrants(tx *gorm.DB, row grantsRow) error {
	if err := tx.Create(&row).Error; err != nil {
		return fmt.Errorf("keeping the history of grants: %w", err)
	}
	return nil
}

// nextVersion returns the number of the version that comes next. tx must be alone with the principal.
func nextVersion(tx *gorm.DB, p principalRow) (version int64, err error) {
	err = tx.Raw("SELECT coalesce(max(version), 0) + 1 FROM principal_grants WHERE context_id = ? AND principal_id = ?",
		p.ContextID, p.ID).Scan(&version).Error
	return version, err
}

// findPrincipal returns a principal, or principal.NotFound.
func findPrincipal(tx *gorm.DB, contextID, id string, locks ...lock) (principal.Principal, error) {
	for _, l := range locks {
		tx = tx.Clauses(clause.Locking{Strength: string(l)})
	}
	var row principalRow
	err := tx.Where("context_id = ? AND id = ?", contextID, id).Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return principal.Principal{}, principal.NotFound(id)
	}
	if err != nil {
		return principal.Principal{}, err
	}
	return row.principal()
}

// findOutside returns the principal that has an external id, or gorm.ErrRecordNotFound.
func findOutside(tx *gorm.DB, contextID, externalID string, locks ...lock) (principal.Principal, error) {
	for _, l := range locks {
		tx = tx.Clauses(clause.Locking{Strength: string(l)})
	}
	var row principalRow
	if err := tx.Where("context_id = ? AND external_id = ?", contextID, externalID).Take(&row).Error; err != nil {
		return principal.Principal{}, err
	}
	return row.principal()
}

// nameFree returns principal.NameTaken when a principal of the context has the name. tx must be alone with the context.
func nameFree(tx *gorm.DB, contextID, name string) error {
	var taken int64
	err := tx.Model(&principalRow{}).Where("context_id = ? AND display_name = ?", contextID, name).Limit(1).Count(&taken).Error
	if err == nil && taken > 0 {
		return principal.NameTaken(name)
	}
	return err
}

// Principal implements principal.Store.
func (s *Store) Principal(ctx context.Context, contextID, id string) (p principal.Principal, err error) {
	err = s.read(ctx, func(tx *gorm.DB) error {
		if _, err := findContext(tx, contextID); err != nil {
			return err
		}
		p, err = findPrincipal(tx, contextID, id)
		return err
	})
	return p, err
}

// Principals implements principal.Store.
func (s *Store) Principals(ctx context.Context, contextID, after string, limit int) (out []principal.Principal, err error) {
	err = s.read(ctx, func(tx *gorm.DB) error {
		if _, err := findContext(tx, contextID); err != nil {
			return err
		}
		out, err = findPrincipals(tx, contextID, after, limit)
		return err
	})
	return out, err
}

func findPrincipals(tx *gorm.DB, contextID, after string, limit int) ([]principal.Principal, error) {
	var rows []principalRow
	err := tx.Where("context_id = ? AND id > ?", contextID, after).Order("id").Limit(limit).Find(&rows).Error
	if err != nil {
		return nil, err
	}
	out := make([]principal.Principal, len(rows))
	for i, row := range rows {
		if out[i], err = row.principal(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// ChangePrincipal implements principal.Store.
func (s *Store) ChangePrincipal(
	ctx context.Context, contextID, id string, change func(principal.Principal) (principal.Principal, error),
) (after principal.Principal, revised int64, err error) {
	err = s.revise(ctx, func(tx *gorm.DB, at time.Time) error {
		// The lock keeps others from taking the name. Mints lock in this order, too: the context, then the principal.
		if _, err := findContext(tx, contextID, lockAlone); err != nil {
			return err
		}
		before, err := findPrincipal(tx, contextID, id, lockAlone)
		if err != nil {
			return err
		}
		if after, err = change(before); err != nil {
			return err
		}
		revised, err = updatePrincipal(tx, at, before, after)
		return err
	})
	return after, revised, err
}

// updatePrincipal stores what became of a principal and returns the revision of that: the newest there is when it is the same
// as before. tx must hold the lock of revisions and be alone with the context.
func updatePrincipal(tx *gorm.DB, at time.Time, before, after principal.Principal) (int64, error) {
	was, err := rowOfPrincipal(before, before.CreatedAt)
	if err != nil {
		return 0, err
	}
	is, err := rowOfPrincipal(after, before.CreatedAt)
	if err != nil {
		return 0, err
	}
	if is == was {
		return newest(tx)
	}
	if is.DisplayName != was.DisplayName {
		if err := nameFree(tx, is.ContextID, is.DisplayName); err != nil {
			return 0, err
		}
	}
	err = tx.Model(&principalRow{}).Where("context_id = ? AND id = ?", is.ContextID, is.ID).Updates(map[string]any{
		"display_name": is.DisplayName, "kind": is.Kind, "grants": is.Grants,
	}).Error
	if err != nil {
		return 0, fmt.Errorf("updating a principal: %w", err)
	}
	if is.Grants != was.Grants {
		version, err := nextVersion(tx, is)
		if err != nil {
			return 0, err
		}
		if err := keepGrants(tx, grantsRow{ContextID: is.ContextID, PrincipalID: is.ID, Version: version, At: at, Grants: is.Grants}); err != nil {
			return 0, err
		}
	}
	revised, err := number(tx, at, revision.Change{Kind: revision.PrincipalChanged, Subject: is.ID, ContextID: is.ContextID})
	if err != nil {
		return 0, err
	}
	detail := principalDetail(after)
	detail["revision"] = revised
	return revised, record(tx, at, audit.Entry{Action: audit.PrincipalPatched, ContextID: is.ContextID, Target: is.ID, Detail: detail})
}

// DeletePrincipal implements principal.Store.
func (s *Store) DeletePrincipal(
	ctx context.Context, contextID, id string, allowed func(principal.Principal) error,
) (revised int64, err error) {
	err = s.revise(ctx, func(tx *gorm.DB, at time.Time) error {
		if _, err := findContext(tx, contextID); err != nil {
			return err
		}
		// The lock makes mints wait; they find the principal gone.
		gone, err := findPrincipal(tx, contextID, id, lockAlone)
		if err != nil {
			return err
		}
		if err := allowed(gone); err != nil {
			return err
		}
		if err := tell(tx, at, webhook.KeyRevoked, webhook.Data{Reason: "its principal was deleted"},
			"k.context_id = ? AND k.principal_id = ?", contextID, id); err != nil {
			return err
		}
		keys := tx.Where("context_id = ? AND principal_id = ?", contextID, id).Delete(&keyRow{})
		if keys.Error != nil {
			return fmt.Errorf("deleting the keys of a principal: %w", keys.Error)
		}
		if err := tx.Where("context_id = ? AND id = ?", contextID, id).Delete(&principalRow{}).Error; err != nil {
			return fmt.Errorf("deleting a principal: %w", err)
		}
		revised, err = number(tx, at, revision.Change{Kind: revision.PrincipalGone, Subject: id, ContextID: contextID})
		if err != nil {
			return err
		}
		return record(tx, at, audit.Entry{
			Action: audit.PrincipalDeleted, ContextID: contextID, Target: id,
			Detail: map[string]any{"display_name": gone.DisplayName, "keys": keys.RowsAffected, "revision": revised},
		})
	})
	return revised, err
}

// GrantsAt implements principal.Store.
func (s *Store) GrantsAt(ctx context.Context, contextID, id string, at time.Time) (grants grant.Map, err error) {
	err = s.read(ctx, func(tx *gorm.DB) error {
		if _, err := findContext(tx, contextID); err != nil {
			return err
		}
		grants, err = findGrants(tx, contextID, id, at)
		return err
	})
	return grants, err
}

// findGrants returns the grants that a principal had at a moment, or principal.NotFound.
func findGrants(tx *gorm.DB, contextID, id string, at time.Time) (grant.Map, error) {
	var row grantsRow
	err := tx.Where("context_id = ? AND principal_id = ? AND at <= ?", contextID, id, at.UTC()).Order("version DESC").Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return nil, principal.NotFound(id)
	}
	if err != nil {
		return nil, err
	}
	return parseGrants(row.Grants)
}
