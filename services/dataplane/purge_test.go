package dataplane_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/dataplane"
)

func TestDeletedContextIsPurged(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		p.remember(t, admin, `{"text":"otter"}`, "Idempotency-Key", "k")
		p.authority.Delete("acme-1", true)
		if got := p.call(t, admin, http.MethodPost, "/api/v1/acme/query", `{"query":"otter"}`); got.status != http.StatusUnauthorized {
			t.Errorf("a key of a deleted context: %d", got.status)
		}
		// A data plane sweeps as soon as it starts; one more need not wait for the next round.
		next, err := dataplane.Open(t.Context(), config(url, p.authority))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = next.Close() }()
		for deadline := time.Now().Add(time.Minute); !p.authority.Purged("acme-1"); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the key manager was never told")
			}
		}
		// The same incarnation would still see its rows, were there any.
		if got := p.recall(t, p.admin(t), `{"query":"otter"}`); len(got.Hits) != 0 {
			t.Errorf("left: %v", got.texts())
		}
		if p.remember(t, p.admin(t), `{"text":"badger"}`, "Idempotency-Key", "k").ChunkID == "" {
			t.Error("the idempotency key outlived its context")
		}
	})
}
