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

// uses collects which keys were used, each once a minute. What does not fit is lost: no request waits for it. Times are since the
// verifier's epoch.
type uses struct {
	full atomic.Bool // so that nobody takes the lock for nothing

	mu      sync.Mutex // guards the following field
	waiting []use
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

// len returns how many wait.
func (u *uses) len() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.waiting)
}

// take returns what waits.
func (u *uses) take(now time.Duration) introspection.Uses {
	u.mu.Lock()
	defer u.mu.Unlock()
	report := introspection.Uses{Uses: make([]introspection.Use, len(u.waiting))}
	for i, use := range u.waiting {
		report.Uses[i] = introspection.Use{KeyID: use.caller.KeyID, AgoMicros: (now - use.at).Microseconds()}
	}
	u.waiting = nil
	u.full.Store(false)
	return report
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
	report := v.uses.take(v.elapsed(v.now()))
	if len(report.Uses) == 0 {
		return
	}
	if v.cfg.Authority.Report(ctx, report) != nil {
		v.stats.reportErrors.Inc()
		return
	}
	v.stats.reports.Inc()
}
