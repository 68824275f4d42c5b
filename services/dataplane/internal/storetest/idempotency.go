package storetest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/dataplane/internal/fingerprint"
	"github.com/spectron-hq/spectron/services/dataplane/internal/idempotency"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
	"github.com/spectron-hq/spectron/services/dataplane/internal/session"
)

// named returns a write of text that names itself by key.
func named(t *testing.T, incarnation, key, text string) memory.Write {
	t.Helper()
	w := write(incarnation, text, sets(t, []string{"/"}))
	w.Once = &idempotency.Key{
		Incarnation: incarnation, Principal: "writer", Route: "facts", Key: key, Request: fingerprint.Of(text),
	}
	return w
}

func count(t *testing.T, s Store, incarnation, query string) int {
	t.Helper()
	return len(find(t, s, search(incarnation, query)))
}

func testOnce(t *testing.T, f Fixture) {
	in := incarnation()
	first := remember(t, f.Store, named(t, in, "k", "otter"))
	if again := remember(t, f.Store, named(t, in, "k", "otter")); again != first {
		t.Errorf("the second answer differs: %v, %v", first, again)
	}
	if n := count(t, f.Store, in, "otter"); n != 1 {
		t.Errorf("%d rows stored", n)
	}
	if _, err := f.Store.Remember(t.Context(), named(t, in, "k", "badger")); !errors.Is(err, fault.Conflict) {
		t.Errorf("another request with the same key: %v", err)
	}
	for _, change := range []func(*idempotency.Key){
		func(k *idempotency.Key) { k.Principal = "another" },
		func(k *idempotency.Key) { k.Route = "another" },
		func(k *idempotency.Key) { k.Key = "another" },
	} {
		w := named(t, in, "k", "otter")
		change(w.Once)
		if remember(t, f.Store, w) == first {
			t.Error("keys of different principals, routes or names met")
		}
	}
	if other := incarnation(); remember(t, f.Store, named(t, other, "k", "otter")) == first {
		t.Error("keys of different contexts met")
	}

	failing := named(t, in, "free", "otter")
	failing.NewSession, failing.Session.ID = false, session.NewID()
	if _, err := f.Store.Remember(t.Context(), failing); !errors.Is(err, session.ErrAbsent) {
		t.Fatalf("want a failing write, got %v", err)
	}
	remember(t, f.Store, named(t, in, "free", "badger"))
}

func testOnceConcurrently(t *testing.T, f Fixture) {
	in := incarnation()
	const writers = 8
	var wg sync.WaitGroup
	receipts := make([]memory.Receipt, writers)
	for i := range writers {
		wg.Go(func() {
			receipt, err := f.Store.Remember(t.Context(), named(t, in, "k", "otter"))
			if err != nil && !errors.Is(err, fault.Conflict) {
				t.Errorf("writer %d: %v", i, err)
			}
			receipts[i] = receipt
		})
	}
	wg.Wait()
	answered := remember(t, f.Store, named(t, in, "k", "otter"))
	for i, receipt := range receipts {
		if receipt != answered && receipt != (memory.Receipt{}) {
			t.Errorf("writer %d was told of another row", i)
		}
	}
	if n := count(t, f.Store, in, "otter"); n != 1 {
		t.Errorf("%d rows stored", n)
	}
}

func testOnceExpires(t *testing.T, f Fixture) {
	in := incarnation()
	first := remember(t, f.Store, named(t, in, "k", "otter"))
	late := named(t, in, "k", "badger")
	late.Chunk.CreatedAt = start.Add(idempotency.Lifetime)
	if remember(t, f.Store, late) == first {
		t.Error("the key outlived its time")
	}
	if n, err := f.Store.PurgeExpired(t.Context(), start.Add(-time.Hour), 100); err != nil || n != 0 {
		t.Errorf("purged before the time: %d, %v", n, err)
	}
	again := named(t, in, "k", "badger")
	again.Chunk.CreatedAt = start.Add(idempotency.Lifetime + time.Second)
	remember(t, f.Store, again)
	if n := count(t, f.Store, in, "badger"); n != 1 {
		t.Errorf("%d rows stored under the new life of the key", n)
	}
}
