package verifier

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// reportEvery is how often the keys that were used are reported.
const reportEvery = 10 * time.Second

// uses collects which keys were used. What does not fit is lost: no request waits for it.
type uses struct {
	full atomic.Bool // so that nobody takes the lock for nothing

	mu   sync.Mutex // guards the following field
	list []use      // a key that the cache does not hold may be in it several times
}

type use struct {
	caller *caller.Caller
	at     time.Time
}

// add notes a use of c. It does not read c, which the processor may have to fetch.
func (u *uses) add(c *caller.Caller, now time.Time) {
	if u.full.Load() {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.list) == introspection.MaxUses {
		u.full.Store(true)
		return
	}
	u.list = append(u.list, use{c, now})
}

func (u *uses) take(now time.Time) introspection.Uses {
	u.mu.Lock()
	taken := slices.Clone(u.list)
	clear(u.list)
	u.list = u.list[:0]
	u.full.Store(false)
	u.mu.Unlock()
	last := make(map[string]time.Time, len(taken))
	for _, use := range taken {
		last[use.caller.KeyID] = use.at
	}
	report := introspection.Uses{Uses: make([]introspection.Use, 0, len(last))}
	for key, at := range last {
		report.Uses = append(report.Uses, introspection.Use{KeyID: key, AgoMicros: now.Sub(at).Microseconds()})
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
