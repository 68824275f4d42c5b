package bench_test

import (
	"database/sql"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/verifier"
)

// rotationRows compares a rotation, which waits for all verifiers, with a commit on the same server. Each rotation finds the key
// in every cache, and afterwards none may accept it.
func rotationRows(t *testing.T, out *table, e effort, cluster *dbtest.Cluster, verifiers int) {
	t.Helper()
	connection := cluster.Database(t).String()
	manager := startKeyManager(t, connection)
	db, err := sql.Open("pgx", connection)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Exec("CREATE TABLE commits (at timestamptz)"); err != nil {
		t.Fatal(err)
	}
	minted, err := manager.management.MintKey(t.Context(), contextID, "rotated", client.MintOptions{})
	if err != nil {
		t.Fatal(err)
	}
	key := minted.Key.Reveal()
	all := make([]*verifier.Verifier, verifiers)
	for i := range all {
		if all[i], err = verifier.New(verifier.Config{Authority: manager.asker(t)}); err != nil {
			t.Fatal(err)
		}
		defer all[i].Close()
		await(t, func() bool { return all[i].Stats().LeaseValid })
	}
	var commits, rotations []float64 // milliseconds
	stale := 0
	for range e.changes {
		start := time.Now()
		if _, err := db.Exec("INSERT INTO commits VALUES (now())"); err != nil {
			t.Fatal(err)
		}
		commits = append(commits, milliseconds(time.Since(start)))
		for _, v := range all { // into every cache
			if _, err := v.Verify(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
		start = time.Now()
		rotated, err := manager.management.RotateKey(t.Context(), contextID, "rotated", client.RotateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		rotations = append(rotations, milliseconds(time.Since(start)))
		for _, v := range all {
			if _, err := v.Verify(t.Context(), key); err == nil {
				stale++
			}
		}
		key = rotated.Key.Reveal()
	}
	p99, commit := quantile(rotations, 0.99), quantile(commits, 0.99)
	out.add(fmt.Sprintf("rotate, %d verifiers, p99 ÷ a durable commit, p99", verifiers), "≤ 5", fmt.Sprintf("%.2f (%.1f ms ÷ %.1f ms)", p99/commit, p99, commit), p99/commit <= 5)
	p50, commit := median(rotations), median(commits)
	out.add("  the medians of both", "", fmt.Sprintf("%.2f (%.1f ms ÷ %.1f ms)", p50/commit, p50, commit), p50/commit <= 5)
	out.add(fmt.Sprintf("  stale accepts after %d rotations", e.changes), "0", strconv.Itoa(stale), stale == 0)
	if stale > 0 {
		t.Errorf("%d stale accepts", stale)
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// goneRow measures a rotation right after a verifier was lost.
func goneRow(t *testing.T, out *table, cluster *dbtest.Cluster) {
	t.Helper()
	const lease = 2 * time.Second
	manager := startKeyManager(t, cluster.Database(t).String())
	if _, err := manager.management.MintKey(t.Context(), contextID, "rotated", client.MintOptions{}); err != nil {
		t.Fatal(err)
	}
	link := &cut{Client: manager.asker(t)}
	v, err := verifier.New(verifier.Config{Authority: link})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	await(t, func() bool { return v.Stats().LeaseValid })
	link.gone.Store(true)
	start := time.Now()
	if _, err := manager.management.RotateKey(t.Context(), contextID, "rotated", client.RotateOptions{}); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	out.add("rotate when a verifier is gone", "≤ lease (2 s)", took.Round(time.Millisecond).String(), took <= lease+50*time.Millisecond)
}
