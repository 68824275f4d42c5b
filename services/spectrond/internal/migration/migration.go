// Package migration brings the schemas of both planes to this release, and gives each plane's Postgres role its own schema
// and nothing of the other's.
package migration

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/dataplane"
	"github.com/spectron-hq/spectron/services/keymanager"
)

// Plane names one of the two schemas.
type Plane string

// The planes.
const (
	Control Plane = "control"
	Data    Plane = "data"
)

// Planes are all planes, in the order in which they are migrated.
func Planes() []Plane { return []Plane{Control, Data} }

func (p Plane) migrations(engine database.Engine) (database.Migrations, error) {
	switch p {
	case Control:
		return keymanager.Migrations(engine)
	case Data:
		return dataplane.Migrations(engine)
	default:
		return database.Migrations{}, fmt.Errorf("unknown schema %q: want %s or %s", string(p), Control, Data)
	}
}

// Target says what to migrate.
type Target struct {
	// ConnectionString is the URL of the database, of a role that owns the schemas or may create them.
	ConnectionString string
	// Planes are the schemas to work on.
	Planes []Plane
	// Patience is how long to wait for a database that does not answer; zero is not at all.
	Patience time.Duration
	Log      *slog.Logger
}

// Roles are the Postgres roles of the two services.
type Roles struct{ Control, Data string }

// Up applies what is pending in each schema and tells done of each how much that was. Any number of processes may race.
func (t Target) Up(ctx context.Context, done func(p Plane, applied int) error) error {
	return t.each(ctx, database.Open, func(p Plane, db *database.DB, m database.Migrations) error {
		applied, err := database.Migrate(ctx, db, m)
		if err != nil {
			return err
		}
		return done(p, applied)
	})
}

// Down undoes the last steps migrations of each schema, the last schema first.
func (t Target) Down(ctx context.Context, steps int) error {
	reversed := t
	reversed.Planes = nil
	for _, p := range t.Planes {
		reversed.Planes = append([]Plane{p}, reversed.Planes...)
	}
	return reversed.each(ctx, database.OpenExisting, func(_ Plane, db *database.DB, m database.Migrations) error {
		return database.Rollback(ctx, db, m, steps)
	})
}

// Status tells show of every migration of each schema.
func (t Target) Status(ctx context.Context, show func(Plane, []database.MigrationStatus) error) error {
	return t.each(ctx, database.OpenExisting, func(p Plane, db *database.DB, m database.Migrations) error {
		list, err := database.Status(ctx, db, m)
		if err != nil {
			return err
		}
		return show(p, list)
	})
}

// Restrict gives each role its own schema and takes the other one away, as far as these are schemas to work on.
func (t Target) Restrict(ctx context.Context, roles Roles) error {
	var list []database.Access
	err := t.each(ctx, database.OpenExisting, func(p Plane, db *database.DB, m database.Migrations) error {
		access := database.Access{Schema: m.Schema, ReadOnly: []string{m.Table}, Role: roles.Control, Denied: []string{roles.Data}}
		if p == Control {
			// Who has the key manager's role can add to the audit log, and neither change it nor delete from it.
			access.AppendOnly, access.ReadOnly = keymanager.AppendOnlyTables(), append(access.ReadOnly, keymanager.ReadOnlyTables()...)
		}
		if p == Data {
			access.Role, access.Denied = roles.Data, []string{roles.Control}
		}
		list = append(list, access)
		if len(list) < len(t.Planes) {
			return nil
		}
		return database.Restrict(ctx, db, list...)
	})
	return err
}

// opener opens a database: [database.Open] where what is not there yet is made.
type opener func(ctx context.Context, connection, schema string) (*database.DB, error)

// each runs fn for each schema with a database opened for it.
func (t Target) each(ctx context.Context, open opener, fn func(Plane, *database.DB, database.Migrations) error) error {
	for _, p := range t.Planes {
		if err := t.with(ctx, p, open, fn); err != nil {
			return fmt.Errorf("schema %s: %w", p, err)
		}
	}
	return nil
}

func (t Target) with(ctx context.Context, p Plane, open opener, fn func(Plane, *database.DB, database.Migrations) error) (err error) {
	// The engine decides which files there are, and the connection string decides the engine; the schema's name is the
	// same for both.
	m, err := p.migrations(database.Postgres)
	if err != nil {
		return err
	}
	db, err := t.open(ctx, open, m.Schema)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if m, err = p.migrations(db.Engine); err != nil {
		return err
	}
	return fn(p, db, m)
}

// openPause is how often a database that does not answer is asked.
const openPause = 500 * time.Millisecond

// open opens the database as soon as it answers, or gives up when patience ends.
func (t Target) open(ctx context.Context, open opener, schema string) (*database.DB, error) {
	patience := time.NewTimer(t.Patience)
	defer patience.Stop()
	ticker := time.NewTicker(openPause)
	defer ticker.Stop()
	for told := false; ; told = true {
		db, err := open(ctx, t.ConnectionString, schema)
		if err == nil || !errors.Is(err, database.ErrUnavailable) || rejected(err) || t.Patience == 0 {
			return db, err
		}
		if !told {
			t.Log.InfoContext(ctx, "waiting for the database", slog.Duration("at_most", t.Patience), slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-patience.C:
			return nil, fmt.Errorf("gave up after %s: %w", t.Patience, err)
		case <-ticker.C:
		}
	}
}

// rejected reports whether the server answered that this connection string will not do: waiting does not help a wrong
// password (class 28 of SQLSTATE).
func rejected(err error) bool {
	var coded interface{ SQLState() string }
	return errors.As(err, &coded) && strings.HasPrefix(coded.SQLState(), "28")
}

// Newest returns the version of the newest migration of a schema that this release brings; engines have the same.
func Newest(p Plane) (int64, error) {
	m, err := p.migrations(database.SQLite)
	if err != nil {
		return 0, err
	}
	return database.NewestVersion(m)
}
