package verifier_test

import (
	"context"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/verifier"
)

// TestSoak changes keys, principals and contexts without a pause while others verify, and wants nobody to be accepted on what a
// change took away once it was answered. SPECTRON_SOAK is for how long, and then it is with a million keys.
func TestSoak(t *testing.T) { //nolint:paralleltest // it counts goroutines and memory
	keys, long := 20_000, 1500*time.Millisecond
	if text := os.Getenv("SPECTRON_SOAK"); text != "" {
		duration, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		keys, long = 1_000_000, duration
	}
	t.Run("all fit", func(t *testing.T) { soak(t, keys, keys, long) })          //nolint:paralleltest // see above
	t.Run("a quarter fits", func(t *testing.T) { soak(t, keys, keys/4, long) }) //nolint:paralleltest // see above
}

const stormers, readers = 8, 4

func soak(t *testing.T, keys, fit int, long time.Duration) {
	t.Helper()
	goroutines := runtime.NumGoroutine()
	w := newWorld(t, keys)
	v, err := verifier.New(verifier.Config{Authority: w, MaxKeys: fit, MaxRefused: 1000, Reread: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	for !v.Stats().LeaseValid {
		time.Sleep(time.Millisecond)
	}
	w.fill(t, v)
	before := heapNow()

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var group sync.WaitGroup
	for i := range stormers {
		group.Go(func() { w.storm(ctx, t, v, i) })
	}
	for range readers {
		group.Go(func() { w.read(ctx, t, v) })
	}
	// For as long as it is asked to, and until enough has happened to tell anything.
	for start := time.Now(); time.Since(start) < long || w.refused.Load() < 50 || v.Stats().Hits < 200; time.Sleep(10 * time.Millisecond) {
		if time.Since(start) > long+time.Minute {
			t.Error("too little happens")
			break
		}
	}
	stop()
	group.Wait()

	after, stats := heapNow(), v.Stats()
	if stats.Keys > fit || after > before+before/5+8<<20 {
		t.Errorf("%d keys are remembered of %d that fit; the heap went from %d to %d bytes", stats.Keys, fit, before, after)
	}
	v.Close()
	for start := time.Now(); runtime.NumGoroutine() > goroutines; time.Sleep(time.Millisecond) {
		if time.Since(start) > time.Minute { // what leaks stays for good
			t.Fatalf("%d goroutines where there were %d", runtime.NumGoroutine(), goroutines)
		}
	}
	t.Logf("%d changes, %d refusals seen, %d hits, %d misses, %d lapses", w.revision, w.refused.Load(), stats.Hits, stats.Misses, stats.Lapses)
}

func heapNow() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// world is an authority, and knows what was answered to those who changed something.
type world struct {
	texts, ids []string // half of them are tokens
	accounts   []string // the ids of the principals, by their places
	places     map[apikey.Digest]int
	live       []atomic.Uint32 // by key: four phases, see kill
	principals []atomic.Uint32 // twice the version that was answered, and one more while it changes
	contexts   []atomic.Uint32
	latest     [stormers]atomic.Int64 // the keys that are being changed
	refused    atomic.Int64

	mu       sync.Mutex // guards the following fields
	revision int64
	dead     map[int]bool
	versions struct{ principals, contexts []uint32 }
	stream   chan introspection.Event
	waiting  map[chan struct{}]int64 // for a revision to be acknowledged
}

const perPrincipal, perContext = 100, 1000

func newWorld(t *testing.T, keys int) *world {
	t.Helper()
	w := &world{
		texts: make([]string, keys), ids: make([]string, keys), accounts: make([]string, keys/perPrincipal), places: make(map[apikey.Digest]int, keys), live: make([]atomic.Uint32, keys),
		principals: make([]atomic.Uint32, keys/perPrincipal), contexts: make([]atomic.Uint32, keys/perContext),
		dead: make(map[int]bool), stream: make(chan introspection.Event, 2*stormers), waiting: make(map[chan struct{}]int64),
	}
	w.versions.principals, w.versions.contexts = make([]uint32, keys/perPrincipal), make([]uint32, keys/perContext)
	for i := range w.accounts {
		if w.accounts[i] = apikey.NewID(); i%2 == 1 {
			w.accounts[i] = apikey.NewAccountID()
		}
	}
	for i := range w.texts {
		w.texts[i], w.ids[i] = credentialOf(t, w.accounts[i/perPrincipal])
		w.places[apikey.DigestOf(w.texts[i])] = i
	}
	return w
}

// credentialOf mints a token for a service account, and a key for any other principal.
func credentialOf(t *testing.T, principal string) (text, id string) {
	t.Helper()
	if apikey.ValidAccountID(principal) {
		token, err := apikey.MintToken("prod", principal)
		if err != nil {
			t.Fatal(err)
		}
		return token.Reveal(), token.ID()
	}
	key, err := apikey.Mint(apikey.NewID())
	if err != nil {
		t.Fatal(err)
	}
	return key.Reveal(), key.ID()
}

// fill makes v remember as many keys as it can.
func (w *world) fill(t *testing.T, v *verifier.Verifier) {
	t.Helper()
	var group sync.WaitGroup
	var next atomic.Int64
	for range 200 {
		group.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(w.texts); i = next.Add(1) - 1 {
				if _, err := v.Verify(t.Context(), w.texts[i]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}

// storm changes one thing after the other, each like an operator who waits for the answer and then looks.
func (w *world) storm(ctx context.Context, t *testing.T, v *verifier.Verifier, worker int) {
	t.Helper()
	for ctx.Err() == nil {
		// Each worker has keys, principals and contexts of its own.
		key := rand.IntN(len(w.texts)/perContext/stormers)*perContext*stormers + worker*perContext + rand.IntN(perContext)
		w.latest[worker].Store(int64(key))
		w.check(t, v, key)
		switch rand.IntN(100) {
		case 0:
			w.narrow(t, &w.contexts[key/perContext], &w.versions.contexts[key/perContext],
				introspection.Event{Kind: introspection.SubjectContext, Context: contextName(key)})
		case 1, 2, 3, 4, 5, 6, 7, 8, 9, 10:
			w.narrow(t, &w.principals[key/perPrincipal], &w.versions.principals[key/perPrincipal],
				introspection.Event{Kind: introspection.SubjectPrincipal, Context: contextName(key), ID: w.accounts[key/perPrincipal]})
		default:
			w.kill(t, v, key)
		}
		w.check(t, v, key)
	}
}

// narrow makes another version of a principal or a context.
func (w *world) narrow(t *testing.T, answered *atomic.Uint32, version *uint32, e introspection.Event) {
	t.Helper()
	answered.Add(1)
	w.change(t, func() { *version++ }, e)
	answered.Add(1)
}

// kill revokes a key, and then allows it again.
func (w *world) kill(t *testing.T, v *verifier.Verifier, key int) {
	t.Helper()
	e := introspection.Event{Kind: introspection.SubjectKey, Context: contextName(key), ID: w.ids[key]}
	w.live[key].Add(1)
	w.change(t, func() { w.dead[key] = true }, e)
	w.live[key].Add(1)
	w.check(t, v, key)
	w.live[key].Add(1)
	w.change(t, func() { delete(w.dead, key) }, e)
	w.live[key].Add(1)
}

// change commits one revision and returns when it is acknowledged.
func (w *world) change(t *testing.T, commit func(), e introspection.Event) {
	t.Helper()
	done := make(chan struct{})
	w.mu.Lock()
	commit()
	w.revision++
	e.Revision = w.revision
	w.waiting[done] = e.Revision
	w.stream <- e // under the lock, so that revisions are in order
	w.mu.Unlock()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Error("a revision is not acknowledged")
	}
}

// read verifies keys, half of them while they are being changed.
func (w *world) read(ctx context.Context, t *testing.T, v *verifier.Verifier) {
	t.Helper()
	for i := 0; ctx.Err() == nil; i++ {
		key := rand.IntN(len(w.texts))
		if i%2 == 0 {
			key = int(w.latest[rand.IntN(stormers)].Load())
		}
		w.check(t, v, key)
	}
}

// check verifies a key and holds the outcome against what had been answered before, and still held afterwards.
func (w *world) check(t *testing.T, v *verifier.Verifier, key int) {
	t.Helper()
	live, principal, tenant := w.live[key].Load(), w.principals[key/perPrincipal].Load(), w.contexts[key/perContext].Load()
	who, err := v.Verify(t.Context(), w.texts[key])
	same := w.live[key].Load() == live
	switch {
	case err != nil && live%4 == 0 && same && t.Context().Err() == nil:
		t.Errorf("an innocent key was refused: %v", err)
	case err != nil:
		w.refused.Add(1)
	case live%4 == 2 && same:
		t.Error("a stale accept: of a revoked key")
	case who.KeyID != w.ids[key] || number(t, told(who.Principal)) < principal/2 || number(t, who.Incarnation) < tenant/2:
		t.Errorf("a stale accept: version %s of the principal in %s, when %d in %d had been answered",
			told(who.Principal), who.Incarnation, principal/2, tenant/2)
	}
}

func contextName(key int) string { return "c" + strconv.Itoa(key/perContext) }

// told returns the version of a principal: the name of one that keys are of, the actor of a service account.
func told(p *caller.Principal) string {
	if p.ServiceAccount != nil {
		return p.ServiceAccount.Actors[0]
	}
	return p.DisplayName
}

func number(t *testing.T, text string) uint32 {
	t.Helper()
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		t.Error(err)
	}
	return uint32(n)
}

// Introspect answers late, so that what it has read may have changed.
func (w *world) Introspect(_ context.Context, request introspection.Request) (introspection.Response, error) {
	answer := introspection.Response{Verdicts: make([]introspection.Verdict, len(request.Digests))}
	w.mu.Lock()
	answer.AsOf = w.revision
	for i, digest := range request.Digests {
		key, known := w.places[digest]
		if !known || w.dead[key] {
			continue
		}
		answer.Verdicts[i] = introspection.Verdict{
			Active: true, Context: contextName(key), Incarnation: version(w.versions.contexts[key/perContext]), KeyID: w.ids[key],
			Principal: w.principalLocked(key / perPrincipal),
		}
	}
	w.mu.Unlock()
	time.Sleep(rand.N(200 * time.Microsecond))
	return answer, nil
}

func (w *world) principalLocked(place int) *caller.Principal {
	id, now := w.accounts[place], version(w.versions.principals[place])
	if apikey.ValidAccountID(id) {
		return account(id, []string{now})
	}
	return &caller.Principal{ID: id, DisplayName: now}
}

func version(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

func (w *world) Renew(_ context.Context, renewal introspection.Renewal) (introspection.Lease, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for done, revision := range w.waiting {
		if revision <= renewal.Acknowledged {
			close(done)
			delete(w.waiting, done)
		}
	}
	return introspection.Lease{Authority: "a", TTLMicros: ttl.Microseconds()}, nil
}

func (w *world) Watch(ctx context.Context, _ string, after int64, fn func(introspection.Event) error) error {
	err := fn(introspection.Event{Authority: "a", Revision: after, Reset: after == 0})
	for err == nil {
		select {
		case e := <-w.stream:
			err = fn(e)
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	return err
}

func (*world) Report(context.Context, introspection.Uses) error { return nil }
