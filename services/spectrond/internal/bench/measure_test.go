package bench_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// effort is how long to measure: pairs of short turns, and changes of which each is timed.
type effort struct {
	pairs   int           // of calls into memory, batch by batch
	turns   int           // of requests over the network, a while each
	while   time.Duration // of one turn
	changes int           // rotations, and as many commits
	starts  int           // of the program
}

var (
	full  = effort{pairs: 2000, turns: 31, while: 200 * time.Millisecond, changes: 300, starts: 9}
	quick = effort{pairs: 400, turns: 9, while: 100 * time.Millisecond, changes: 60, starts: 3}
)

// comparison is of two things that were measured in turn, a b a b and so on: what disturbs the machine disturbs both.
type comparison struct {
	a, b  float64 // medians
	ratio float64 // the median of the ratios of neighbours
}

func compare(turns int, a, b func() float64) comparison {
	as, bs, ratios := make([]float64, turns), make([]float64, turns), make([]float64, turns)
	for i := range turns {
		as[i], bs[i] = a(), b()
		ratios[i] = as[i] / bs[i]
	}
	return comparison{median(as), median(bs), median(ratios)}
}

// in tells the comparison with a unit.
func (c comparison) in(unit string) string {
	return fmt.Sprintf("%.2f (%.0f%s ÷ %.0f%s)", c.ratio, c.a, unit, c.b, unit)
}

func median(values []float64) float64 { return quantile(values, 0.5) }

func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// table is what the run prints.
type table struct{ rows []string }

// add adds a row. met says how the result compares with the goal.
func (t *table) add(measure, goal, result string, met bool) {
	verdict := "met"
	if !met {
		verdict = "MISSED"
	}
	t.row(measure, goal, result, verdict)
}

// lacks adds a row that cannot be measured here, and says what to do.
func (t *table) lacks(measure, goal, what, remedy string) {
	t.row(measure, goal, "not measured: "+what+" is missing", remedy)
}

func (t *table) row(cells ...string) {
	widths := []int{60, 15, 46}
	for i, width := range widths {
		if missing := width - len([]rune(cells[i])); missing > 0 {
			cells[i] += strings.Repeat(" ", missing)
		}
	}
	t.rows = append(t.rows, "| "+strings.Join(cells, " | ")+" |")
}

func (t *table) String() string { return "\n" + strings.Join(t.rows, "\n") + "\n" }

// perSecond returns how many calls of f a second several workers make, over a while.
func perSecond(t *testing.T, workers int, while time.Duration, f func(worker int) error) float64 {
	t.Helper()
	var calls atomic.Int64
	var group sync.WaitGroup
	start := time.Now()
	for worker := range workers {
		group.Go(func() {
			for time.Since(start) < while {
				if err := f(worker); err != nil {
					t.Error(err)
					return
				}
				calls.Add(1)
			}
		})
	}
	group.Wait()
	return float64(calls.Load()) / time.Since(start).Seconds()
}
