package revision

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/spectron-hq/spectron/services/chassis/tracing"
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
	looks  chan struct{} // look at once
	comes  chan struct{} // look soon: somebody new waits

	timeouts atomic.Int64

	mu      sync.Mutex // guards the following fields
	waiting []*wait
	running bool
	longest time.Duration    // the longest leases, as far as is known: not shorter than ttl
	young   bool             // what the last look said of the table
	known   map[string]int64 // what live verifiers have acknowledged: as the last look found it, and what was heard since it began
	since   map[string]int64 // what was heard since the look under way began
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
	// not wake it. Those that reach this one do, once all that it knows of are in.
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
	return &Barrier{
		store: store, ttl: ttl, now: now, feed: feed, passed: passed, longest: ttl,
		looks: make(chan struct{}, 1), comes: make(chan struct{}, 1),
	}
}

// Await returns when no verifier answers from what was true before revision. It goes on when the caller has left: the change
// is made. Errors: fault.Unavailable when that cannot be known.
func (b *Barrier) Await(ctx context.Context, revision int64) (Propagation, error) {
	if mutant.Is(mutant.NoBarrier) {
		return Propagation{}, nil
	}
	ctx, end := tracing.Begin(ctx, "barrier")
	p, err := b.await(ctx, revision)
	end(err, attribute.Int64("spectron.revision", revision), attribute.Int("spectron.acknowledged", p.Acknowledged),
		attribute.Int("spectron.lapsed", p.Lapsed))
	return p, err
}

func (b *Barrier) await(ctx context.Context, revision int64) (Propagation, error) {
	w := &wait{revision: revision, since: b.now(), done: make(chan Propagation, 1)}
	ctx = tracing.Untraced(context.WithoutCancel(ctx)) // who looks does so for all that wait, and perhaps for longer than this one
	b.feed.Reach(revision)
	b.enter(ctx, w)
	for {
		limit := time.NewTimer(b.left(w))
		select {
		case p := <-w.done:
			limit.Stop()
			return p, nil
		case <-limit.C:
		}
		if b.left(w) > 0 {
			continue // a look has found that leases may be longer
		}
		b.abandon(w)
		b.timeouts.Add(1)
		return Propagation{}, fault.New(fault.Unavailable,
			"the change is made, but the database does not say whether every verifier knows of it; repeat it to be sure")
	}
}

// Waiting is how many changes wait now.
func (b *Barrier) Waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.waiting)
}

// Timeouts is how many changes were answered by an error, because the database did not say whether they had reached every verifier.
func (b *Barrier) Timeouts() int64 { return b.timeouts.Load() }

// Settle returns when no verifier answers from what was true before any change that has been made. Whoever finds nothing left to
// do waits for it: the change may have been made before, by a call that could not say whether every verifier knew of it.
// Errors: fault.Unavailable.
func (b *Barrier) Settle(ctx context.Context) error {
	newest, err := b.store.Newest(ctx)
	if err != nil || newest == 0 {
		return err
	}
	_, err = b.Await(ctx, newest)
	return err
}

// left is how much longer w may take.
func (b *Barrier) left(w *wait) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.longest + b.longest/laggard + slack - b.now().Sub(w.since)
}

// enter adds w to those that wait and sees to it that somebody looks.
func (b *Barrier) enter(ctx context.Context, w *wait) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = append(b.waiting, w)
	switch {
	case !b.running:
		b.running, b.since = true, make(map[string]int64)
		go b.run(ctx)
	case b.hopefulLocked():
		b.look()
	default:
		wake(b.comes)
	}
}

// look makes a barrier that waits look at once.
func (b *Barrier) look() { wake(b.looks) }

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// heard takes note of an acknowledgement that has been stored. When it is the last that somebody waits for, as far as is known
// here, it is time to look. Whether that is so, only the look can tell.
func (b *Barrier) heard(verifier string, acknowledged int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) == 0 {
		return
	}
	b.since[verifier] = max(b.since[verifier], acknowledged)
	if b.known != nil {
		b.known[verifier] = max(b.known[verifier], acknowledged)
	}
	if b.hopefulLocked() {
		b.look()
	}
}

// hopefulLocked reports whether all verifiers that are known of have acknowledged what somebody waits for.
func (b *Barrier) hopefulLocked() bool {
	if b.known == nil || b.young {
		return false
	}
	least := int64(math.MaxInt64)
	for _, acknowledged := range b.known {
		least = min(least, acknowledged)
	}
	return slices.ContainsFunc(b.waiting, func(w *wait) bool { return w.revision <= least })
}

// run looks on behalf of all that wait, and ends when nobody does.
func (b *Barrier) run(ctx context.Context) {
	pause := shortLook
	for {
		b.mu.Lock()
		for _, w := range b.waiting {
			w.looked = true
		}
		b.since = make(map[string]int64)
		b.mu.Unlock()
		look, cancel := context.WithTimeout(ctx, patience)
		standing, err := b.store.Standing(look)
		cancel()
		b.mu.Lock()
		if err == nil {
			b.releaseLocked(standing)
		}
		if len(b.waiting) == 0 {
			b.running, b.known = false, nil
			b.mu.Unlock()
			return
		}
		again := err == nil && b.hopefulLocked()
		b.mu.Unlock()
		if !again {
			pause = b.rest(pause)
		}
	}
}

// rest waits until it is time to look, and returns how long to rest the next time.
func (b *Barrier) rest(pause time.Duration) time.Duration {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-b.looks:
			return shortLook
		case <-timer.C:
			return min(2*pause, longLook)
		case <-b.comes:
			// Once: whoever waits already must not wait for as long as others keep coming.
			if pause > shortLook {
				pause = shortLook
				timer.Reset(pause)
			}
		}
	}
}

// releaseLocked lets those go whose revision nobody lags behind. What was read before a revision was made says nothing
// about it: a verifier that is not in s may have got its lease since, and have nothing to catch up to.
func (b *Barrier) releaseLocked(s Standing) {
	// A replica that is set to longer leases may have granted some that the table has lost.
	b.longest = max(b.ttl, s.Longest)
	b.young = s.Age < b.longest && !mutant.Is(mutant.TrustYoungTable)
	b.known = s.Acknowledged
	if b.known == nil {
		b.known = make(map[string]int64)
	}
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
		if b.young || acknowledged < len(s.Acknowledged) {
			kept = append(kept, w)
			continue
		}
		p := Propagation{Acknowledged: acknowledged, Lapsed: w.lapsed, Waited: b.now().Sub(w.since)}
		b.passed(p)
		w.done <- p
	}
	clear(b.waiting[len(kept):])
	b.waiting = kept
	for verifier, acknowledged := range b.since {
		b.known[verifier] = max(b.known[verifier], acknowledged)
	}
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
