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
		// The newest entry is found by the index; on SQLite, what max makes of a time is no time any more.
		return tx.Where(`key_id IN ? AND minute = (
			SELECT u.minute FROM key_uses u WHERE u.key_id = key_uses.key_id ORDER BY u.minute DESC LIMIT 1)`, ids).Find(&rows).Error
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
		switch k.Kind {
		case key.Management: // whoever revokes uses one
			return nil
		case key.Token:
			revised, err = errandLedger{ctx, s, tx, at}.RevokeToken(serviceaccount.Token{
				ContextID: k.ContextID, AccountID: k.PrincipalID, ID: k.ID, RevokedAt: at, Reason: reason,
			})
			return err
		case key.Context:
			revised, err = deleteKey(tx, at, k, reason)
			return err
		default:
			return fmt.Errorf("revoking a key: unknown kind %q", k.Kind)
		}
	})
	return revoked, revised, err
}
