package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
)

// ResealKeys implements key.ResealStore.
func (s *Store) ResealKeys(ctx context.Context, keys []key.Reseal) error {
	// In one order, so that no two replicas wait for each other.
	slices.SortFunc(keys, func(a, b key.Reseal) int { return strings.Compare(a.ID, b.ID) })
	return s.change(ctx, func(tx *gorm.DB, _ time.Time) error {
		for _, k := range keys {
			err := tx.Model(&keyRow{}).Where("id = ? AND digest_hmac = ?", k.ID, k.Old[:]).
				Updates(map[string]any{"digest_hmac": k.New[:], "pepper_version": k.Version}).Error
			if err != nil {
				return fmt.Errorf("sealing a key anew: %w", err)
			}
		}
		return nil
	})
}

// SealedWithout returns how many keys, and how many secrets of webhooks, are sealed under each version of the pepper that is not among the
// given ones.
func (s *Store) SealedWithout(ctx context.Context, versions []uint16) (keys, hooks map[uint16]int64, err error) {
	// Zero is no version: to SQL nothing is without the members of an empty list.
	without := s.db.Reader(ctx).Where("pepper_version NOT IN ?", append([]uint16{0}, versions...)).Session(&gorm.Session{})
	if keys, err = countPeppers(without, &keyRow{}); err == nil {
		hooks, err = countPeppers(without, &endpointRow{})
	}
	return keys, hooks, public(database.Translate(err))
}
