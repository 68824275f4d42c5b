package store

import (
	"context"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
)

const targetColumns = `k.digest_hmac, p.id, p.display_name, p.kind, p.grants`

// FindKeysAndTargets implements key.Lookup.
func (s *Store) FindKeysAndTargets(ctx context.Context, seals []secret.Seal, targets []key.Target) (snapshot key.Snapshot, err error) {
	err = s.read(ctx, func(tx *gorm.DB) error {
		snapshot, err = s.findKeys(seals, func(statement string, args []any, read func(database.Row) error) error {
			return query(ctx, tx, statement, args, read)
		})
		if err != nil {
			return err
		}
		snapshot.Targets, err = s.findTargets(ctx, tx, targets)
		return err
	})
	return snapshot, err
}

func (s *Store) findTargets(ctx context.Context, tx *gorm.DB, targets []key.Target) (found map[key.Target]*caller.Principal, err error) {
	raw, ids := make([][]byte, len(targets)), make([]string, len(targets))
	for i := range targets {
		raw[i], ids[i] = targets[i].Seal[:], targets[i].ID
	}
	statement, args := s.engine.findTargets(raw, ids)
	found = make(map[key.Target]*caller.Principal, len(targets))
	err = query(ctx, tx, statement, args, func(row database.Row) error {
		var (
			seal   []byte
			p      caller.Principal
			grants string
		)
		if err := row.Scan(&seal, &p.ID, &p.DisplayName, &p.Kind, &grants); err != nil {
			return err
		}
		p.Grants, err = parseGrants(grants)
		found[key.Target{Seal: secret.Seal(seal), ID: p.ID}] = &p
		return err
	})
	return found, err
}
