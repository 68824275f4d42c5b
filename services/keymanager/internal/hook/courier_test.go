package hook_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/spectron-hq/spectron/migrations"
	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/webhook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/hook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
	"github.com/spectron-hq/spectron/services/keymanager/internal/store"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// patience bounds each thing that a test waits for.
const patience = 60 * time.Second

// loopback is where the receivers of these tests are.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// world is a key manager's database with a registry of webhooks.
type world struct {
	url      string
	records  *store.Store
	ring     *secret.Keyring
	guard    *hook.Guard
	registry *hook.Registry
}

func newWorld(t *testing.T, url string) *world {
	t.Helper()
	ring, err := secret.ParseKeyring("a pepper for tests that is long enough")
	must(t, err)
	w := &world{url: url, ring: ring, guard: hook.NewGuard(loopback)}
	w.records = w.open(t)
	w.registry = hook.NewRegistry(w.records, ring, w.guard)
	c, principals, err := tenant.New(tenant.Draft{ID: "acme"})
	must(t, err)
	_, err = w.records.CreateContext(t.Context(), c, principals)
	must(t, err)
	return w
}

// open opens the database once more, as another replica does. SQLite has one process, and so one store.
func (w *world) open(t *testing.T) *store.Store {
	t.Helper()
	db, err := database.Open(t.Context(), w.url, "control")
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	if w.records != nil && db.Engine == database.SQLite {
		return w.records
	}
	files, err := migrations.Control(db.Engine.String())
	must(t, err)
	_, err = database.Migrate(t.Context(), db, database.Migrations{FS: files, Schema: "control", Table: "control_migrations"})
	must(t, err)
	return store.New(db, time.Now)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// mint mints a key: an event.
func (w *world) mint(t *testing.T, name string) {
	t.Helper()
	text, err := apikey.Mint(apikey.NewID())
	must(t, err)
	p := principal.Principal{ContextID: "acme", ID: text.ID(), DisplayName: name, Kind: "agent", Grants: grant.All(), OwnerKey: text.ID()}
	k := key.Key{ID: text.ID(), Kind: key.Context, ContextID: "acme", PrincipalID: p.ID, Name: name}
	k.Seal, k.Pepper = w.ring.Seal(text.Digest())
	_, _, err = w.records.MintKey(t.Context(), "acme", p, func(time.Time, tenant.Config) key.Key { return k })
	must(t, err)
}

// endpoint makes a webhook that leads to url.
func (w *world) endpoint(t *testing.T, url string) (hook.Endpoint, string) {
	t.Helper()
	e, text, err := w.registry.Create(t.Context(), hook.Draft{URL: &url})
	must(t, err)
	return e, text
}

// counter observes attempts.
type counter struct{ delivered, failed, refused, interrupted atomic.Int64 }

func (c *counter) Attempted(outcome string) {
	map[string]*atomic.Int64{
		"delivered": &c.delivered, "failed": &c.failed, "refused": &c.refused, "interrupted": &c.interrupted,
	}[outcome].Add(1)
}

func (*counter) Waiting(int64, time.Duration) {}

// deliver runs a courier on records until stop is called, which returns when it has ended.
func (w *world) deliver(t *testing.T, records *store.Store, options hook.Options) (seen *counter, stop func()) {
	t.Helper()
	seen = &counter{}
	options.Poll = 5 * time.Millisecond
	if options.FirstDelay == 0 {
		options.FirstDelay = 10 * time.Millisecond
	}
	courier := hook.NewCourier(records, w.ring, w.guard, options, time.Now, seen, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		courier.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return seen, stop
}

// receiver is a server that verifies what it gets with the library of Standard Webhooks, and with ours.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex // guards the rest
	secret   string
	accepted map[string]int    // by message
	bodies   map[string]string // by message
	bad      []error
	changed  chan struct{} // closed and replaced with every request
	// behave answers the n-th request, counted from 1; nil accepts all.
	behave func(n int, w http.ResponseWriter, r *http.Request) (accept bool)
	n      int
}

func receive(t *testing.T, behave func(n int, w http.ResponseWriter, r *http.Request) bool) *receiver {
	t.Helper()
	r := &receiver{accepted: map[string]int{}, bodies: map[string]string{}, changed: make(chan struct{}), behave: behave}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	r.mu.Lock()
	r.n++
	n, text := r.n, r.secret
	r.mu.Unlock()
	accept := r.behave == nil || r.behave(n, w, req)
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() {
		close(r.changed)
		r.changed = make(chan struct{})
	}()
	id := req.Header.Get("webhook-id")
	verifier, libraryErr := standardwebhooks.NewWebhook(text)
	if libraryErr == nil {
		libraryErr = verifier.Verify(body, req.Header)
	}
	if err := errors.Join(err, libraryErr, webhook.Verify(text, req.Header, body, 0)); err != nil {
		r.bad = append(r.bad, err)
	}
	if before, known := r.bodies[id]; known && before != string(body) {
		r.bad = append(r.bad, fmt.Errorf("the body of %s differs from one attempt to the next", id))
	}
	r.bodies[id] = string(body)
	if accept {
		r.accepted[id]++
	}
}

// await waits until cond holds, which is asked after every request.
func (r *receiver) await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for {
		r.mu.Lock()
		ok, changed := cond(), r.changed
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		}
	}
}

