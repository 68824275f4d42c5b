package bench_test

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/verifier"
)

// connections is how many the key manager keeps to its database by default, on two cores.
const connections = "10"

var tps = regexp.MustCompile(`tps = ([0-9.]+)`)

// introspectionRow compares a verifier that must ask about every request with the select-only rate that the same server gives
// pgbench, over as many connections as the key manager has.
func introspectionRow(t *testing.T, out *table, e effort, cluster *dbtest.Cluster) {
	t.Helper()
	const measure, goal = "keys introspected/s, batched ÷ pgbench -S -M prepared -c " + connections, "≥ 0.6"
	pgbench, err := findPgbench()
	if err != nil {
		out.lacks(measure, goal, "pgbench", "apt-get install postgresql-contrib")
		return
	}
	baseline := cluster.Database(t).String()
	if text, err := exec.Command(pgbench, "--initialize", "--quiet", "--scale=1", baseline).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	manager := startKeyManager(t, cluster.Database(t).String())
	v, err := verifier.New(verifier.Config{Authority: &cut{Client: manager.asker(t), noLease: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	keys := make([]string, 500)
	for i := range keys {
		minted, err := manager.management.MintKey(t.Context(), contextID, fmt.Sprintf("k%d", i), client.MintOptions{})
		if err != nil {
			t.Fatal(err)
		}
		keys[i] = minted.Key.Reveal()
	}
	// Each worker asks about keys of its own, so that none is in a question twice.
	ask := func(worker int) error {
		_, err := v.Verify(context.Background(), keys[worker])
		return err
	}
	c := compare(max(3, e.turns/3),
		func() float64 { return perSecond(t, len(keys), 5*e.while, ask) },
		func() float64 {
			text, err := exec.Command(pgbench, "--no-vacuum", "--select-only", "--protocol=prepared", "--client="+connections,
				"--jobs=2", "--time=1", baseline).CombinedOutput()
			found := tps.FindSubmatch(text)
			if err != nil || found == nil {
				t.Fatalf("%v: %s", err, text)
			}
			rate, err := strconv.ParseFloat(string(found[1]), 64)
			if err != nil {
				t.Fatal(err)
			}
			return rate
		},
	)
	out.add(measure, goal, c.in("/s"), c.ratio >= 0.6)
}

// findPgbench finds it in PATH, or where Debian keeps it.
func findPgbench() (string, error) {
	path, err := exec.LookPath("pgbench")
	if err != nil {
		var found []string
		if found, _ = filepath.Glob("/usr/lib/postgresql/*/bin/pgbench"); len(found) > 0 {
			return found[len(found)-1], nil
		}
	}
	return path, err
}
