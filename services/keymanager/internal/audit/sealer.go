package audit

import (
	"context"
	"log/slog"
	"time"
)

const (
	// sealEvery is how often a replica looks for entries without a place: none waits for longer than that and one batch.
	sealEvery = 500 * time.Millisecond
	// sealAtOnce is how many entries are sealed in one transaction. On SQLite changes wait for it.
	sealAtOnce = 500
)

// Standing is how far the chain has got.
type Standing struct {
	// Head is the number of the newest sealed entry.
	Head int64
	// Unsealed counts entries that wait, up to some large number, and Lag is how long the oldest of them has waited.
	Unsealed int64
	Lag      time.Duration
}

// ChainStore is what a [Sealer] needs.
type ChainStore interface {
	// SealAudit seals the entries that wait, at most limit, and returns how many; none while another replica does.
	SealAudit(ctx context.Context, limit int) (sealed int, err error)
	// AuditStanding returns how far the chain has got.
	AuditStanding(ctx context.Context) (Standing, error)
	// RecordDenials writes entries of what was refused.
	RecordDenials(ctx context.Context, denials []Denial) error
}

// Watch is told what a [Sealer] does.
type Watch struct {
	Sealed   func(entries int)
	Standing func(Standing)
	Failed   func()
}

// Sealer gives committed entries their places. Any number of replicas may each run one: one at a time seals.
type Sealer struct {
	store   ChainStore
	denials *Denials
	log     *slog.Logger
	watch   Watch
}

// NewSealer returns a sealer that also writes what denials has counted.
func NewSealer(store ChainStore, denials *Denials, log *slog.Logger, watch Watch) *Sealer {
	return &Sealer{store: store, denials: denials, log: log, watch: watch}
}

// Run seals until ctx ends, and once more then.
func (s *Sealer) Run(ctx context.Context) {
	ticker := time.NewTicker(sealEvery)
	defer ticker.Stop()
	failing := false
	for ended := false; !ended; {
		select {
		case <-ctx.Done():
			ended = true
		case <-ticker.C:
		}
		err := s.round(ctx, ended)
		if err != nil && !ended {
			s.watch.Failed()
			if !failing { // one line for each outage
				s.log.ErrorContext(ctx, "sealing the audit log failed", slog.Any("error", err))
			}
		}
		failing = err != nil
	}
}

// closing is how long the last round may take.
const closing = 2 * time.Second

// round writes what was refused, and seals all that waits. The last one writes what is still being counted, too.
func (s *Sealer) round(ctx context.Context, last bool) error {
	if last {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
		defer cancel()
		ctx = limited
	}
	if err := s.writeDenials(ctx, last); err != nil {
		return err
	}
	standing, err := s.store.AuditStanding(ctx)
	if err != nil {
		return err
	}
	for again := standing.Unsealed > 0; again; {
		sealed, err := s.store.SealAudit(ctx, sealAtOnce)
		if err != nil {
			return err
		}
		s.watch.Sealed(sealed)
		standing.Head += int64(sealed)
		standing.Unsealed = max(0, standing.Unsealed-int64(sealed))
		again = sealed == sealAtOnce && !last // what is left is another replica's, or the next start's
	}
	if standing.Unsealed == 0 {
		standing.Lag = 0
	}
	s.watch.Standing(standing)
	return nil
}

func (s *Sealer) writeDenials(ctx context.Context, last bool) error {
	due := s.denials.take(last)
	if len(due) == 0 {
		return nil
	}
	err := s.store.RecordDenials(ctx, due)
	if err != nil {
		s.denials.giveBack(due)
	}
	return err
}
