package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/keymanager/internal/errand"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// errandLedger is one transaction of an errand. It lives no longer than that.
type errandLedger struct {
	ctx   context.Context //nolint:containedctx // the transaction's
	store *Store
	tx    *gorm.DB
	at    time.Time // zero where nothing may be changed
}

// Look implements errand.Store.
func (s *Store) Look(ctx context.Context, fn func(errand.Ledger) error) error {
	return s.read(ctx, func(tx *gorm.DB) error { return fn(errandLedger{ctx, s, tx, time.Time{}}) })
}

// Alter implements errand.Store.
func (s *Store) Alter(ctx context.Context, fn func(errand.Ledger) error) error {
	return s.revise(ctx, func(tx *gorm.DB, at time.Time) error { return fn(errandLedger{ctx, s, tx, at}) })
}

// Find implements errand.Ledger.
func (l errandLedger) Find(seals []secret.Seal, targets []key.Target) (key.Snapshot, error) {
	snapshot, err := l.store.findKeys(seals, func(statement string, args []any, read func(database.Row) error) error {
		return query(l.ctx, l.tx, statement, args, read)
	})
	if err == nil && len(targets) > 0 {
		var found map[key.Target]*caller.Principal
		found, err = l.store.findTargets(l.ctx, l.tx, targets)
		snapshot.Targets = found
	}
	return snapshot, err
}

// Policy implements errand.KeyLedger.
func (l errandLedger) Policy(contextID string) (tenant.Config, error) {
	return findPolicy(l.tx, contextID)
}

// usedRow is a key with the minute of its last use.
type usedRow struct {
	Row        keyRow `gorm:"embedded"`
	LastUsedAt sql.NullTime
}

// used selects keys, but no tokens, with their last use. The newest entry is found by the index; on SQLite, what max makes of a time is no time
// any more.
func (l errandLedger) used(contextID string) *gorm.DB {
	return l.tx.Table("keys").Select("keys.*, key_uses.minute AS last_used_at").
		Joins(`LEFT JOIN key_uses ON key_uses.key_id = keys.id
			AND key_uses.minute = (SELECT u.minute FROM key_uses u WHERE u.key_id = keys.id ORDER BY u.minute DESC LIMIT 1)`).
		Where("keys.context_id = ? AND keys.kind = 'context'", contextID)
}

func (r usedRow) used() (errand.Used, error) {
	k, err := r.Row.key()
	return errand.Used{Key: k, LastUsedAt: r.LastUsedAt.Time}, err
}

// Keys implements errand.KeyLedger.
func (l errandLedger) Keys(contextID, after string, limit int) ([]errand.Used, error) {
	var rows []usedRow
	if err := l.used(contextID).Where("keys.name > ?", after).Order("keys.name").Limit(limit).Find(&rows).Error; err != nil {
		return nil, err
	}
	out := make([]errand.Used, len(rows))
	for i, row := range rows {
		var err error
		if out[i], err = row.used(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// KeyNamed implements errand.KeyLedger.
func (l errandLedger) KeyNamed(contextID, name string) (errand.Used, error) {
	var rows []usedRow
	if err := l.used(contextID).Where("keys.name = ?", name).Limit(1).Find(&rows).Error; err != nil {
		return errand.Used{}, err
	}
	if len(rows) == 0 {
		return errand.Used{}, key.NotFound(name)
	}
	return rows[0].used()
}

// AddKey implements errand.KeyLedger.
func (l errandLedger) AddKey(k key.Key, owner principal.Principal) (int64, error) {
	newest, err := addKey(l.tx, l.at, k, owner)
	if errors.Is(database.Translate(err), database.ErrDuplicate) {
		err = key.Taken(k.Name) // by an operator, who waits for no change of authority
	}
	return newest, err
}

// ReplaceSecret implements errand.KeyLedger.
func (l errandLedger) ReplaceSecret(k key.Key) (int64, error) { return replaceSecret(l.tx, l.at, k) }

// RemoveKey implements errand.KeyLedger.
func (l errandLedger) RemoveKey(k key.Key) (int64, error) { return deleteKey(l.tx, l.at, k, "") }

// Principals implements errand.PrincipalLedger.
func (l errandLedger) Principals(contextID, after string, limit int) ([]principal.Principal, error) {
	return findPrincipals(l.tx, contextID, after, limit)
}

// Principal implements errand.PrincipalLedger.
func (l errandLedger) Principal(contextID, id string) (principal.Principal, error) {
	return findPrincipal(l.tx, contextID, id)
}

// GrantsAt implements errand.PrincipalLedger.
func (l errandLedger) GrantsAt(contextID, id string, at time.Time) (grant.Map, error) {
	return findGrants(l.tx, contextID, id, at)
}

// ReplaceGrants implements errand.PrincipalLedger.
func (l errandLedger) ReplaceGrants(before, after principal.Principal) (int64, error) {
	// The locks are those of ChangePrincipal.
	if _, err := findContext(l.tx, before.ContextID, lockAlone); err != nil {
		return 0, err
	}
	if _, err := findPrincipal(l.tx, before.ContextID, before.ID, lockAlone); err != nil {
		return 0, err
	}
	return updatePrincipal(l.tx, l.at, before, after)
}
