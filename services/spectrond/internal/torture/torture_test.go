package torture_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

const (
	// tortureVariable says how long to go on; without it there is one short round.
	tortureVariable = "SPECTRON_TORTURE"
	shortRound      = 8 * time.Second
	longRound       = 20 * time.Second
	mutantVariable  = "SPECTRON_MUTANT"
	// lease is shorter than in production, so that there are more of them in the same time.
	lease = 500 * time.Millisecond
)

// TestTorture checks that no data plane accepts a secret after its end was answered, whatever happens meanwhile; that none
// refuses a live one; that no change takes longer than a lease and a quarter because of a verifier; and that everything works
// again when all is healed.
func TestTorture(t *testing.T) { //nolint:paralleltest // it needs the machine for itself
	span, until := shortRound, time.Time{}
	if text := os.Getenv(tortureVariable); text != "" {
		length, err := time.ParseDuration(text)
		if err != nil {
			t.Fatalf("%s: %v", tortureVariable, err)
		}
		span, until = longRound, time.Now().Add(length)
	}
	first := *seed
	if first == 0 {
		first = rand.Uint64()
	}
	// In builds with the tag mutant, the rule that the variable names is broken.
	rule := map[string]string{mutantVariable: os.Getenv(mutantVariable)}
	d := deploy(t, setup{cluster: dbtest.StartCluster(t), lease: lease, environ: rule})
	total := tally{start: time.Now()}
	for round := uint64(0); round == 0 || time.Now().Before(until) && !t.Failed(); round++ {
		torture(t, d, first+round, span, &total)
	}
	t.Logf("%s", total)
	t.Logf("%s", &d.counts)
}

// tally is what a run came to.
type tally struct {
	start                       time.Time
	rounds, operations, mishaps int
	violations                  int
}

// String tells the tally.
func (t tally) String() string {
	return fmt.Sprintf("%s: %d rounds, %d operations, %d faults; violations: %d",
		time.Since(t.start).Round(time.Second), t.rounds, t.operations, t.mishaps, t.violations)
}

// torture plays one round.
func torture(t *testing.T, d *deployment, seed uint64, span time.Duration, total *tally) {
	t.Helper()
	misfortunes := plan(rand.New(rand.NewPCG(seed, 0)), span, d.lease)
	t.Logf("round %d: -seed %d, %d faults", total.rounds+1, seed, len(misfortunes))
	w := newWorkload(t.Context(), d, fmt.Sprintf("round-%d", total.rounds+1))
	ctx, stop := context.WithCancel(t.Context())
	w.run(ctx, seed)
	d.suffer(ctx, misfortunes)
	d.awaitAll()
	rest(ctx, rand.New(rand.NewPCG(seed, 0)), time.Second)
	stop()
	w.running.Wait()
	if err := w.settle(t.Context()); err != nil {
		t.Error(err)
	}
	operations := d.recorder.Len()
	total.rounds++
	total.operations += operations
	total.mishaps += len(misfortunes)
	if err := d.check(); err != nil {
		total.violations++
		d.report(err)
		for _, m := range misfortunes {
			t.Logf("%s", m)
		}
	}
}
