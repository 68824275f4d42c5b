package verifier

import (
	"context"
	"sync"
	"time"

	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// reportEvery is how often the keys that were used are reported.
const reportEvery = 10 * time.Second

// uses collects which keys were used, each once a minute. What does not fit is lost: no request waits for it.
type uses struct {
	mu      sync.Mutex          // guards the following fields
	minute  int64               // of the wall clock
	seen    map[string]struct{} // in that minute
	waiting []use
}

type use struct {
	key string
	at  time.Time
}

func (u *uses) add(key string, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if minute := now.Unix() / 60; minute != u.minute || u.seen == nil {
		u.minute, u.seen = minute, make(map[string]struct{})
	}
	if _, seen := u.seen[key]; seen || len(u.waiting) >= introspection.MaxUses {
		return
	}
	u.seen[key] = struct{}{}
	u.waiting = append(u.waiting, use{key, now})
}

func (u *uses) take(now time.Time) introspection.Uses {
	u.mu.Lock()
	taken := u.waiting
	u.waiting = nil
	u.mu.Unlock()
	report := introspection.Uses{Uses: make([]introspection.Use, len(taken))}
	for i, use := range taken {
		report.Uses[i] = introspection.Use{KeyID: use.key, AgoMicros: now.Sub(use.at).Microseconds()}
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
