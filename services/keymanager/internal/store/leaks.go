package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
	"github.com/spectron-hq/spectron/services/keymanager/internal/serviceaccount"
)

// LastUses implements key.LeakStore.
func (s *Store) LastUses(ctx context.Context, ids []string) (map[string]time.Time, error) {
	out := make(map[string]time.Time, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	var rows []keyUseRow
	err := s.read(ctx, func(tx *gorm.DB) error {
		return tx.Table("keys").Select("key_uses.*").Joins("JOIN key_uses ON "+newestUse("keys.id")).Where("keys.id IN ?", ids).Find(&rows).Error
	})
	for _, row := range rows {
		out[row.KeyID] = row.Minute.UTC()
	}
	return out, err
}

// RevokeSealed implements key.LeakStore. The key is looked for under the lock of revisions, by its seal: one that is rotated at the same
// time is revoked before, or has another seal.
func (s *Store) RevokeSealed(ctx context.Context, seals []secret.Seal, reason string) (revoked *key.Key, revised int64, err error) {
	raw := make([][]byte, len(seals))
	for i := range seals {
		raw[i] = seals[i][:]
	}
	err = s.revise(ctx, func(tx *gorm.DB, at time.Time) error {
		revoked, revised = nil, 0
		var row keyRow
		err := tx.Where("digest_hmac IN ?", raw).Take(&row).Error
		if errors.Is(err, gorm.ErrRecordNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("looking for a key: %w", err)
		}
		k, err := row.key()
		if err != nil {
			return err
		}
		revoked = &k
		if k.Kind != key.Management { // whoever revokes uses one
			revised, err = endKey(tx, at, k, reason)
		}
		return err
	})
	return revoked, revised, err
}

// endKey deletes a key or revokes a token, and returns the revision. tx must hold the lock of revisions.
func endKey(tx *gorm.DB, at time.Time, k key.Key, reason string) (revised int64, err error) {
	switch k.Kind {
	case key.Context:
		return deleteKey(tx, at, k, reason)
	case key.Token:
		return revokeToken(tx, at, serviceaccount.Token{ContextID: k.ContextID, AccountID: k.PrincipalID, ID: k.ID, RevokedAt: at, Reason: reason})
	case key.Management:
		return 0, errors.New("revoking a key: a management key can only be replaced")
	default:
		return 0, fmt.Errorf("revoking a key: unknown kind %q", k.Kind)
	}
}