// drop ends the connection without an answer.
func drop(w http.ResponseWriter) {
	if hijacker, ok := w.(http.Hijacker); ok {
		if conn, _, err := hijacker.Hijack(); err == nil {
			_ = conn.Close()
		}
	}
}

// TestNothingIsLost sends to a receiver that fails in every way, by two replicas of which one is stopped in the middle of it.
func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		const events = 40
		stall := make(chan struct{})
		ways := []func(w http.ResponseWriter){
			func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) },
			drop,
			func(http.ResponseWriter) { <-stall }, // until its caller has given up
			func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) },
		}
		var mu sync.Mutex
		tries := map[string]int{}
		// Each message fails in three ways, each next one in others, and then no more: so all come through for certain, and soon.
		r := receive(t, func(_ int, w http.ResponseWriter, req *http.Request) bool {
			id := req.Header.Get("webhook-id")
			mu.Lock()
			tries[id]++
			try, message := tries[id], len(tries)
			mu.Unlock()
			if try > 3 {
				return true
			}
			ways[(message+try)%len(ways)](w)
			return false
		})
		t.Cleanup(sync.OnceFunc(func() { close(stall) }))
		e, text := w.endpoint(t, r.URL)
		r.secret = text
		options := hook.Options{Timeout: 300 * time.Millisecond, Drain: time.Millisecond}
		_, stop := w.deliver(t, w.records, options)
		w.deliver(t, w.open(t), options)
		for i := range events {
			w.mint(t, fmt.Sprint("k", i))
			if i == events/2 {
				stop()
			}
		}
		r.await(t, "every event is accepted", func() bool { return len(r.accepted) == events })
		r.mu.Lock()
		for _, err := range r.bad {
			t.Error(err)
		}
		r.mu.Unlock()
		left := func() int {
			pending, err := w.registry.Deliveries(t.Context(), e.ID, hook.Pending, hook.Place{}, 100)
			must(t, err)
			return len(pending)
		}
		for deadline := time.Now().Add(patience); left() > 0; time.Sleep(5 * time.Millisecond) { // what is accepted is noted a moment later
			if time.Now().After(deadline) {
				t.Fatalf("%d are pending", left())
			}
		}
	})
}

// TestASlowEndpointHoldsNobodyUp has one that never answers, with more waiting for it than may be under way.
func TestASlowEndpointHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		stall := make(chan struct{})
		var slowly, most atomic.Int64
		slow := receive(t, func(int, http.ResponseWriter, *http.Request) bool {
			for now := slowly.Add(1); ; {
				if was := most.Load(); now <= was || most.CompareAndSwap(was, now) {
					break
				}
			}
			<-stall
			slowly.Add(-1)
			return true
		})
		t.Cleanup(sync.OnceFunc(func() { close(stall) }))
		quick := receive(t, nil)
		_, slow.secret = w.endpoint(t, slow.URL)
		_, quick.secret = w.endpoint(t, quick.URL)
		const events = 12
		for i := range events {
			w.mint(t, fmt.Sprint("k", i))
		}
		w.deliver(t, w.records, hook.Options{Timeout: patience, Drain: time.Millisecond, PerEndpoint: 3})
		quick.await(t, "the quick one has everything", func() bool { return len(quick.accepted) == events })
		if most.Load() > 3 {
			t.Errorf("%d attempts at one endpoint at once", most.Load())
		}
	})
}

