// Package store keeps the data plane's rows in Postgres or SQLite. It implements the small interfaces that the domain
// packages declare, each method as one transaction or one statement.
//
// What it promises: no statement reaches a row of another context, since every one names the context_id; what a caller may
// read is decided inside the statement that reads; no text of a user becomes part of a statement or of a search expression.
package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/migrations"
	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/contract/fault"
)

// Schema is the Postgres schema of the data plane.
const Schema = "data"

// Store is the data plane's database.
type Store struct {
	db     *database.DB
	engine engine
}

// engine is what the two database systems do differently.
type engine interface {
	// insertChunks stores rows so that a search for any of their words finds them.
	insertChunks(tx *gorm.DB, rows []chunkRow) error
	// indexChunk makes a search for any of words find the chunk that is stored, and for no others.
	indexChunk(tx *gorm.DB, incarnation, id string, words []string) error
	// matching returns how to find the chunks, as c, that hold one of terms, and how to rank them.
	matching(incarnation string, terms []string) match
	// forgetWords makes the first limit chunks of a context, by id, unfindable, where deleting them is not enough.
	forgetWords(tx *gorm.DB, incarnation string, limit int) error
	// forgetWordsOf does so with the chunks of the given ids.
	forgetWordsOf(tx *gorm.DB, incarnation string, ids []string) error
	// forgetWordsAt does so with the chunks whose set is among sets, a SELECT with args, of the context that they name.
	forgetWordsAt(tx *gorm.DB, sets string, args map[string]any) error
	// snapshot, first in a transaction, makes all its statements see the same rows, or be run again where that cannot be.
	snapshot(tx *gorm.DB) error
	// by makes the planner take an index where it would not find out that this is the one: behind the table's name.
	by(index string) string
	// locking is what a SELECT in a transaction that writes ends with, so that nobody else changes its rows meanwhile.
	locking() string
	// tryLock takes the lock of that number until tx ends, or reports false when another transaction holds it.
	tryLock(tx *gorm.DB, number int64) (bool, error)
	// clock reads the database's clock, in UTC and to the microsecond.
	clock(tx *gorm.DB) (time.Time, error)
	// bodies reads the bodies of records.
	bodies() bodies
}

// match is a full-text search in SQL: each fragment with its parameters.
type match struct {
	score, from, where             string
	scoreArgs, fromArgs, whereArgs []any
}

// New returns the store in db, which must have been migrated.
func New(db *database.DB) *Store {
	s := &Store{db: db, engine: postgres{}}
	if db.Engine == database.SQLite {
		s.engine = sqlite{}
	}
	return s
}

// Migrations returns the schema for an engine.
func Migrations(engine database.Engine) (database.Migrations, error) {
	files, err := migrations.Data(engine.String())
	if err != nil {
		return database.Migrations{}, fmt.Errorf("finding the data migrations: %w", err)
	}
	return database.Migrations{FS: files, Schema: Schema, Table: "data_migrations"}, nil
}

// write runs fn in one transaction.
func (s *Store) write(ctx context.Context, fn func(tx *gorm.DB) error) error {
	return public(s.db.Tx(ctx, fn))
}

// public gives trouble with the database its public face. Every other error stays what it is.
func public(err error) error {
	if errors.Is(err, database.ErrUnavailable) {
		e := fault.New(fault.Unavailable, "the database does not answer; try again")
		e.RetryAfter = time.Second
		return e.Because(err)
	}
	return err
}

// read runs one statement that reads, and scans its rows into out.
func (s *Store) read(ctx context.Context, out any, statement string, args ...any) error {
	return public(database.Translate(s.db.Reader(ctx).Raw(statement, args...).Scan(out).Error))
}

// nullable returns nil for a zero value, which SQL keeps as NULL.
func nullable[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}

// deref is the inverse of nullable.
func deref[T any](value *T) T {
	var zero T
	if value == nil {
		return zero
	}
	return *value
}

// utc returns the time that a column holds, in UTC; zero for NULL.
func utc(value *time.Time) time.Time {
	return deref(value).UTC()
}
