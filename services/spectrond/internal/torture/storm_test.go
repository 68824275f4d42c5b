package torture_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/spectrond/internal/torture/history"
)

const (
	// stormVariable says how long the storm lasts.
	stormVariable = "SPECTRON_STORM"
	stormRate     = 200 // rotations a second
	rotating      = 64  // keys that are rotated, and so the most at once
	innocent      = 200 // keys that are not
	stormReaders  = 2   // on each data plane
	readPause     = 2 * time.Millisecond
	stormLease    = 2 * time.Second // the default
	production    = "fsync=on"
)

// TestStorm rotates keys as fast as a mass revocation would, while others are read on every data plane. No secret is accepted
// after its end, and those who have nothing to do with it notice nothing. It runs only when asked for: on a machine with other
// work its figures say little.
func TestStorm(t *testing.T) { //nolint:paralleltest // it needs the machine for itself
	text := os.Getenv(stormVariable)
	if text == "" {
		t.Skipf("a load test: set %s, such as to 60s", stormVariable)
	}
	length, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("%s: %v", stormVariable, err)
	}
	d := deploy(t, setup{cluster: dbtest.StartCluster(t, "-c", production), lease: stormLease})
	s := newStorm(t.Context(), d)
	ctx, stop := context.WithTimeout(t.Context(), length)
	defer stop()
	var blowing sync.WaitGroup
	blowing.Go(func() { s.rotate(ctx) })
	for i := range dataplanes {
		for range stormReaders {
			blowing.Go(func() { s.read(ctx, i) })
		}
	}
	blowing.Wait()
	seconds := length.Seconds()
	t.Logf("rotations: %d (%.0f/s; %d were due), %s, failed: %d", len(s.rotations), float64(len(s.rotations))/seconds,
		int(seconds*stormRate), percentiles(s.rotations), s.failed)
	t.Logf("reads of innocent keys: %d (%.0f/s), %s, failed: %d", len(s.reads), float64(len(s.reads))/seconds, percentiles(s.reads), s.harmed)
	t.Logf("reads of rotated secrets: %d", s.doubted)
	if s.failed > 0 || s.harmed > 0 {
		t.Errorf("%d rotations and %d reads of innocent keys failed", s.failed, s.harmed)
	}
	// Not the bound on how long changes take: nothing bounds that on a machine that cannot keep up.
	if err := history.Check(d.recorder.Take()); err != nil {
		d.report(err)
	} else {
		t.Log("stale accepts: 0")
	}
}

// storm is the load and what comes of it.
type storm struct {
	d         *deployment
	free      chan *key // to be rotated
	innocents []secret

	mu                      sync.Mutex // guards the following fields
	rotations, reads        []time.Duration
	failed, harmed, doubted int
}

func newStorm(ctx context.Context, d *deployment) *storm {
	d.t.Helper()
	s := &storm{d: d, free: make(chan *key, rotating)}
	if o := d.change(ctx, 0, http.MethodPost, "storm", nil); o.kind != done {
		d.t.Fatalf("making a context: status %d", o.status)
	}
	for i := range rotating + innocent {
		k := &key{d: d, context: "storm", name: fmt.Sprintf("key-%d", i)}
		if o := k.mint(ctx, i%keymanagers, ""); o.kind != done {
			d.t.Fatalf("minting a key: status %d", o.status)
		}
		if i < rotating {
			s.free <- k
			continue
		}
		current, _ := k.secrets()
		s.innocents = append(s.innocents, *current)
	}
	return s
}

// rotate begins rotations at the rate of the storm, as far as there are keys that are not being rotated.
func (s *storm) rotate(ctx context.Context) {
	tick := time.NewTicker(time.Second / stormRate)
	defer tick.Stop()
	var running sync.WaitGroup
	defer running.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		select {
		case k := <-s.free:
			running.Go(func() {
				s.rotateOne(context.WithoutCancel(ctx), k)
				s.free <- k
			})
		default:
		}
	}
}

// rotateOne rotates a key that a data plane remembers, and asks one for the old secret.
func (s *storm) rotateOne(ctx context.Context, k *key) {
	dataplane := rand.IntN(dataplanes)
	if current, _ := k.secrets(); current != nil {
		s.d.verify(ctx, dataplane, *current)
	}
	o, struck := k.rotate(ctx, rand.IntN(keymanagers))
	for _, old := range struck {
		s.d.verify(ctx, dataplane, old)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rotations = append(s.rotations, o.to-o.from)
	s.doubted += len(struck)
	if o.kind != done {
		s.failed++
	}
}

func (s *storm) read(ctx context.Context, dataplane int) {
	for ctx.Err() == nil {
		start := time.Now()
		got := s.d.verify(context.WithoutCancel(ctx), dataplane, s.innocents[rand.IntN(len(s.innocents))])
		took := time.Since(start)
		s.mu.Lock()
		s.reads = append(s.reads, took)
		if got.kind != history.Accept {
			s.harmed++
		}
		s.mu.Unlock()
		sleep(ctx, readPause)
	}
}

// percentiles describes how long things took.
func percentiles(all []time.Duration) string {
	if len(all) == 0 {
		return "none"
	}
	slices.Sort(all)
	at := func(q float64) time.Duration { return all[int(q*float64(len(all)-1))].Round(10 * time.Microsecond) }
	return fmt.Sprintf("p50 %s, p99 %s, most %s", at(0.5), at(0.99), at(1))
}
