package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

// Migrations is the numbered SQL of one service for one engine.
type Migrations struct {
	// FS holds the files, 00001_name.sql and so on, at its root, in goose's notation.
	FS fs.FS
	// Schema is created, on Postgres, before the first migration; empty for the connection's own. SQLite has none.
	Schema string
	// Table records what has been applied. On Postgres it lies in Schema.
	Table string
}

// MigrationStatus tells of one migration whether and when it was applied.
type MigrationStatus struct {
	Version int64
	// Name is the name of its file.
	Name    string
	Applied bool
	// AppliedAt is zero for a migration that has not been applied.
	AppliedAt time.Time
}

// Migrate applies what has not been applied yet and returns how many that were. Any number of processes may race: one
// migrates, the others wait for it and find nothing left to do.
func Migrate(ctx context.Context, db *DB, m Migrations) (applied int, err error) {
	err = db.exclusively(ctx, m, func(p *goose.Provider) error {
		for {
			before, err := db.version(ctx, m)
			if err != nil {
				return err
			}
			results, err := p.Up(ctx)
			applied += len(results)
			if partial, ok := errors.AsType[*goose.PartialError](err); ok {
				applied += len(partial.Applied)
				err = fmt.Errorf("%s: %w", path.Base(partial.Failed.Source.Path), partial.Err)
			}
			if err == nil || db.Engine != SQLite {
				return err
			}
			// SQLite has no lock that outlives a transaction. Whoever loses the race for a migration fails on it, is rolled
			// back, and goes on from where the winner left off.
			after, versionErr := db.version(ctx, m)
			if versionErr != nil || after == before {
				return errors.Join(err, versionErr)
			}
		}
	})
	if err != nil {
		return applied, fmt.Errorf("migrating database: %w", err)
	}
	return applied, nil
}

// Rollback undoes the last steps migrations, or as many as there are.
func Rollback(ctx context.Context, db *DB, m Migrations, steps int) error {
	err := db.exclusively(ctx, m, func(p *goose.Provider) error {
		for range steps {
			_, err := p.Down(ctx)
			if errors.Is(err, goose.ErrNoNextVersion) {
				return nil
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("rolling database back: %w", err)
	}
	return nil
}

// Status lists the migrations of m in order. It only reads, so any role that may read the table may ask.
func Status(ctx context.Context, db *DB, m Migrations) ([]MigrationStatus, error) {
	applied, err := db.appliedVersions(ctx, m)
	if err != nil {
		return nil, fmt.Errorf("reading migration status: %w", err)
	}
	var list []MigrationStatus
	err = db.withProvider(m, func(p *goose.Provider) error {
		for _, source := range p.ListSources() {
			at, ok := applied[source.Version]
			list = append(list, MigrationStatus{
				Version: source.Version, Name: path.Base(source.Path), Applied: ok, AppliedAt: at,
			})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading migration status: %w", err)
	}
	return list, nil
}

// Pending returns how many migrations of m have not been applied. Like [Status] it only reads.
func Pending(ctx context.Context, db *DB, m Migrations) (int, error) {
	list, err := Status(ctx, db, m)
	if err != nil {
		return 0, err
	}
	pending := 0
	for _, status := range list {
		if !status.Applied {
			pending++
		}
	}
	return pending, nil
}

// exclusively runs fn with a provider while no other migrator works on the schema, which exists from then on. goose's own
// session lock comes too late: goose looks for pending migrations, and creates its version table, before it takes it.
func (d *DB) exclusively(ctx context.Context, m Migrations, fn func(*goose.Provider) error) error {
	if d.Engine != Postgres {
		return d.withProvider(m, fn)
	}
	return d.withProvider(m, func(p *goose.Provider) (err error) {
		pool, err := d.migrate()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, pool.Close()) }()
		conn, err := pool.Conn(ctx)
		if err != nil {
			return Translate(err)
		}
		defer func() { err = errors.Join(err, conn.Close()) }()
		lock := schemaLock(m.Schema)
		if err := lock.acquire(ctx, conn); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, lock.release(context.WithoutCancel(ctx), conn)) }()
		return fn(p)
	})
}

// NewestVersion returns the version of the newest migration of m.
func NewestVersion(m Migrations) (newest int64, err error) {
	names, err := fs.Glob(m.FS, "*.sql")
	for _, name := range names {
		number, _, _ := strings.Cut(name, "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("a migration is called %q: want NUMBER_NAME.sql", name)
		}
		newest = max(newest, version)
	}
	return newest, err
}

// withProvider runs fn with a goose provider on connections of its own, which the time limits of requests do not bind.
func (d *DB) withProvider(m Migrations, fn func(*goose.Provider) error) (err error) {
	if d.Engine == Postgres && m.Schema != "" && !schemaName.MatchString(m.Schema) {
		return fmt.Errorf("schema %q: want lower-case letters, digits and underscores", m.Schema)
	}
	pool, err := d.migrate()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	options := []goose.ProviderOption{
		goose.WithTableName(d.qualified(m)), goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()),
	}
	dialect := goose.DialectSQLite3
	if d.Engine == Postgres {
		dialect = goose.DialectPostgres
	}
	provider, err := goose.NewProvider(dialect, pool, m.FS, options...)
	if err != nil {
		return err
	}
	return fn(provider)
}

