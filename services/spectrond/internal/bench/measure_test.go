package bench_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// rounds is how often two things that are compared take turns: what disturbs the machine disturbs both.
const rounds = 5

// alternate measures a and b in turn and returns the median of each.
func alternate(a, b func() float64) (float64, float64) {
	var as, bs []float64
	for range rounds {
		as, bs = append(as, a()), append(bs, b())
	}
	return median(as), median(bs)
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// quantile returns the q-quantile of durations in milliseconds.
func quantile(durations []time.Duration, q float64) float64 {
	slices.Sort(durations)
	i := min(int(q*float64(len(durations))), len(durations)-1)
	return float64(durations[i].Microseconds()) / 1000
}

// table is what the run prints.
type table struct{ rows []string }

// add adds a row. met compares the result with the goal.
func (t *table) add(measure, goal, result string, met bool) {
	verdict := "met"
	if !met {
		verdict = "MISSED"
	}
	t.rows = append(t.rows, fmt.Sprintf("%-58s | %-12s | %-44s | %s", measure, goal, result, verdict))
}

func (t *table) String() string { return "\n" + strings.Join(t.rows, "\n") + "\n" }

// perCall returns the nanoseconds that one call of f takes, over a while.
func perCall(f func(i int)) float64 {
	const while = 200 * time.Millisecond
	n := 0
	start := time.Now()
	for time.Since(start) < while {
		for range 256 {
			f(n)
			n++
		}
	}
	return float64(time.Since(start).Nanoseconds()) / float64(n)
}

// perSecond returns how many calls of f a second several workers make, over a while.
func perSecond(t *testing.T, workers int, f func() error) float64 {
	t.Helper()
	const while = 700 * time.Millisecond
	var calls atomic.Int64
	var group sync.WaitGroup
	start := time.Now()
	for range workers {
		group.Go(func() {
			for time.Since(start) < while {
				if err := f(); err != nil {
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

// get asks for url with key and wants 200.
func get(client *http.Client, url, key string) error {
	r, err := http.NewRequest(http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+key)
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	if err := answer.Body.Close(); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %d", url, answer.StatusCode)
	}
	return err
}
