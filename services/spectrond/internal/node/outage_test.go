package node_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/dataplane"
	"github.com/spectron-hq/spectron/services/keymanager"
	"github.com/spectron-hq/spectron/services/spectrond/internal/migration"
	"github.com/spectron-hq/spectron/services/spectrond/internal/torture/faultproxy"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

// deployment is both planes, as they are when deployed, with a link between them that can be cut.
type deployment struct {
	control    *keymanager.Service
	data       *dataplane.Service
	link       *faultproxy.Proxy
	metrics    *prometheus.Registry
	management apikey.Key
}

func deploy(t *testing.T, lease time.Duration, edits ...func(*keymanager.Config, *dataplane.Config)) *deployment {
	t.Helper()
	store, log := dbtest.Postgres(t), slog.New(slog.DiscardHandler)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	target := migration.Target{ConnectionString: store, Planes: migration.Planes(), Log: log}
	must(target.Up(t.Context(), func(migration.Plane, int) error { return nil }))
	secret := settings.Secret(strings.Repeat("s", introspection.MinServiceSecret))
	d := &deployment{metrics: prometheus.NewRegistry()}
	var err error
	control := keymanager.Config{
		ConnectionString: settings.Secret(store), Pepper: "a pepper for tests that is long enough", ServiceSecret: secret, LeaseTTL: lease, Log: log,
	}
	data := dataplane.Config{ConnectionString: settings.Secret(store), ServiceSecret: secret, Log: log, Metrics: d.metrics, Version: "test"}
	for _, edit := range edits {
		edit(&control, &data)
	}
	d.control, err = keymanager.Open(t.Context(), control)
	must(err)
	server := httptest.NewServer(d.control.Handler())
	d.link, err = faultproxy.Listen(t.Context(), server.Listener.Addr().String())
	must(err)
	data.ManagementURL = "http://" + d.link.Address()
	d.data, err = dataplane.Open(t.Context(), data)
	must(err)
	t.Cleanup(func() {
		for _, end := range []func() error{d.data.Close, d.link.Close} {
			if err := end(); err != nil {
				t.Error(err)
			}
		}
		server.Close()
		if err := d.control.Close(); err != nil {
			t.Error(err)
		}
	})
	first := [2]apikey.Key{}
	for i := range first {
		first[i], err = apikey.Mint(apikey.NewID())
		must(err)
	}
	d.management = first[0]
	must(d.control.Bootstrap(t.Context(), introspection.Enrolment{
		Attempt: apikey.NewID(), ContextID: "acme", Management: introspection.Enrol(first[0]), Context: introspection.Enrol(first[1]),
	}))
	return d
}

func send(handler http.Handler, method, target, key string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, bytes.NewReader(nil))
	r.Header.Set("Authorization", "Bearer "+key)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

// mint makes n keys.
func (d *deployment) mint(t *testing.T, n int) []string {
	t.Helper()
	keys := make([]string, n)
	each(n, func(i int) {
		w := send(d.control.Handler(), http.MethodPost, fmt.Sprintf("/api/v1/contexts/acme/keys/k%d", i), d.management.Reveal())
		var minted struct{ Key string }
		if err := json.Unmarshal(w.Body.Bytes(), &minted); err != nil || w.Code != http.StatusCreated {
			t.Errorf("minting: status %d, %v", w.Code, err)
		}
		keys[i] = minted.Key
	})
	if t.Failed() {
		t.FailNow()
	}
	return keys
}

// each calls fn for 0 to n-1, eight at a time.
func each(n int, fn func(i int)) {
	var next atomic.Int64
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				fn(i)
			}
		})
	}
	wait.Wait()
}

// ask sends one request with each key and returns how many got each status.
func (d *deployment) ask(keys []string) map[int]int {
	var mu sync.Mutex
	statuses := make(map[int]int)
	each(len(keys), func(i int) {
		w := send(d.data.Handler(), http.MethodGet, "/api/v1/acme/me", keys[i])
		mu.Lock()
		defer mu.Unlock()
		statuses[w.Code]++
	})
	return statuses
}

func (d *deployment) metric(t *testing.T, name string) int {
	t.Helper()
	families, err := d.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			m := family.GetMetric()[0]
			return int(m.GetCounter().GetValue() + m.GetGauge().GetValue())
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// awaitLease waits until the data plane's lease is as it should be.
func (d *deployment) awaitLease(t *testing.T, valid int) {
	t.Helper()
	for limit := time.Now().Add(time.Minute); d.metric(t, "spectron_verifier_lease_valid") != valid; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("waited in vain for lease_valid to be %d", valid)
		}
	}
}

// The link between the planes is cut for longer than a lease. What the data plane remembers is of no use meanwhile, and of
// full use afterwards: its hot keys cost the key manager not one look-up when the link is back. With the torture there are ten
// thousand of them.
func TestAnOutageOfTheKeyManager(t *testing.T) {
	t.Parallel()
	n := 500
	if os.Getenv("SPECTRON_TORTURE") != "" {
		n = 10_000
	}
	d := deploy(t, 2*time.Second)
	keys := d.mint(t, n)
	d.awaitLease(t, 1)
	const asked, lapses = "spectron_verifier_asked_keys_total", "spectron_verifier_lease_lapses_total"
	for range 2 { // on a slow machine a lease may lapse in between, and the answers of that time are not remembered
		if got := d.ask(keys); got[http.StatusOK] != n {
			t.Fatalf("before: %v", got)
		}
	}

	heal := d.link.Break(faultproxy.Fault{Kind: faultproxy.Cut})
	d.awaitLease(t, 0)
	if got := d.ask(keys); got[http.StatusServiceUnavailable] != n {
		t.Errorf("while the link is cut: %v, want 503 alone", got)
	}
	refusal := send(d.data.Handler(), http.MethodGet, "/api/v1/acme/me", keys[0])
	var problem fault.Problem
	if err := json.Unmarshal(refusal.Body.Bytes(), &problem); err != nil || problem.Err(refusal.Code).Kind != fault.AuthorityUnavailable {
		t.Errorf("the refusal is of the type %q, %v", problem.Type, err)
	}
	if refusal.Header().Get("Retry-After") == "" {
		t.Error("the refusal does not say when to try again")
	}

	heal()
	before := d.metric(t, asked)
	start := time.Now()
	d.awaitLease(t, 1)
	t.Logf("%v after the link healed the cache is trusted; until then %d keys were asked about", time.Since(start), d.metric(t, asked)-before)
	for range 5 {
		before, steady := d.metric(t, asked), d.metric(t, lapses)
		got := d.ask(keys)
		again := d.metric(t, asked) - before
		if d.metric(t, lapses) != steady || d.metric(t, "spectron_verifier_lease_valid") == 0 {
			continue // this machine is slow, and another lease has lapsed
		}
		t.Logf("%d requests with %d hot keys after recovery: %v, %d keys asked about", n, n, got, again)
		if got[http.StatusOK] != n || again != 0 {
			t.Errorf("after recovery: %v, and %d keys were asked about; want every request answered from memory", got, again)
		}
		return
	}
	t.Error("no lease lasted long enough for a look at the recovery")
}