// TestNoProxyOfTheEnvironment has a proxy in the environment that would resolve, and call, whatever name it is given. See TestMain.
func TestNoProxyOfTheEnvironment(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t))
	for _, url := range []string{"http://receiver.invalid/", "https://receiver.invalid/"} {
		e, _ := w.endpoint(t, url)
		_, err := w.registry.Test(t.Context(), e.ID)
		must(t, err)
	}
	seen, stop := w.deliver(t, w.records, hook.Options{})
	for deadline := time.Now().Add(patience); seen.failed.Load()+seen.refused.Load() < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing happened")
		}
	}
	stop()
	if n := environmentProxy.Load(); n != 0 {
		t.Errorf("the proxy of the environment was called %d times", n)
	}
}

// TestWhatIsNotDelivered is about addresses that may not be called, redirects, and endpoints that are gone.
func TestWhatIsNotDelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t))
	inner := receive(t, nil)
	_, port, err := net.SplitHostPort(inner.Listener.Addr().String())
	must(t, err)
	redirecting := receive(t, func(_ int, w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, inner.URL, http.StatusTemporaryRedirect)
		return false
	})
	strict := *w
	strict.guard = hook.NewGuard([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	for name, test := range map[string]struct { //nolint:paralleltest // each has the courier to itself
		w       *world
		url     string
		outcome func(*counter) int64
	}{
		"a name of this machine, over TLS": {&strict, "https://localhost:" + port, func(c *counter) int64 { return c.refused.Load() }},
		"a name of this machine":           {&strict, "http://localhost:" + port, func(c *counter) int64 { return c.refused.Load() }},
		"a redirect":                       {w, redirecting.URL, func(c *counter) int64 { return c.failed.Load() }},
	} {
		t.Run(name, func(t *testing.T) {
			e, _ := w.endpoint(t, test.url)
			_, err := w.registry.Test(t.Context(), e.ID)
			must(t, err)
			seen, stop := test.w.deliver(t, w.records, hook.Options{})
			for deadline := time.Now().Add(patience); test.outcome(seen) == 0; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("nothing happened")
				}
			}
			stop()
			found, err := w.registry.Deliveries(t.Context(), e.ID, hook.Failed, hook.Place{}, 10)
			if err != nil || len(found) != 1 || found[0].LastError == "" {
				t.Errorf("%+v, %v", found, err)
			}
			must(t, w.registry.Delete(t.Context(), e.ID))
		})
	}
	if inner.n != 0 {
		t.Errorf("the inner server was called %d times", inner.n)
	}
	// What waits for an endpoint that is deleted is never sent.
	e, _ := w.endpoint(t, inner.URL)
	w.mint(t, "k")
	must(t, w.registry.Delete(t.Context(), e.ID))
	other := receive(t, nil)
	kept, text := w.endpoint(t, other.URL)
	other.secret = text
	_, err = w.registry.Test(t.Context(), kept.ID)
	must(t, err)
	w.deliver(t, w.records, hook.Options{})
	other.await(t, "another one is told", func() bool { return len(other.accepted) == 1 })
	if inner.n != 0 {
		t.Error("a deleted endpoint was called")
	}
}

// TestAStopIsShort stops while an attempt hangs: it does not count, and is made again.
func TestAStopIsShort(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t))
	stall, arrived := make(chan struct{}), make(chan struct{})
	r := receive(t, func(n int, _ http.ResponseWriter, _ *http.Request) bool {
		if n == 1 {
			close(arrived)
			<-stall
			return false
		}
		return true
	})
	t.Cleanup(sync.OnceFunc(func() { close(stall) }))
	e, text := w.endpoint(t, r.URL)
	r.secret = text
	w.mint(t, "k")
	seen, stop := w.deliver(t, w.records, hook.Options{Timeout: patience, Drain: 10 * time.Millisecond})
	<-arrived
	stop()
	if seen.interrupted.Load() != 1 {
		t.Errorf("interrupted %d", seen.interrupted.Load())
	}
	found, err := w.registry.Deliveries(t.Context(), e.ID, hook.Pending, hook.Place{}, 10)
	if err != nil || len(found) != 1 || found[0].Attempts != 0 {
		t.Fatalf("%+v, %v", found, err)
	}
	w.deliver(t, w.records, hook.Options{})
	r.await(t, "it is sent again", func() bool { return r.accepted[found[0].MessageID] == 1 })
}
