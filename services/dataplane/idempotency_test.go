package dataplane_test

import (
	"bytes"
	"net/http"
	"sync"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/dataplane"
)

const factsPath = "/api/v1/acme/facts"

func TestIdempotentWriteHappensOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		write := func(key, body string) answer {
			t.Helper()
			return p.call(t, key, http.MethodPost, factsPath, body, "Idempotency-Key", "k-1")
		}
		first := write(admin, `{"text":"otter caf\u00e9","labels":["a=b"],"scopes":["/"],"unknown":1}`)
		// The same JSON, as another language writes it.
		again := write(admin, `{ "unknown": 1.0, "scopes": ["/"], "labels": ["a=b"], "text": "otter café" }`)
		if first.status != http.StatusOK || again.status != http.StatusOK || !bytes.Equal(first.body, again.body) {
			t.Errorf("first %d %s, again %d %s", first.status, first.body, again.status, again.body)
		}
		for _, body := range []string{`{"text":"badger"}`, `{"text":"otter café","labels":["a=b"],"scopes":["/"],"unknown":2}`} {
			if got := write(admin, body); got.status != http.StatusConflict {
				t.Errorf("another body: %d %s", got.status, got.body)
			}
		}
		other := p.agent(t, "other", "/*")
		if got := write(other, `{"text":"badger"}`); got.status != http.StatusOK {
			t.Errorf("another principal: %d %s", got.status, got.body)
		}
		if got := p.call(t, p.authority.Key(t, "acme", "acme-2", "admin", grant.All()), http.MethodPost, factsPath,
			`{"text":"badger"}`, "Idempotency-Key", "k-1"); got.status != http.StatusOK {
			t.Errorf("another context: %d %s", got.status, got.body)
		}
		if got := p.recall(t, admin, `{"query":"otter"}`); len(got.Hits) != 1 {
			t.Errorf("stored %v", got.texts())
		}
	})
}

func TestFailedIdempotentWriteFreesItsKey(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		bad := p.call(t, admin, http.MethodPost, factsPath, `{"text":"otter","scopes":"unregistered"}`, "Idempotency-Key", "k")
		if bad.status != http.StatusBadRequest {
			t.Fatalf("%d %s", bad.status, bad.body)
		}
		p.remember(t, admin, `{"text":"otter"}`, "Idempotency-Key", "k")
	})
}

func TestSimultaneousIdempotentWritesStoreOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		const clients = 10
		answers := make([]answer, clients)
		var wg sync.WaitGroup
		for i := range clients {
			wg.Go(func() {
				answers[i] = p.call(t, admin, http.MethodPost, factsPath, `{"text":"otter"}`, "Idempotency-Key", "k")
			})
		}
		wg.Wait()
		want := p.call(t, admin, http.MethodPost, factsPath, `{"text":"otter"}`, "Idempotency-Key", "k")
		for _, got := range answers {
			if got.status != http.StatusConflict && !bytes.Equal(got.body, want.body) {
				t.Errorf("%d %s, want %s", got.status, got.body, want.body)
			}
		}
		if got := p.recall(t, admin, `{"query":"otter"}`); len(got.Hits) != 1 {
			t.Errorf("stored %d times", len(got.Hits))
		}
	})
}

func TestIdempotencySurvivesARestart(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		first := p.remember(t, admin, `{"text":"otter"}`, "Idempotency-Key", "k")
		next, err := dataplane.Open(t.Context(), config(url, p.authority))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = next.Close() })
		p.server.Config.Handler = next.Handler()
		if again := p.remember(t, admin, `{"text":"otter"}`, "Idempotency-Key", "k"); again.ChunkID != first.ChunkID {
			t.Error("stored twice")
		}
	})
}
