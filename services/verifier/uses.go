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

// roundTime is how long it takes to harvest how often every key was used: that much later it is reported, at the least.
const roundTime = time.Minute

// uses collects which keys were used, each once a minute, and how often. What does not fit is lost: no request waits for it. Times are
// since the verifier's epoch.
type uses struct {
	full atomic.Bool // so that nobody takes the lock for nothing

	mu      sync.Mutex // guards the following fields
	waiting []use
	counts  map[string]int64 // by the key's id

	segment int // to be harvested next; of the one goroutine that reports
}

type use struct {
	caller *caller.Caller
	at     time.Duration
}

func minuteOf(elapsed time.Duration) int32 { return int32(elapsed / time.Minute) } //nolint:gosec // as many are four millennia

// add notes a use. It does not read c, which the processor would have to fetch.
func (u *uses) add(c *caller.Caller, at time.Duration) {
	if u.full.Load() {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.waiting = append(u.waiting, use{c, at})
	u.full.Store(len(u.waiting) >= introspection.MaxUses)
}

// count notes that a key was used so often.
func (u *uses) count(id string, often int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, known := u.counts[id]; !known && len(u.counts) >= introspection.MaxUses {
		return
	}
	if u.counts == nil {
		u.counts = make(map[string]int64)
	}
	u.counts[id] += often
}

// room reports whether another key may be counted.
func (u *uses) room() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.counts) < introspection.MaxUses
}

// len returns how many wait.
func (u *uses) len() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.waiting)
}

// take returns what waits, and of the counts as much as there is room for besides.
func (u *uses) take(now time.Duration) introspection.Uses {
	u.mu.Lock()
	defer u.mu.Unlock()
	report := introspection.Uses{Uses: make([]introspection.Use, len(u.waiting))}
	for i, use := range u.waiting {
		report.Uses[i] = introspection.Use{KeyID: use.caller.KeyID, AgoMicros: (now - use.at).Microseconds()}
	}
	u.waiting = nil
	u.full.Store(false)
	for id, often := range u.counts {
		if len(report.Uses) >= introspection.MaxUses {
			break
		}
		report.Uses = append(report.Uses, introspection.Use{KeyID: id, Count: often})
		delete(u.counts, id)
	}
	return report
}

// report tells the authority, now and then, which keys were used, and once more at the end.
func (v *Verifier) report(ctx context.Context) {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			// While the authority cannot be reached, the counts wait where they are.
			if v.lease.trusted(v.now()) {
				v.gather(int(segments*reportEvery/roundTime) + 1)
			}
			v.reportOnce(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			for more := true; more && last.Err() == nil; {
				v.gather(segments)
				more = v.reportOnce(last)
			}
			cancel()
			return
		}
	}
}

// gather harvests how often the keys of some segments were used.
func (v *Verifier) gather(parts int) {
	v.uses.segment = v.cache.harvest(v.uses.segment, parts, v.uses.room, v.uses.count)
}

// reportOnce reports whether there was something to report that got through.
func (v *Verifier) reportOnce(ctx context.Context) bool {
	report := v.uses.take(v.elapsed(v.now()))
	if len(report.Uses) == 0 {
		return false
	}
	if v.cfg.Authority.Report(ctx, report) != nil {
		v.stats.reportErrors.Inc()
		return false
	}
	v.stats.reports.Inc()
	return true
}
