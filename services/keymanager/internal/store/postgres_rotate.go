package store

import (
	"context"
	"fmt"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/contract/webhook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/hook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// rotatable is a key with all that its rotation depends on, and the versions of the rows that this was read from.
type rotatable struct {
	Row            keyRow `gorm:"embedded"`
	Config         string
	KeyVersion     string
	ContextVersion string
	At             time.Time
}

// rotate reads, works out what the key is to become, and then changes it if it is still what was read; otherwise it begins
// again, while somebody else has gone ahead. So nothing is under the lock of revisions but what must be: one statement and the
// commit, without a word from this process between them.
func (postgres) rotate(ctx context.Context, s *Store, contextID, name string, rotate key.Rotation) (key.Key, int64, error) {
	for {
		before, err := s.findRotatable(ctx, contextID, name)
		if err != nil {
			return key.Key{}, 0, err
		}
		policy, err := tenant.Document(before.Config).Config()
		if err != nil {
			return key.Key{}, 0, err
		}
		current, err := before.Row.key()
		if err != nil {
			return key.Key{}, 0, err
		}
		rotated, err := rotate(before.At.UTC(), policy, current)
		if err != nil {
			return key.Key{}, 0, err
		}
		revised, err := s.swapKey(ctx, before, rotated)
		if err != nil || revised != 0 {
			return rotated, revised, err
		}
	}
}

func (s *Store) findRotatable(ctx context.Context, contextID, name string) (rotatable, error) {
	const statement = `
		SELECT k.*, k.xmin::text AS key_version, c.config, c.xmin::text AS context_version, clock_timestamp() AS at
		FROM contexts c LEFT JOIN keys k ON k.context_id = c.id AND k.name = ? WHERE c.id = ?`
	var found []rotatable
	if err := s.db.Reader(ctx).Raw(statement, name, contextID).Scan(&found).Error; err != nil {
		return rotatable{}, public(database.Translate(fmt.Errorf("reading a key: %w", err)))
	}
	if len(found) == 0 {
		return rotatable{}, tenant.NotFound(contextID)
	}
	if found[0].Row.ID == "" {
		return rotatable{}, key.NotFound(name)
	}
	return found[0], nil
}

// swapKey stores what a rotation may change, and nothing else, with its revision, its audit entry and its event. It returns 0 when the key
// or its context is not what it was before. The first statement takes the lock, so that the second one's snapshot has the
// revision before.
func (s *Store) swapKey(ctx context.Context, before rotatable, k key.Key) (revised int64, err error) {
	const statement = `
		WITH swapped AS (
			UPDATE keys SET digest_hmac = $1, pepper_version = $2, rotated_at = $3, expires_at = $4
			WHERE id = $5 AND xmin::text = $6 AND EXISTS (SELECT 1 FROM contexts WHERE id = $7 AND xmin::text = $8)
			RETURNING *
		), made AS (
			INSERT INTO revisions (id, kind, subject, context_id, at)
			SELECT coalesce((SELECT max(id) FROM revisions), 0) + 1, $9, id, context_id, clock_timestamp() FROM swapped
			RETURNING id, at
		), noted AS (
			INSERT INTO audit_log (at, action, actor_kind, actor_key_id, context_id, target, trace_id, remote, detail)
			SELECT at, $10, $11, $12, $7, $5, $13, $14, $15::jsonb || jsonb_build_object('revision', id) FROM made
		), told AS (
			` + deliveryColumns + `
			SELECT e.id, $17 || '_' || k.id, $18, made.at, ` + keyValues + `, '{}', 'pending', 0, made.at, made.at, '', 0, '', 0
			FROM made, swapped k JOIN webhook_endpoints e
				ON e.enabled AND e.events LIKE $19 AND (e.context_id = '' OR e.context_id = k.context_id)
		)
		SELECT id, pg_notify($16, id::text) FROM made`
	row, err := rowOfKey(k)
	if err != nil {
		return 0, err
	}
	entry, err := rowOfEntry(ctx, rotatedEntry(k))
	if err != nil {
		return 0, err
	}
	err = s.db.Pipeline(ctx, []database.Statement{
		{SQL: "SELECT pg_advisory_xact_lock($1)", Args: []any{revisionLock}},
		{SQL: statement, Args: []any{
			row.DigestHMAC, row.PepperVersion, row.RotatedAt, row.ExpiresAt, k.ID, before.KeyVersion, k.ContextID, before.ContextVersion,
			string(revision.KeyRotated), entry.Action, entry.ActorKind, entry.ActorKeyID, entry.TraceID, entry.Remote, entry.Detail,
			revisionChannel, hook.NewMessageID(), string(webhook.KeyRotated), quoted(webhook.KeyRotated),
		}},
	}, func(made database.Row) error { return made.Scan(&revised, nil) })
	return revised, public(err)
}
