package verifier

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/contract/mutant"
)

// lease is the right to answer from the cache. It does not change once it is published.
type lease struct {
	start     time.Time // when its renewal was sent
	length    time.Duration
	catchUpTo int64
	flag      *atomic.Bool // of the mutant that lets a timer end the lease
}

// valid reports whether the lease still runs at now. Two clocks must agree: the monotonic one is never stepped but stands
// still while the machine is suspended, the wall clock goes on (on resume the kernel adds the time slept). A wall clock that
// steps forward costs a renewal; one that steps backward changes nothing.
func (l *lease) valid(now time.Time) bool {
	if l.flag != nil {
		return l.flag.Load()
	}
	return now.Sub(l.start) < l.length && now.UnixNano()-l.start.UnixNano() < int64(l.length)
}

// leaseHolder is what a verifier knows about its standing with the authority.
type leaseHolder struct {
	name        string // of this life of this verifier
	acknowledge chan struct{}
	current     atomic.Pointer[lease]
	applied     atomic.Int64 // the highest revision applied

	mu        sync.Mutex // guards the following fields
	authority string     // empty until the first stream has begun
	heard     time.Time  // of the stream: its start, or its last event
	rewatch   context.CancelFunc
}

// trusted reports whether the cache may answer at now.
func (h *leaseHolder) trusted(now time.Time) bool {
	l := h.current.Load()
	return l != nil && l.valid(now) && (h.applied.Load() >= l.catchUpTo || mutant.Is(mutant.NoCatchUp))
}

// margin is the part of a lease that is given away for clocks that run at different rates.
const margin = 10 // per cent

// renew keeps the lease alive and carries acknowledgements, one request at a time: what is applied meanwhile rides on the
// next.
func (v *Verifier) renew(ctx context.Context) {
	retry := backoff{}
	var offset time.Duration // between the two clocks when verdicts were last forgotten for it
	wait := time.NewTimer(0)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			v.release(context.WithoutCancel(ctx))
			return
		case <-v.lease.acknowledge:
		case <-wait.C:
		}
		v.lease.mu.Lock()
		identity := v.lease.authority
		v.lease.mu.Unlock()
		if identity == "" {
			wait.Reset(firstStreamPoll)
			continue
		}
		sent := v.now()
		elapsed := v.elapsed(sent)
		apart := sent.Round(0).Sub(v.epoch.Round(0)) - elapsed
		if apart-offset > time.Second {
			// The machine slept: what keys had left was counted on a clock that stood still.
			v.cache.forget(elapsed)
			offset = apart
		}
		offset = min(offset, apart)
		granted, err := v.renewOnce(ctx, identity)
		if err != nil {
			v.stats.renewalErrors.Inc()
			wait.Reset(retry.next())
			continue
		}
		retry = backoff{}
		v.install(sent, identity, granted)
		if granted.TTLMicros == 0 {
			wait.Reset(refusedPause)
			continue
		}
		wait.Reset(time.Duration(granted.TTLMicros) * time.Microsecond / 3)
	}
}

const (
	// firstStreamPoll is how often renew looks whether the first stream has begun; streams also wake it.
	firstStreamPoll = 100 * time.Millisecond
	// refusedPause spaces renewals that are refused because this verifier lags.
	refusedPause = 20 * time.Millisecond
	// patience is how long a stream may stay silent while renewals are refused.
	patience = 500 * time.Millisecond
	// renewTimeout bounds one renewal: a lease that comes later than this is of little use.
	renewTimeout = time.Second
)

// release gives the lease back. Nobody answers from the cache any more when it is called.
func (v *Verifier) release(ctx context.Context) {
	if v.lease.current.Load() == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	// When it fails, the lease ends by itself.
	_, _ = v.cfg.Authority.Renew(ctx, introspection.Renewal{Verifier: v.lease.name, Release: true})
}

func (v *Verifier) renewOnce(ctx context.Context, identity string) (introspection.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	return v.cfg.Authority.Renew(ctx, introspection.Renewal{
		Verifier: v.lease.name, Authority: identity, Acknowledged: v.lease.applied.Load(),
	})
}

// install publishes a lease, unless it belongs to another authority than the watch stream does.
func (v *Verifier) install(sent time.Time, asked string, granted introspection.Lease) {
	h := &v.lease
	h.mu.Lock()
	defer h.mu.Unlock()
	if granted.TTLMicros == 0 || granted.Authority != h.authority || asked != h.authority {
		// Renewals get through, but the stream is stuck or belongs to another authority: begin another, unless this one
		// has hardly begun.
		if h.rewatch != nil && v.now().Sub(h.heard) > patience {
			h.rewatch()
		}
		return
	}
	length := time.Duration(granted.TTLMicros) * time.Microsecond * (100 - margin) / 100
	l := &lease{start: sent, length: length, catchUpTo: granted.CatchUpTo}
	if before := h.current.Load(); before != nil {
		if !before.valid(sent) {
			v.stats.lapses.Inc()
		}
		l.catchUpTo = max(l.catchUpTo, before.catchUpTo)
	}
	if mutant.Is(mutant.TimerFlag) {
		l.flag = new(atomic.Bool)
		l.flag.Store(true)
		time.AfterFunc(length, func() { l.flag.Store(false) })
	}
	h.current.Store(l)
}

// backoff spaces attempts that fail: 50 ms at first, 1 s at the most, and no two verifiers in step.
type backoff struct{ delay time.Duration }

func (b *backoff) next() time.Duration {
	b.delay = min(max(2*b.delay, 50*time.Millisecond), time.Second)
	return b.delay/2 + rand.N(b.delay/2) //nolint:gosec // jitter, not a secret
}
