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
	foundColumns = `k.digest_hmac, k.id, k.name, k.kind, k.expires_at, k.context_id, c.incarnation, c.enforcement_blocked, k.grants,
		p.id, p.display_name, p.kind, p.grants`
	foundJoins = `LEFT JOIN principals p ON p.context_id = k.context_id AND p.id = k.principal_id
		LEFT JOIN contexts c ON c.id = k.context_id`
)

// FindKeys implements key.Lookup. It is one statement, so it reads one snapshot, and it goes past GORM's scanning: every
// request of the data plane that its cache cannot answer ends here.
func (s *Store) FindKeys(ctx context.Context, seals []secret.Seal) (key.Snapshot, error) {
	snapshot, err := s.findKeys(ctx, s.db.Reader(ctx), seals)
	return snapshot, public(database.Translate(err))
}

func (s *Store) findKeys(ctx context.Context, tx *gorm.DB, seals []secret.Seal) (snapshot key.Snapshot, err error) {
	raw := make([][]byte, len(seals))
	for i := range seals {
		raw[i] = seals[i][:]
	}
	statement, args := s.engine.findKeys(raw)
	rows, err := tx.Statement.ConnPool.QueryContext(ctx, statement, args...)
	if err != nil {
		return key.Snapshot{}, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	found := foundRows{known: map[string]grant.Map{}}
	found.snapshot.Found = make(map[secret.Seal]*key.Found, len(seals))
	for rows.Next() {
		if err := found.scan(rows); err != nil {
			return key.Snapshot{}, err
		}
	}
	return found.snapshot, rows.Err()
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
func (f *foundRows) scan(rows *sql.Rows) error {
	var (
		micros                                                              int64
		seal                                                                sql.RawBytes
		id, name, kind, contextID, incarnation                              sql.NullString
		principalID, displayName, principalKind, keyGrants, principalGrants sql.NullString
		expires                                                             sql.NullTime
		blocked                                                             sql.NullBool
	)
	err := rows.Scan(&f.snapshot.AsOf, &micros, &seal, &id, &name, &kind, &expires, &contextID, &incarnation, &blocked, &keyGrants,
		&principalID, &displayName, &principalKind, &principalGrants)
	f.snapshot.At = time.UnixMicro(micros)
	if err != nil || !id.Valid {
		return err
	}
	found := &key.Found{
		ID: id.String, Name: name.String, Kind: key.Kind(kind.String), ExpiresAt: expires.Time,
		ContextID: contextID.String, Incarnation: incarnation.String, Blocked: blocked.Bool,
		Principal: caller.Principal{ID: principalID.String, DisplayName: displayName.String, Kind: caller.Kind(principalKind.String)},
	}
	if found.Grants, err = f.grants(keyGrants); err != nil {
		return err
	}
	if found.Principal.Grants, err = f.grants(principalGrants); err != nil {
		return err
	}
	f.snapshot.Found[secret.Seal(seal)] = found
	return nil
}

func (f *foundRows) grants(text sql.NullString) (grant.Map, error) {
	if m, ok := f.known[text.String]; ok && text.Valid {
		return m, nil
	}
	m, err := parseGrants(text)
	if text.Valid {
		f.known[text.String] = m
	}
	return m, err
}