// qualified returns the name of the version table as SQL writes it.
func (d *DB) qualified(m Migrations) string {
	if d.Engine == Postgres && m.Schema != "" {
		return m.Schema + "." + m.Table
	}
	return m.Table
}

// version returns the last applied version, 0 before the first.
func (d *DB) version(ctx context.Context, m Migrations) (int64, error) {
	applied, err := d.appliedVersions(ctx, m)
	var last int64
	for version := range applied {
		last = max(last, version)
	}
	return last, err
}

// appliedVersions reads the version table without creating it, as goose's own status would.
func (d *DB) appliedVersions(ctx context.Context, m Migrations) (map[int64]time.Time, error) {
	pool, err := d.reader.DB()
	if err != nil {
		return nil, err
	}
	dialect, exists := goose.DialectSQLite3, "SELECT count(*) > 0 FROM sqlite_master WHERE type = 'table' AND name = ?"
	if d.Engine == Postgres {
		dialect, exists = goose.DialectPostgres, "SELECT to_regclass($1) IS NOT NULL"
	}
	var found bool
	if err := pool.QueryRowContext(ctx, exists, d.qualified(m)).Scan(&found); err != nil {
		return nil, Translate(err)
	}
	applied := map[int64]time.Time{}
	if !found {
		return applied, nil
	}
	store, err := database.NewStore(dialect, d.qualified(m))
	if err != nil {
		return nil, err
	}
	rows, err := store.ListMigrations(ctx, pool)
	if err != nil {
		return nil, Translate(err)
	}
	for _, row := range rows {
		if row.Version == 0 { // goose's own first row
			continue
		}
		result, err := store.GetMigration(ctx, pool, row.Version)
		if err != nil {
			return nil, Translate(err)
		}
		applied[row.Version] = result.Timestamp.UTC()
	}
	return applied, nil
}

// schemaLock lets one migrator at a time work on a schema, and creates it under that lock: two concurrent CREATE SCHEMA
// IF NOT EXISTS can fail. It polls: a session that waits inside pg_advisory_lock would hold a snapshot, for which a CREATE
// INDEX CONCURRENTLY of the migrator that has the lock would wait in turn.
type schemaLock string

const schemaLockPause = 50 * time.Millisecond

func (l schemaLock) id() int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte("migrations of schema " + string(l))) // never fails
	return int64(h.Sum64())                                     //nolint:gosec // any 64 bits do
}

// acquire waits for the lock, then sees to the schema.
func (l schemaLock) acquire(ctx context.Context, conn *sql.Conn) error {
	ticker := time.NewTicker(schemaLockPause)
	defer ticker.Stop()
	for {
		var locked bool
		err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", l.id()).Scan(&locked)
		if err != nil {
			return fmt.Errorf("locking migrations: %w", Translate(err))
		}
		if locked {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for another migration: %w", ctx.Err())
		case <-ticker.C:
		}
	}
	if l == "" {
		return nil
	}
	var exists bool
	const query = "SELECT count(*) > 0 FROM pg_namespace WHERE nspname = $1"
	err := conn.QueryRowContext(ctx, query, string(l)).Scan(&exists)
	if err == nil && !exists {
		// The name was checked against schemaName: it needs no quotes. A role that may not create schemas can still migrate
		// one that an administrator made.
		_, err = conn.ExecContext(ctx, "CREATE SCHEMA "+string(l))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("creating schema %s: %w", l, err), l.release(context.WithoutCancel(ctx), conn))
	}
	return nil
}

// release gives the lock back.
func (l schemaLock) release(ctx context.Context, conn *sql.Conn) error {
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_unlock($1)", l.id()); err != nil {
		return fmt.Errorf("unlocking migrations: %w", err)
	}
	return nil
}
