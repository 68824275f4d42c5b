package database

import (
	"context"
	"math/rand/v2"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/chassis/tracing"
)

const (
	// retryPause is the mean pause before the second attempt at a transaction; it doubles with each further one.
	retryPause = 5 * time.Millisecond
	// maxRetryPause is the longest mean pause.
	maxRetryPause = 100 * time.Millisecond
)

// maxAttempts bounds how often a write transaction is tried.
func (d *DB) maxAttempts() int {
	if d.Engine == SQLite {
		return 2 // each has waited busyTimeout for the lock
	}
	return 10 // even where many fight for one row
}

// Tx runs fn in one write transaction and commits it when fn returns nil. Where the engine asks for a retry (a
// serialization failure, a deadlock, a busy SQLite file) fn runs again, a bounded number of times: it must have no effect
// outside tx. An error of the database is returned as [Translate] returns it, any other error as fn returned it.
func (d *DB) Tx(ctx context.Context, fn func(tx *gorm.DB) error) error {
	return d.repeat(ctx, "transaction", func(ctx context.Context) error { return d.WithContext(ctx).Transaction(fn) })
}

// repeat runs a transaction until the engine asks for no retry. name is that of its span.
func (d *DB) repeat(ctx context.Context, name string, transaction func(context.Context) error) (err error) {
	ctx, end := tracing.Begin(ctx, name)
	defer func() { end(err) }()
	pause := retryPause
	for attempt := 1; ; attempt++ {
		err := transaction(ctx)
		if err == nil || attempt == d.maxAttempts() || !retryable(err) {
			return Translate(err)
		}
		// Jitter keeps transactions that met once from meeting again.
		timer := time.NewTimer(rand.N(2 * pause)) //nolint:gosec // a pause, not a secret
		select {
		case <-ctx.Done():
			timer.Stop()
			return Translate(err)
		case <-timer.C:
		}
		pause = min(2*pause, maxRetryPause)
	}
}

// Read runs fn on one snapshot of the database, which fn cannot write. Errors are those of [DB.Tx].
func (d *DB) Read(ctx context.Context, fn func(tx *gorm.DB) error) (err error) {
	ctx, end := tracing.Begin(ctx, "snapshot")
	defer func() { end(err) }()
	return Translate(d.reader.WithContext(ctx).Transaction(fn, d.readOption))
}

// Reader returns a handle for single read statements, each its own snapshot: without the two round trips of a
// transaction on Postgres, and beside the writer instead of behind it on SQLite. Its errors are not translated.
func (d *DB) Reader(ctx context.Context) *gorm.DB {
	return d.reader.WithContext(ctx)
}
