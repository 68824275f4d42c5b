package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/contract/webhook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// MintKey implements key.Store.
func (s *Store) MintKey(
	ctx context.Context, contextID string, p principal.Principal, mint func(at time.Time, policy tenant.Config) key.Key,
) (k key.Key, revised int64, err error) {
	err = s.change(ctx, func(tx *gorm.DB, at time.Time) error {
		// The lock makes a change of the policy, and a deletion, wait until the key is there to be subject to it.
		policy, err := findPolicy(tx, contextID, lockShared)
		if err != nil {
			return err
		}
		k = mint(at, policy)
		k.CreatedAt = at
		if err := insertPrincipal(tx, at, p); err != nil {
			return err
		}
		revised, err = addKey(tx, at, k, p)
		return err
	})
	if errors.Is(err, database.ErrDuplicate) {
		err = key.Taken(k.Name)
	}
	return k, revised, err
}

// MintKeyFor implements key.Store.
func (s *Store) MintKeyFor(ctx context.Context, contextID, principalID string, mint key.Minting) (k key.Key, revised int64, err error) {
	err = s.change(ctx, func(tx *gorm.DB, at time.Time) error {
		policy, err := findPolicy(tx, contextID, lockShared)
		if err != nil {
			return err
		}
		// The lock makes a deletion of the principal wait until the key is there to go with it.
		owner, err := findPrincipal(tx, contextID, principalID, lockShared)
		if err != nil {
			return err
		}
		if k, err = mint(at, policy, owner); err != nil {
			return err
		}
		k.CreatedAt = at
		revised, err = addKey(tx, at, k, owner)
		return err
	})
	if errors.Is(err, database.ErrDuplicate) {
		err = key.Taken(k.Name)
	}
	return k, revised, err
}

// addKey inserts a key of the principal p, records that, and returns the newest revision.
func addKey(tx *gorm.DB, at time.Time, k key.Key, p principal.Principal) (int64, error) {
	if err := insertKey(tx, k); err != nil {
		return 0, err
	}
	if err := tell(tx, at, webhook.KeyCreated, webhook.Data{}, "k.id = ?", k.ID); err != nil {
		return 0, err
	}
	revised, err := newest(tx)
	if err != nil {
		return 0, err
	}
	detail := map[string]any{
		"name": k.Name, "principal_id": p.ID, "principal_kind": p.Kind, "grants": p.Grants, "valid_until": end(k),
	}
	if k.Grants != nil {
		detail["key_grants"] = k.Grants
	}
	if k.Disabled {
		detail["enabled"] = false
	}
	if k.Limits != nil {
		detail["limits"] = k.Limits
	}
	return revised, record(tx, at, audit.Entry{Action: audit.KeyMinted, ContextID: k.ContextID, Target: k.ID, Detail: detail})
}

// findPolicy returns the configuration of a context, or tenant.NotFound.
func findPolicy(tx *gorm.DB, contextID string, locks ...lock) (tenant.Config, error) {
	c, err := findContext(tx, contextID, locks...)
	if err != nil {
		return tenant.Config{}, err
	}
	return c.Config.Config()
}

func insertKey(tx *gorm.DB, k key.Key) error {
	row, err := rowOfKey(k)
	if err != nil {
		return err
	}
	if err := tx.Create(&row).Error; err != nil {
		return fmt.Errorf("inserting a key: %w", err)
	}
	return nil
}

// end is the end of a key in an audit entry: null when it has none.
func end(k key.Key) any {
	if k.ExpiresAt.IsZero() {
		return nil
	}
	return k.ExpiresAt
}

// RotateKey implements key.Store.
func (s *Store) RotateKey(ctx context.Context, contextID, name string, rotate key.Rotation) (rotated key.Key, revised int64, err error) {
	return s.engine.rotate(ctx, s, contextID, name, rotate)
}

// rotatedEntry is the audit entry of a rotation, short of its revision.
func rotatedEntry(k key.Key) audit.Entry {
	return audit.Entry{
		Action: audit.KeyRotated, ContextID: k.ContextID, Target: k.ID,
		Detail: map[string]any{"name": k.Name, "valid_until": end(k)},
	}
}

