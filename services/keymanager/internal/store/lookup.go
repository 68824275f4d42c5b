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
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
)

const (
	// Only what says something by being absent is null. Whom a token may claim to be is looked for when there is a token: other keys
	// pay nothing for it.
	foundColumns = `k.digest_hmac, coalesce(k.id, ''), coalesce(k.name, ''), coalesce(k.kind, ''), k.expires_at,
		coalesce(k.context_id, ''), coalesce(c.incarnation, ''), coalesce(c.enforcement_blocked, false), k.grants, coalesce(p.id, ''), coalesce(p.display_name, ''),
		coalesce(p.kind, ''), p.grants,
		CASE WHEN k.kind = 'token' THEN (
			SELECT a.actors FROM service_accounts a WHERE a.context_id = k.context_id AND a.id = k.principal_id AND a.revoked_at IS NULL
		) END, coalesce(k.enabled, true), k.limits`
	foundJoins = `LEFT JOIN principals p ON p.context_id = k.context_id AND p.id = k.principal_id
		LEFT JOIN contexts c ON c.id = k.context_id`
)

// FindKeys implements key.Lookup. It is one statement, so it reads one snapshot, and it goes past GORM: every request of the
// data plane that its cache cannot answer ends here.
func (s *Store) FindKeys(ctx context.Context, seals []secret.Seal) (key.Snapshot, error) {
	snapshot, err := s.findKeys(seals, func(statement string, args []any, read func(database.Row) error) error {
		return s.engine.query(ctx, s, statement, args, read)
	})
	return snapshot, public(database.Translate(err))
}

// findKeys asks with query, which calls its last argument with each row.
func (s *Store) findKeys(
	seals []secret.Seal, query func(statement string, args []any, read func(database.Row) error) error,
) (key.Snapshot, error) {
	raw := make([][]byte, len(seals))
	for i := range seals {
		raw[i] = seals[i][:]
	}
	found := foundRows{known: map[string]grant.Map{}}
	found.snapshot.Found = make(map[secret.Seal]*key.Found, len(seals))
	statement, args := s.engine.findKeys(raw)
	err := query(statement, args, found.scan)
	return found.snapshot, err
}

// query asks within a transaction, or wherever tx is, and calls read with each row.
func query(ctx context.Context, tx *gorm.DB, statement string, args []any, read func(database.Row) error) (err error) {
	rows, err := tx.Statement.ConnPool.QueryContext(ctx, statement, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := read(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// foundRows turns the rows of a look-up into a snapshot.
type foundRows struct {
	snapshot key.Snapshot
	// known are the grants decoded so far: most keys have the grants of another one. They are shared, so nobody may change
	// them.
	known map[string]grant.Map
}

// scan adds one row to the snapshot. Where no key was found there is a single row, which holds nothing but the revision
// and the time.
func (f *foundRows) scan(row database.Row) error {
	var (
		micros                     int64
		seal                       []byte
		expires                    sql.NullTime
		keyGrants, principalGrants *string
		actors, limits             *string
		enabled                    bool
		found                      key.Found
	)
	err := row.Scan(&f.snapshot.AsOf, &micros, &seal, &found.ID, &found.Name, (*string)(&found.Kind), &expires, &found.ContextID,
		&found.Incarnation, &found.Blocked, &keyGrants, &found.Principal.ID, &found.Principal.DisplayName, (*string)(&found.Principal.Kind),
		&principalGrants, &actors, &enabled, &limits)
	f.snapshot.At = time.UnixMicro(micros)
	if err != nil || found.ID == "" {
		return err
	}
	found.ExpiresAt, found.Disabled = expires.Time, !enabled
	if limits != nil {
		if found.Limits, err = decodeLimits(*limits); err != nil {
			return err
		}
	}
	if found.Grants, err = f.grants(keyGrants); err != nil {
		return err
	}
	if found.Principal.Grants, err = f.grants(principalGrants); err != nil {
		return err
	}
	if actors != nil {
		account := &caller.ServiceAccount{}
		if account.Actors, err = decodeList[string](*actors); err != nil {
			return err
		}
		found.Principal.ServiceAccount = account
	}
	f.snapshot.Found[secret.Seal(seal)] = &found
	return nil
}

// grants reads a grant map; null is nil.
func (f *foundRows) grants(text *string) (grant.Map, error) {
	if text == nil {
		return nil, nil
	}
	m, ok := f.known[*text]
	if ok {
		return m, nil
	}
	m, err := parseGrants(*text)
	f.known[*text] = m
	return m, err
}
