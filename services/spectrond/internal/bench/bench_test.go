package bench_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/verifier"
	"github.com/spectron-hq/spectron/services/verifier/ginverifier"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

// TestBench prints the table. It fails when something does not work, never because it is slow: `make bench` is for reading.
func TestBench(t *testing.T) { //nolint:paralleltest // it needs the machine for itself
	if os.Getenv("SPECTRON_BENCH") == "" {
		t.Skip("a benchmark, not a test: make bench")
	}
	var out table
	for _, n := range []int{1, 10_000, 1_000_000} {
		verifyRow(t, &out, n)
	}
	cluster := dbtest.StartCluster(t, "-c", "fsync=on", "-c", "synchronous_commit=on")
	trafficRows(t, &out, cluster)
	introspectionRow(t, &out, cluster)
	for _, n := range []int{1, 3, 10} {
		rotateRow(t, &out, cluster, n)
	}
	goneRow(t, &out, cluster)
	t.Log(&out)
}

func verifyRow(t *testing.T, out *table, n int) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	v, keys := filled(t, n)
	defer v.Close()
	runtime.GC()
	runtime.ReadMemStats(&after)
	ctx := context.Background()
	at := func(i int) string { return keys[i*7919%n] } // a stride: neighbours in time are not neighbours in memory
	verify := func(i int) {
		if _, err := v.Verify(ctx, at(i)); err != nil {
			t.Fatal(err)
		}
	}
	call, hash := alternate(
		func() float64 { return perCall(verify) },
		func() float64 { return perCall(func(i int) { sha256.Sum256([]byte(at(i))) }) },
	)
	allocs := testing.AllocsPerRun(100, func() { verify(1) })
	out.add(fmt.Sprintf("cached verify ÷ SHA-256 of the key, %d keys", n), "≤ 2.5, 0 alloc",
		fmt.Sprintf("%.2f (%.0f ns ÷ %.0f ns), %.0f allocations", call/hash, call, hash, allocs), call/hash <= 2.5 && allocs == 0)
	if n < 10_000 {
		return
	}
	texts := float64(n * (apikey.Len + 9 + 16)) // the keys themselves, rounded up, and the slice
	perKey := (float64(after.HeapAlloc) - float64(before.HeapAlloc) - texts) / float64(n)
	out.add(fmt.Sprintf("memory per cached key, %d keys", n), "≤ 250 B", fmt.Sprintf("%.0f B", perKey), perKey <= 250)
}

func trafficRows(t *testing.T, out *table, cluster *dbtest.Cluster) {
	t.Helper()
	cache := startRedis(t)
	db, err := sql.Open("pgx", cluster.Database(t).String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	db.SetMaxIdleConns(16)
	db.SetMaxOpenConns(16)
	if _, err := db.Exec("CREATE TABLE kv (k bigint PRIMARY KEY, v text); INSERT INTO kv SELECT i, 'value' FROM generate_series(1, 100000) i"); err != nil {
		t.Fatal(err)
	}
	v, keys := filled(t, 1000)
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	answer := func(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"hello": "world"}) }
	engine.GET("/plain", answer)
	engine.GET("/verified", ginverifier.Middleware(v), answer)
	engine.GET("/redis", func(c *gin.Context) {
		if err := cache.do("GET key\r\n"); err != nil {
			c.AbortWithStatus(http.StatusInternalServerError)
		}
	}, answer)
	engine.GET("/postgres", func(c *gin.Context) {
		var value string
		if err := db.QueryRowContext(c.Request.Context(), "SELECT v FROM kv WHERE k = $1", 4711).Scan(&value); err != nil {
			c.AbortWithStatus(http.StatusInternalServerError)
		}
	}, answer)
	server := httptest.NewServer(engine)
	defer server.Close()
	web := newClient()
	rate := func(path string) func() float64 {
		return func() float64 {
			return perSecond(t, 8, func() error { return get(web, server.URL+path, keys[0]) })
		}
	}
	for _, row := range []struct {
		path, measure, goal string
		least               float64
	}{
		{"/plain", "requests/s with authentication ÷ without", "≥ 0.95", 0.95},
		{"/redis", "requests/s with authentication ÷ one Redis GET each", "≥ 2", 2},
		{"/postgres", "requests/s with authentication ÷ one Postgres SELECT each", "≥ 3", 3},
	} {
		ours, theirs := alternate(rate("/verified"), rate(row.path))
		out.add(row.measure, row.goal, fmt.Sprintf("%.2f (%.0f/s ÷ %.0f/s)", ours/theirs, ours, theirs), ours/theirs >= row.least)
	}
}

var tps = regexp.MustCompile(`tps = ([0-9.]+)`)

func introspectionRow(t *testing.T, out *table, cluster *dbtest.Cluster) {
	t.Helper()
	pgbench, err := exec.LookPath("pgbench")
	if err != nil {
		t.Skip("pgbench is missing: apt-get install postgresql")
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
	next := make(chan string, 1024)
	done := make(chan struct{})
	defer close(done)
	go func() {
		for i := 0; ; i++ {
			select {
			case next <- keys[i%len(keys)]:
			case <-done:
				return
			}
		}
	}()
	ours, theirs := alternate(
		func() float64 {
			return perSecond(t, 128, func() error {
				_, err := v.Verify(context.Background(), <-next)
				return err
			})
		},
		func() float64 {
			text, err := exec.Command(pgbench, "--no-vacuum", "--select-only", "--protocol=prepared", "--client=8", "--jobs=2", "--time=1", baseline).CombinedOutput()
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
	out.add("uncached introspections/s ÷ pgbench's SELECTs/s", "≥ 0.6", fmt.Sprintf("%.2f (%.0f/s ÷ %.0f/s)", ours/theirs, ours, theirs), ours/theirs >= 0.6)
}

// changes is how many rotations and commits a row measures.
const changes = 200

func rotateRow(t *testing.T, out *table, cluster *dbtest.Cluster, verifiers int) {
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
	var commits, rotations []time.Duration
	stale := 0
	for range changes {
		start := time.Now()
		if _, err := db.Exec("INSERT INTO commits VALUES (now())"); err != nil {
			t.Fatal(err)
		}
		commits = append(commits, time.Since(start))
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
		rotations = append(rotations, time.Since(start))
		for _, v := range all {
			if _, err := v.Verify(t.Context(), key); err == nil {
				stale++
			}
		}
		key = rotated.Key.Reveal()
	}
	p99, commit := quantile(rotations, 0.99), quantile(commits, 0.99)
	out.add(fmt.Sprintf("rotate, %d verifiers, p99 ÷ one durable commit, p99", verifiers), "≤ 5",
		fmt.Sprintf("%.1f (%.1f ms ÷ %.1f ms; p50 %.1f ÷ %.1f)", p99/commit, p99, commit, quantile(rotations, 0.5), quantile(commits, 0.5)), p99/commit <= 5)
	out.add(fmt.Sprintf("stale accepts after %d rotations, %d verifiers", changes, verifiers), "0", strconv.Itoa(stale), stale == 0)
}

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
