package revision

import (
	"context"
	"sync"
	"time"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/mutant"
)

// Propagation says how a change reached the verifiers.
type Propagation struct {
	// Acknowledged is how many verifiers have applied the change, Lapsed how many have lost their lease instead.
	Acknowledged, Lapsed int
	Waited               time.Duration
}

// Barrier is the wait between a change and its answer: until every verifier has applied the change or lost its lease.
type Barrier struct {
	store Store
	ttl   time.Duration
	now   func() time.Time
	feed  *Feed
	// passed is told of each wait that ended well.
	passed func(Propagation)
	looks  chan struct{}

	mu      sync.Mutex // guards the following fields
	waiting []*wait
	running bool
}

type wait struct {
	revision int64
	since    time.Time
	lapsed   int
	looked   bool             // whether the look under way began after the revision was made
	done     chan Propagation // takes one
}

const (
	// shortLook and longLook bound how long a barrier goes without looking: acknowledgements that reach another replica do
	// not wake it.
	shortLook = 2 * time.Millisecond
	longLook  = 20 * time.Millisecond
	// patience is how long one look of a barrier or a feed may take: of a connection that is dead, the system may say so only after minutes.
	patience = 5 * time.Second
	// slack is how much longer than the protocol needs a change waits for a database that does not answer.
	slack = 30 * time.Second
)

// NewBarrier returns a barrier over leases of length ttl. Whoever waits makes feed look, and passed is told of each wait that
// ended well.
func NewBarrier(store Store, ttl time.Duration, now func() time.Time, feed *Feed, passed func(Propagation)) *Barrier {
	return &Barrier{store: store, ttl: ttl, now: now, feed: feed, passed: passed, looks: make(chan struct{}, 1)}
}

// Await returns when no verifier answers from what was true before revision. It goes on when the caller has left: the change
// is made. Errors: fault.Unavailable when that cannot be known.
func (b *Barrier) Await(ctx context.Context, revision int64) (Propagation, error) {
	if mutant.Is(mutant.NoBarrier) {
		return Propagation{}, nil
	}
	w := &wait{revision: revision, since: b.now(), done: make(chan Propagation, 1)}
	ctx = context.WithoutCancel(ctx)
	b.mu.Lock()
	b.waiting = append(b.waiting, w)
	if !b.running {
		b.running = true
		go b.run(ctx)
	}
	b.mu.Unlock()
	b.feed.Look()
	b.look()
	limit := time.NewTimer(b.ttl + b.ttl/laggard + slack)
	defer limit.Stop()
	select {
	case p := <-w.done:
		return p, nil
	case <-limit.C:
		b.abandon(w)
		return Propagation{}, fault.New(fault.Unavailable,
			"the change is made, but the database does not say whether every verifier knows of it; repeat it to be sure")
	}
}

// look makes a barrier that waits look at once.
func (b *Barrier) look() {
	select {
	case b.looks <- struct{}{}:
	default:
	}
}

// run looks on behalf of all that wait, and ends when nobody does.
func (b *Barrier) run(ctx context.Context) {
	pause := shortLook
	for {
		b.mu.Lock()
		for _, w := range b.waiting {
			w.looked = true
		}
		b.mu.Unlock()
		look, cancel := context.WithTimeout(ctx, patience)
		standing, err := b.store.Standing(look)
		cancel()
		b.mu.Lock()
		if err == nil {
			b.releaseLocked(standing)
		}
		if len(b.waiting) == 0 {
			b.running = false
			b.mu.Unlock()
			return
		}
		b.mu.Unlock()
		timer := time.NewTimer(pause)
		select {
		case <-b.looks:
			pause = shortLook
		case <-timer.C:
			pause = min(2*pause, longLook)
		}
		timer.Stop()
	}
}

// releaseLocked lets those go whose revision nobody lags behind. What was read before a revision was made says nothing
// about it: a verifier that is not in s may have got its lease since, and have nothing to catch up to.
func (b *Barrier) releaseLocked(s Standing) {
	young := s.Age < b.ttl && !mutant.Is(mutant.TrustYoungTable)
	kept := b.waiting[:0]
	for _, w := range b.waiting {
		if !w.looked {
			kept = append(kept, w)
			continue
		}
		acknowledged := 0
		for _, revision := range s.Acknowledged {
			if revision >= w.revision {
				acknowledged++
			}
		}
		for _, revision := range s.Lapsed {
			if revision < w.revision {
				w.lapsed++
			}
		}
		if young || acknowledged < len(s.Acknowledged) {
			kept = append(kept, w)
			continue
		}
		p := Propagation{Acknowledged: acknowledged, Lapsed: w.lapsed, Waited: b.now().Sub(w.since)}
		b.passed(p)
		w.done <- p
	}
	clear(b.waiting[len(kept):])
	b.waiting = kept
}

func (b *Barrier) abandon(gone *wait) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, w := range b.waiting {
		if w == gone {
			b.waiting = append(b.waiting[:i], b.waiting[i+1:]...)
			return
		}
	}
}
