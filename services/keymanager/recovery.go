package keymanager

import (
	"context"
	"errors"
	"fmt"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/keymanager/internal/deployment"
	"github.com/spectron-hq/spectron/services/keymanager/internal/store"
)

// Facts are what a backup is described by.
type Facts = deployment.Facts

// Recovery is what a restored database is told about itself.
type Recovery = deployment.Recovery

// Revoked names what must not come back with a backup.
type Revoked = deployment.Revoked

// Place is a principal in its context.
type Place = deployment.Place

// Describe calls take with what the key manager's part of a database holds at one moment, by which, on Postgres, other sessions can read
// the same: snapshot is its name.
func Describe(ctx context.Context, connection string, take func(facts Facts, snapshot string) error) error {
	err := withStore(ctx, connection, func(records *store.Store) error { return records.Describe(ctx, take) })
	if err != nil {
		return fmt.Errorf("describing the database: %w", err)
	}
	return nil
}

// Peppers counts the keys, and the secrets of webhooks, that are sealed under each version of the pepper in a database that has been
// migrated: what is needed to start without one.
func Peppers(ctx context.Context, connection string) (keys, webhooks map[uint16]int64, err error) {
	db, err := database.OpenExisting(ctx, connection, schema)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := requireMigrated(ctx, db); err != nil {
		return nil, nil, err
	}
	return store.New(db, Config{}.clock()).SealedWithout(ctx, nil)
}

// BeginAnew makes of a restored and migrated database a deployment of its own, of which no verifier remembers anything, in which what has
// been revoked since the backup is dead. It returns the number of keys that this ended.
func BeginAnew(ctx context.Context, connection string, recovery Recovery) (ended int, err error) {
	err = withStore(ctx, connection, func(records *store.Store) (err error) {
		ended, err = records.BeginAnew(ctx, deployment.NewAuthority(), recovery)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("beginning anew: %w", err)
	}
	return ended, nil
}

func withStore(ctx context.Context, connection string, fn func(*store.Store) error) (err error) {
	db, err := database.OpenExisting(ctx, connection, schema)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return fn(store.New(db, Config{}.clock()))
}
