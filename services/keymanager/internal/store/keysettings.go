package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/contract/webhook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
)

// EditKey implements key.Store.
func (s *Store) EditKey(
	ctx context.Context, contextID, name string, edit func(key.Key) (key.Settings, error),
) (edited key.Listed, revised int64, err error) {
	err = s.revise(ctx, func(tx *gorm.DB, at time.Time) error {
		if _, err := findContext(tx, contextID); err != nil {
			return err
		}
		before, err := findKey(tx, contextID, name)
		if err != nil {
			return err
		}
		settings, err := edit(before)
		if err != nil {
			return err
		}
		if revised, err = changeSettings(tx, at, before, settings); err != nil {
			return err
		}
		var row listedRow
		if err := listed(tx).Where("keys.id = ?", before.ID).Take(&row).Error; err != nil {
			return fmt.Errorf("reading a key: %w", err)
		}
		edited, err = row.listed()
		return err
	})
	return edited, revised, err
}

// settingEvents are what webhooks are told of the settings of keys.
var settingEvents = map[audit.Action]webhook.Event{audit.KeyDisabled: webhook.KeyDisabled, audit.KeyEnabled: webhook.KeyEnabled}

// changeSettings gives a key other settings. tx must hold the lock of revisions.
func changeSettings(tx *gorm.DB, at time.Time, before key.Key, settings key.Settings) (revised int64, err error) {
	var actions []audit.Action
	switch {
	case settings.Disabled && !before.Disabled:
		actions = append(actions, audit.KeyDisabled)
	case !settings.Disabled && before.Disabled:
		actions = append(actions, audit.KeyEnabled)
	}
	if !settings.SameLimits(before.Settings) {
		actions = append(actions, audit.KeyEdited)
	}
	if len(actions) == 0 {
		return newest(tx)
	}
	limits, err := encodeLimits(settings.Limits)
	if err != nil {
		return 0, err
	}
	err = tx.Model(&keyRow{}).Where("id = ?", before.ID).Updates(map[string]any{"enabled": !settings.Disabled, "limits": limits}).Error
	if err != nil {
		return 0, fmt.Errorf("updating a key: %w", err)
	}
	revised, err = number(tx, at, revision.Change{Kind: revision.KeyRotated, Subject: before.ID, ContextID: before.ContextID})
	if err != nil {
		return 0, err
	}
	for _, action := range actions {
		if event, told := settingEvents[action]; told {
			if err := tell(tx, at, event, webhook.Data{}, "k.id = ?", before.ID); err != nil {
				return 0, err
			}
		}
		detail := map[string]any{"name": before.Name, "revision": revised}
		if action == audit.KeyEdited {
			detail["limits"], detail["limits_before"] = settings.Limits, before.Limits
		}
		entry := audit.Entry{Action: action, ContextID: before.ContextID, Target: before.ID, Detail: detail}
		if err := record(tx, at, entry); err != nil {
			return 0, err
		}
	}
	return revised, nil
}

// listed selects keys, but no tokens, with the kinds of their principals and their use.
func listed(tx *gorm.DB) *gorm.DB {
	return tx.Table("keys").
		Select("keys.*, principals.kind AS principal_kind, key_uses.minute AS last_used_at, coalesce(key_counts.uses, 0) AS uses").
		Joins("JOIN principals ON principals.context_id = keys.context_id AND principals.id = keys.principal_id").
		Joins("LEFT JOIN key_uses ON " + newestUse("keys.id")).
		Joins("LEFT JOIN key_counts ON key_counts.key_id = keys.id").
		Where("keys.kind = 'context'")
}

// Keys implements key.Store.
func (s *Store) Keys(ctx context.Context, q key.Query) ([]key.Listed, error) {
	var rows []listedRow
	err := s.read(ctx, func(tx *gorm.DB) error {
		if _, err := findContext(tx, q.ContextID); err != nil {
			return err
		}
		query := listed(tx).Where("keys.context_id = ? AND keys.name > ?", q.ContextID, q.After)
		if q.PrincipalID != "" {
			if _, err := findPrincipal(tx, q.ContextID, q.PrincipalID); err != nil {
				return err
			}
			query = query.Where("keys.principal_id = ?", q.PrincipalID)
		}
		if q.Within > 0 {
			at, err := s.engine.clock(tx)
			if err != nil {
				return err
			}
			query = query.Where("keys.expires_at > ? AND keys.expires_at <= ?", at, at.Add(q.Within))
		}
		return query.Order("keys.name").Limit(q.Limit).Find(&rows).Error
	})
	if err != nil {
		return nil, err
	}
	return listedKeys(rows)
}

// ExpiringKeys implements key.Store.
func (s *Store) ExpiringKeys(ctx context.Context, within time.Duration, after key.Place, limit int) ([]key.Listed, error) {
	var rows []listedRow
	err := s.read(ctx, func(tx *gorm.DB) error {
		at, err := s.engine.clock(tx)
		if err != nil {
			return err
		}
		query := listed(tx).Where("keys.expires_at > ? AND keys.expires_at <= ?", at, at.Add(within))
		if after.ID != "" {
			query = query.Where("(keys.expires_at > ? OR keys.expires_at = ? AND keys.id > ?)", after.EndsAt, after.EndsAt, after.ID)
		}
		return query.Order("keys.expires_at, keys.id").Limit(limit).Find(&rows).Error
	})
	if err != nil {
		return nil, err
	}
	return listedKeys(rows)
}

func listedKeys(rows []listedRow) ([]key.Listed, error) {
	out := make([]key.Listed, len(rows))
	for i, row := range rows {
		var err error
		if out[i], err = row.listed(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
