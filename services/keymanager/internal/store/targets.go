package store

import (
	"context"
	"errors"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
)

const targetColumns = `k.digest_hmac, p.id, p.display_name, p.kind, p.grants`

// FindKeysAndTargets implements key.Lookup.
func (s *Store) FindKeysAndTargets(ctx context.Context, seals []secret.Seal, targets []key.Target) (snapshot key.Snapshot, err error) {
	err = s.read(ctx, func(tx *gorm.DB) error {
		if snapshot, err = s.findKeys(ctx, tx, seals); err != nil {
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
	rows, err := tx.Statement.ConnPool.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	found = make(map[key.Target]*caller.Principal, len(targets))
	for rows.Next() {
		var (
			seal   []byte
			p      caller.Principal
			grants string
		)
		if err := rows.Scan(&seal, &p.ID, &p.DisplayName, &p.Kind, &grants); err != nil {
			return nil, err
		}
		if p.Grants, err = parseGrants(optional(grants)); err != nil {
			return nil, err
		}
		if p.Grants == nil {
			p.Grants = grant.Map{}
		}
		found[key.Target{Seal: secret.Seal(seal), ID: p.ID}] = &p
	}
	return found, rows.Err()
}
