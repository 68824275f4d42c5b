package verifier

import (
	"context"
	"sync"
	"time"

	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// reportEvery is how often the keys that were used are reported.
const reportEvery = 10 * time.Second

// uses collects which keys were used. What does not fit is lost: no request waits for it.
type uses struct {
	mu   sync.Mutex // guards the following field
	last map[string]time.Time
}

func (u *uses) add(key string, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last == nil {
		u.last = make(map[string]time.Time)
	}
	if _, known := u.last[key]; known || len(u.last) < introspection.MaxUses {
		u.last[key] = now
	}
}

func (u *uses) take(now time.Time) introspection.Uses {
	u.mu.Lock()
	taken := u.last
	u.last = nil
	u.mu.Unlock()
	report := introspection.Uses{Uses: make([]introspection.Use, 0, len(taken))}
	for key, at := range taken {
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
