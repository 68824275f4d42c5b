package purge_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/dataplane/internal/purge"
)

// plane is both sides of a purge in memory.
type plane struct {
	mu      sync.Mutex // guards the following fields
	rows    map[string]int
	expired int
	traces  int
	before  time.Time
	purges  []introspection.Purge
	done    []string
	err     error
	asked   int
}

func (p *plane) Purges(context.Context) ([]introspection.Purge, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	return p.purges, p.err
}

func (p *plane) PurgeDone(_ context.Context, incarnation string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rows[incarnation] > 0 {
		return errors.New("reported too early")
	}
	p.done = append(p.done, incarnation)
	return nil
}

func (p *plane) PurgeContext(_ context.Context, incarnation string, limit int) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := min(limit, p.rows[incarnation])
	p.rows[incarnation] -= n
	return n, nil
}

func (p *plane) PurgeExpired(_ context.Context, _ time.Time, limit int) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := min(limit, p.expired)
	p.expired -= n
	return n, nil
}

func (p *plane) PurgeTraces(_ context.Context, before time.Time, limit int) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := min(limit, p.traces)
	p.traces -= n
	p.before = before
	return n, nil
}

// heal ends the trouble; state tells how often it was asked and what was reported.
func (p *plane) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = nil
}

func (p *plane) state() (asked int, done []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked, slices.Clone(p.done)
}

func TestSweepReportsOnlyWhatIsFinal(t *testing.T) {
	t.Parallel()
	p := &plane{
		rows: map[string]int{"gone": 2500, "going": 10, "stays": 5}, expired: 2500, traces: 2500,
		purges: []introspection.Purge{{Incarnation: "going"}, {Incarnation: "gone", Final: true}},
	}
	if err := purge.New(p, p, time.Now, 30*24*time.Hour).Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.rows["gone"] != 0 || p.rows["going"] != 0 || p.rows["stays"] != 5 || p.expired != 0 {
		t.Errorf("left: %v, %d expired", p.rows, p.expired)
	}
	if age := time.Since(p.before); p.traces != 0 || age < 30*24*time.Hour || age > 31*24*time.Hour {
		t.Errorf("%d traces are left of those before %v", p.traces, p.before)
	}
	if !slices.Equal(p.done, []string{"gone"}) {
		t.Errorf("reported: %v", p.done)
	}
}

func TestRunGoesOnAfterTrouble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &plane{rows: map[string]int{"gone": 1}, purges: []introspection.Purge{{Incarnation: "gone", Final: true}}, err: errors.New("down")}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			purge.New(p, p, time.Now, 30*24*time.Hour).Run(ctx, slog.New(slog.DiscardHandler))
			close(ended)
		}()
		synctest.Wait()
		if asked, done := p.state(); asked != 1 || len(done) != 0 {
			t.Errorf("at once: asked %d times, done %v", asked, done)
		}
		p.heal()
		time.Sleep(time.Minute)
		synctest.Wait()
		if asked, done := p.state(); asked < 5 || !slices.Contains(done, "gone") {
			t.Errorf("after a minute: asked %d times, done %v", asked, done)
		}
		stop()
		<-ended
	})
}
