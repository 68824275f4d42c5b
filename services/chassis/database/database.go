// Package database opens a service's database on either engine, Postgres or SQLite, and gives both the same manners:
// write transactions that are retried when the engine asks for it, reads from one snapshot, errors told apart by code,
// numbered migrations. It promises that no error and no log line holds a password or the value of a parameter.
package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"
)

// Engine says which database system is behind a [DB].
type Engine int

// The engines.
const (
	// Postgres is the engine of every deployment.
	Postgres Engine = iota + 1
	// SQLite is the embedded engine of a single process.
	SQLite
)

// String returns "postgres" or "sqlite": the names of the folders that hold each engine's migrations.
func (e Engine) String() string {
	switch e {
	case Postgres:
		return "postgres"
	case SQLite:
		return "sqlite"
	default:
		return "unknown"
	}
}

// DB is an open database. Its embedded handle runs single statements; on SQLite it is the only writing connection, so it
// must not be used inside the function given to [DB.Tx], which holds that connection already.
type DB struct {
	*gorm.DB
	// Engine is never zero on a DB that [Open] returned.
	Engine Engine

	reader     *gorm.DB                                 // the same handle on Postgres; SQLite's own pool of query-only connections
	readOption *sql.TxOptions                           // what makes a transaction one read snapshot on this engine
	schema     string                                   // of Postgres; empty on SQLite
	migrate    func() (*sql.DB, error)                  // opens a connection pool for migrations, without the time limits of requests
	listen     func(context.Context) (*pgx.Conn, error) // opens a connection for notifications; nil on SQLite
	pools      []*sql.DB                                // what Close closes
}

// Open opens the database at connection, a URL: postgres://user:password@host/name, sqlite:///absolute/path or
// sqlite:relative/path. On Postgres every unqualified name resolves in schema; SQLite has no schemas and ignores it.
// The database must answer; it need not have been migrated. A SQLite file that is not there is made, for whoever migrates it: all
// others use [OpenExisting].
func Open(ctx context.Context, connection, schema string) (*DB, error) {
	return open(ctx, connection, schema, createPrivately)
}

// OpenExisting is Open for whoever needs what is there already: it makes no SQLite file, but fails with fs.ErrNotExist. Otherwise a path
// with a typing error would be an empty store.
func OpenExisting(ctx context.Context, connection, schema string) (*DB, error) {
	return open(ctx, connection, schema, mustExist)
}

// open opens the database; prepare is done with the path of a SQLite file before that.
func open(ctx context.Context, connection, schema string, prepare func(path string) error) (*DB, error) {
	u, err := url.Parse(connection)
	if err != nil {
		// The parser's error quotes the string, and with it the password.
		return nil, errors.New("opening database: the connection string is not a URL: want postgres://user:password@host/name or sqlite:///path (characters such as @ : / in a password must be percent-encoded)")
	}
	var db *DB
	switch u.Scheme {
	case "postgres", "postgresql":
		db, err = openPostgres(ctx, u, schema)
	case "sqlite":
		db, err = openSQLite(ctx, u, prepare)
	default:
		err = fmt.Errorf("unknown scheme %q: want postgres or sqlite", u.Scheme)
	}
	if err != nil {
		return nil, fmt.Errorf("opening database: %w", err)
	}
	return db, nil
}

// Close closes every connection. It waits for statements that are running.
func (d *DB) Close() error {
	errs := make([]error, 0, len(d.pools))
	for _, pool := range d.pools {
		errs = append(errs, pool.Close())
	}
	return errors.Join(errs...)
}

// Ping reports whether the database answers: nil, or an error that is [ErrUnavailable].
func (d *DB) Ping(ctx context.Context) error {
	for _, pool := range d.pools {
		if err := pool.PingContext(ctx); err != nil {
			return fmt.Errorf("pinging database: %w", unavailable(err))
		}
	}
	return nil
}
