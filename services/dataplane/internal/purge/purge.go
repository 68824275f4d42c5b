// Package purge deletes what nobody can reach any more: the rows of deleted contexts, answers to idempotent writes that have
// expired, and traces that have been kept long enough. The key manager says which contexts are gone; it is told when the last row of one is.
package purge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spectron-hq/spectron/services/contract/introspection"
)

const (
	// interval is the mean time between two sweeps. Nothing urgent waits for one: a deleted context is unreachable at once.
	interval = 5 * time.Second
	// batch bounds the rows of a table that one transaction deletes, so that none holds its locks for long.
	batch = 1000
)

// Authority knows which contexts were deleted.
type Authority interface {
	// Purges lists the deleted contexts whose rows wait to be deleted.
	Purges(ctx context.Context) ([]introspection.Purge, error)
	// PurgeDone takes one off that list.
	PurgeDone(ctx context.Context, incarnation string) error
}

// Store deletes rows.
type Store interface {
	// PurgeContext deletes up to limit rows of each table and returns how many those were: 0 when none is left.
	PurgeContext(ctx context.Context, incarnation string, limit int) (int, error)
	// PurgeExpired deletes up to limit idempotent answers that have expired at the given time, and returns how many.
	PurgeExpired(ctx context.Context, at time.Time, limit int) (int, error)
	// PurgeTraces deletes up to limit traces of before the given time, and returns how many.
	PurgeTraces(ctx context.Context, before time.Time, limit int) (int, error)
}

// Purger deletes.
type Purger struct {
	authority Authority
	store     Store
	now       func() time.Time
	retention time.Duration
}

// New returns a Purger. Traces are kept for the time of retention.
func New(authority Authority, store Store, now func() time.Time, retention time.Duration) *Purger {
	return &Purger{authority, store, now, retention}
}

// Run sweeps at once and then every few seconds until ctx ends, and does the other chores then, too. What fails is logged and
// tried again at the next sweep.
func (p *Purger) Run(ctx context.Context, log *slog.Logger, chores ...func(context.Context) error) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	failing := false
	for {
		err := p.Sweep(ctx)
		for _, chore := range chores {
			err = errors.Join(err, chore(ctx))
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			// Once per outage, not every few seconds.
			log.WarnContext(ctx, "upkeep is failing, will be tried again", slog.String("error", err.Error()))
		case err == nil && failing:
			log.InfoContext(ctx, "upkeep works again")
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Sweep deletes everything that can be deleted now.
func (p *Purger) Sweep(ctx context.Context) error {
	if err := p.expired(ctx); err != nil {
		return err
	}
	purges, err := p.authority.Purges(ctx)
	if err != nil {
		return fmt.Errorf("asking for deleted contexts: %w", err)
	}
	for _, each := range purges {
		if err := p.context(ctx, each); err != nil {
			return err
		}
	}
	return nil
}

// context deletes the rows of a deleted context. Before the purge is final, a request that was verified before the deletion
// may still write a row behind our back, so only a final purge is reported as done.
func (p *Purger) context(ctx context.Context, purge introspection.Purge) error {
	for {
		deleted, err := p.store.PurgeContext(ctx, purge.Incarnation, batch)
		if err != nil {
			return fmt.Errorf("purging a deleted context: %w", err)
		}
		if deleted == 0 {
			break
		}
	}
	if !purge.Final {
		return nil
	}
	if err := p.authority.PurgeDone(ctx, purge.Incarnation); err != nil {
		return fmt.Errorf("reporting a purge as done: %w", err)
	}
	return nil
}

func (p *Purger) expired(ctx context.Context) error {
	now := p.now()
	err := untilDone(func() (int, error) { return p.store.PurgeExpired(ctx, now, batch) })
	if err != nil {
		return fmt.Errorf("deleting expired idempotency keys: %w", err)
	}
	err = untilDone(func() (int, error) { return p.store.PurgeTraces(ctx, now.Add(-p.retention), batch) })
	if err != nil {
		return fmt.Errorf("deleting old traces: %w", err)
	}
	return nil
}

// untilDone deletes batches until one is not full.
func untilDone(once func() (int, error)) error {
	for {
		if deleted, err := once(); err != nil || deleted < batch {
			return err
		}
	}
}
