// Package store keeps the authority's data in a relational database, on Postgres or on SQLite. It promises that a change,
// its revision and its audit entry commit together or not at all, and that revisions become visible in the order of
// their numbers.
package store

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
)

// Store is the database of one deployment. It is safe for concurrent use.
type Store struct {
	db     *database.DB
	engine engine
}

// engine is what the database systems do differently.
type engine interface {
	// clock reads the authority's clock, in UTC and to the microsecond.
	clock(tx *gorm.DB) (time.Time, error)
	// lockRevisions keeps every other transaction from taking a revision until tx ends, and then reads the clock.
	lockRevisions(tx *gorm.DB) (time.Time, error)
	// life returns an SQL expression, and its arguments, for what differs once the database has gone back in time: revisions
	// from before have the numbers of others then.
	life() (expression string, args []any)
	// lockChain returns the row of the audit log's chain, which nobody else has until tx ends; false when somebody else has it.
	lockChain(tx *gorm.DB) (chainRow, bool, error)
	// holdChain waits for the row of the chain, has it until tx ends, and lets tx take as long as it takes.
	holdChain(tx *gorm.DB) error
	// announce tells every replica, once tx has committed, that there are new revisions.
	announce(tx *gorm.DB) error
	// extend implements revision.Store's ExtendLease.
	extend(ctx context.Context, s *Store, renewal renewal) (revision.Grant, bool, error)
	// standing implements revision.Store's Standing.
	standing(ctx context.Context, s *Store) (revision.Standing, error)
	// rotate implements key.Store's RotateKey.
	rotate(ctx context.Context, s *Store, contextID, name string, rotate key.Rotation) (key.Key, int64, error)
	// query runs a statement on a snapshot of its own and calls read with each row.
	query(ctx context.Context, s *Store, statement string, args []any, read func(database.Row) error) error
	// findKeys returns the statement that looks keys up by seal, and its arguments.
	findKeys(seals [][]byte) (statement string, args []any)
	// findTargets returns the statement that finds principals in the contexts of keys, and its arguments: the seals of the keys
	// and the ids of the principals, in pairs.
	findTargets(seals [][]byte, ids []string) (statement string, args []any)
}

// New returns the store in db, which must have been migrated. now is the authority's clock on SQLite, where there is one
// process; on Postgres it is the database's, because several replicas must agree.
func New(db *database.DB, now func() time.Time) *Store {
	s := &Store{db: db, engine: postgres{}}
	if db.Engine == database.SQLite {
		s.engine = sqlite{now: now, opened: secret.NewID(openedLen)}
	}
	return s
}

// change runs fn in one write transaction, with the time on the authority's clock.
func (s *Store) change(ctx context.Context, fn func(tx *gorm.DB, at time.Time) error) error {
	return public(s.db.Tx(ctx, func(tx *gorm.DB) error {
		at, err := s.engine.clock(tx)
		if err != nil {
			return err
		}
		return fn(tx, at)
	}))
}

// revise runs fn as [Store.change] does, alone among those that may take a revision. The lock comes first: a lock on a row
// taken before it could deadlock, and a snapshot could be older than the revision before.
func (s *Store) revise(ctx context.Context, fn func(tx *gorm.DB, at time.Time) error) error {
	return public(s.db.Tx(ctx, func(tx *gorm.DB) error {
		at, err := s.engine.lockRevisions(tx)
		if err != nil {
			return err
		}
		if err := fn(tx, at); err != nil {
			return err
		}
		return s.engine.announce(tx)
	}))
}

// read runs fn on one snapshot.
func (s *Store) read(ctx context.Context, fn func(tx *gorm.DB) error) error {
	return public(s.db.Read(ctx, fn))
}

// public turns trouble with the database into the fault that callers are told.
func public(err error) error {
	if errors.Is(err, database.ErrUnavailable) {
		return fault.New(fault.Unavailable, "the database does not answer; try again").Because(err)
	}
	return err
}

// Engine tells on which engine the store is.
func (s *Store) Engine() database.Engine { return s.db.Engine }