// replaceSecret stores what a rotation made of a key. tx must hold the lock of revisions.
func replaceSecret(tx *gorm.DB, at time.Time, rotated key.Key) (revised int64, err error) {
	row, err := rowOfKey(rotated)
	if err != nil {
		return 0, err
	}
	// What a rotation may change, and nothing else.
	err = tx.Model(&keyRow{}).Where("id = ?", rotated.ID).Updates(map[string]any{
		"digest_hmac": row.DigestHMAC, "pepper_version": row.PepperVersion, "rotated_at": row.RotatedAt, "expires_at": row.ExpiresAt,
	}).Error
	if err != nil {
		return 0, fmt.Errorf("updating a key: %w", err)
	}
	revised, err = number(tx, at, revision.Change{Kind: revision.KeyRotated, Subject: rotated.ID, ContextID: rotated.ContextID})
	if err != nil {
		return 0, err
	}
	if err := tell(tx, at, webhook.KeyRotated, webhook.Data{}, "k.id = ?", rotated.ID); err != nil {
		return 0, err
	}
	entry := rotatedEntry(rotated)
	entry.Detail["revision"] = revised
	return revised, record(tx, at, entry)
}

// findKey returns a key of a context, or key.NotFound.
func findKey(tx *gorm.DB, contextID, name string) (key.Key, error) {
	var row keyRow
	err := tx.Where("context_id = ? AND name = ?", contextID, name).Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return key.Key{}, key.NotFound(name)
	}
	if err != nil {
		return key.Key{}, err
	}
	return row.key()
}

// DeleteKey implements key.Store.
func (s *Store) DeleteKey(ctx context.Context, contextID, name string, allowed func(key.Key) error) (revised int64, err error) {
	err = s.revise(ctx, func(tx *gorm.DB, at time.Time) error {
		if _, err := findContext(tx, contextID); err != nil {
			return err
		}
		k, err := findKey(tx, contextID, name)
		if err != nil {
			return err
		}
		if err := allowed(k); err != nil {
			return err
		}
		revised, err = deleteKey(tx, at, k, "")
		return err
	})
	return revised, err
}

// deleteKey removes k, and the principal made for it unless another key is bound to that. reason may be empty. tx must hold the lock
// of revisions.
func deleteKey(tx *gorm.DB, at time.Time, k key.Key, reason string) (revised int64, err error) {
	// The lock makes a mint for the same principal wait, or is waited for: then the principal has another key.
	if _, err := findPrincipal(tx, k.ContextID, k.PrincipalID, lockAlone); err != nil {
		return 0, err
	}
	if err := tell(tx, at, webhook.KeyRevoked, webhook.Data{Reason: reason}, "k.id = ?", k.ID); err != nil {
		return 0, err
	}
	if err := tx.Where("id = ?", k.ID).Delete(&keyRow{}).Error; err != nil {
		return 0, fmt.Errorf("deleting a key: %w", err)
	}
	principals := tx.Where("context_id = ? AND id = ? AND owner_key = ?", k.ContextID, k.PrincipalID, k.ID).
		Where("NOT EXISTS (SELECT 1 FROM keys WHERE keys.context_id = principals.context_id AND keys.principal_id = principals.id)").
		Delete(&principalRow{})
	if principals.Error != nil {
		return 0, fmt.Errorf("deleting the principal of a key: %w", principals.Error)
	}
	change := revision.Change{Kind: revision.KeyDeleted, Subject: k.ID, ContextID: k.ContextID}
	if principals.RowsAffected > 0 {
		// It stands for the key, too, which was its only one: who acts on the principal's behalf has no key of it.
		change.Kind, change.Subject = revision.PrincipalGone, k.PrincipalID
	}
	if revised, err = number(tx, at, change); err != nil {
		return 0, err
	}
	detail := map[string]any{"name": k.Name, "principal_id": k.PrincipalID, "revision": revised}
	if reason != "" {
		detail["reason"] = reason
	}
	return revised, record(tx, at, audit.Entry{Action: audit.KeyDeleted, ContextID: k.ContextID, Target: k.ID, Detail: detail})
}
