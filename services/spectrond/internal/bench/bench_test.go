package bench_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

// TestBench prints the table. It fails when something does not work, never because it is slow: `make bench` is for reading.
// SPECTRON_BENCH is full, quick, or some of the parts below.
func TestBench(t *testing.T) { //nolint:paralleltest // it needs the machine for itself
	mode := os.Getenv("SPECTRON_BENCH")
	if mode == "" {
		t.Skip("a benchmark, not a test: make bench")
	}
	e, parts := full, mode
	if mode == "quick" {
		e = quick
	}
	if mode == "quick" || mode == "full" || mode == "1" {
		parts = "verify,candidates,traffic,introspection,rotation,memory,start"
	}
	var out table
	out.row("measure", "goal", "result", "")
	for _, n := range []int{1, 10_000, 1_000_000} { //nolint:paralleltest // one at a time
		// Each in a test of its own, so that nothing is left of its keys when the next begins.
		if strings.Contains(parts, "verify") {
			t.Run(fmt.Sprintf("verify %d", n), func(t *testing.T) { verifyRows(t, &out, e, n, "key", aKey) })
			t.Run(fmt.Sprintf("verify %d tokens", n), func(t *testing.T) { verifyRows(t, &out, e, n, "token", aToken) })
		}
		if strings.Contains(parts, "candidates") && n > 1 {
			t.Run(fmt.Sprintf("candidates %d", n), func(t *testing.T) { candidateRows(t, &out, e, n) })
		}
	}
	// Commits must last, as they do where it matters.
	cluster := dbtest.StartCluster(t, "-c", "fsync=on", "-c", "synchronous_commit=on")
	if strings.Contains(parts, "traffic") {
		trafficRows(t, &out, e, cluster)
	}
	if strings.Contains(parts, "introspection") {
		introspectionRow(t, &out, e, cluster)
	}
	if strings.Contains(parts, "rotation") {
		for _, n := range []int{1, 3, 10} {
			rotationRows(t, &out, e, cluster, n)
		}
		goneRow(t, &out, cluster)
	}
	if strings.Contains(parts, "memory") {
		memoryRows(t, &out, e, cluster)
	}
	if strings.Contains(parts, "start") {
		startRow(t, &out, e)
	}
	t.Log(&out)
}
