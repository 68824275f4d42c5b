package verifier

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// reportEvery is how often the keys that were used are reported.
const reportEvery = 10 * time.Second

// uses collects which keys were used, each once a minute. What does not fit is lost: no request waits for it.
type uses struct {
	full atomic.Bool // so that nobody takes the lock for nothing

	mu      sync.Mutex // guards the following fields
	waiting []use
	asked   minute

	reported minute // only take touches it, and only one goroutine takes
}

type use struct {
	caller *caller.Caller
	at     time.Time
}

// hit notes a use that the cache answered; it lets one a minute through. It does not read c, which the processor would have
// to fetch.
func (u *uses) hit(c *caller.Caller, now time.Time) {
	if u.full.Load() {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.addLocked(c, now)
}

// miss notes a use that the authority was asked about. Without a lease every one is.
func (u *uses) miss(c *caller.Caller, now time.Time) {
	if u.full.Load() {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.asked.first(c.KeyID, now) {
		u.addLocked(c, now)
	}
}

func (u *uses) addLocked(c *caller.Caller, now time.Time) {
	u.waiting = append(u.waiting, use{c, now})
	u.full.Store(len(u.waiting) >= introspection.MaxUses)
}

// take returns what waits. Hits and misses of one minute may be of the same key, so it looks again.
func (u *uses) take(now time.Time) introspection.Uses {
	u.mu.Lock()
	taken := u.waiting
	u.waiting = nil
	u.full.Store(false)
	u.mu.Unlock()
	report := introspection.Uses{Uses: make([]introspection.Use, 0, len(taken))}
	for _, use := range taken {
		if u.reported.first(use.caller.KeyID, use.at) && len(report.Uses) < introspection.MaxUses {
			report.Uses = append(report.Uses, introspection.Use{KeyID: use.caller.KeyID, AgoMicros: now.Sub(use.at).Microseconds()})
		}
	}
	return report
}

// minute is the keys of a minute of the wall clock.
type minute struct {
	number int64
	keys   map[string]struct{}
}

// first adds key, and reports whether it was not there.
func (m *minute) first(key string, now time.Time) bool {
	if number := now.Unix() / 60; number != m.number || m.keys == nil {
		m.number, m.keys = number, make(map[string]struct{})
	}
	_, known := m.keys[key]
	m.keys[key] = struct{}{}
	return !known
}

// report tells the authority, now and then, which keys were used, and once more at the end.
func (v *Verifier) report(ctx context.Context) {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			v.reportOnce(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			v.reportOnce(last)
			cancel()
			return
		}
	}
}

func (v *Verifier) reportOnce(ctx context.Context) {
	report := v.uses.take(v.now())
	if len(report.Uses) == 0 {
		return
	}
	if v.cfg.Authority.Report(ctx, report) != nil {
		v.stats.reportErrors.Inc()
		return
	}
	v.stats.reports.Inc()
}
