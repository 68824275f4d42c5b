package hook_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/migrations"
	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/keymanager/internal/hook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
	"github.com/spectron-hq/spectron/services/keymanager/internal/store"
)

func TestBothSecretsSignForAWhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dbtest.SQLite(t))
	r := receive(t, nil)
	e, old := w.endpoint(t, r.URL)
	w.deliver(t, w.records, hook.Options{})
	send := func(secret string, fine bool) {
		t.Helper()
		r.mu.Lock()
		before := len(r.accepted)
		r.secret, r.bad = secret, nil
		r.mu.Unlock()
		_, err := w.registry.Test(t.Context(), e.ID)
		must(t, err)
		r.await(t, "a test arrives", func() bool { return len(r.accepted) > before })
		r.mu.Lock()
		defer r.mu.Unlock()
		if (len(r.bad) == 0) != fine {
			t.Errorf("verified %v, want %v: %v", len(r.bad) == 0, fine, r.bad)
		}
	}
	send(old, true)
	_, fresh, err := w.registry.RotateSecret(t.Context(), e.ID, nil)
	must(t, err)
	send(old, true)
	send(fresh, true)
	_, last, err := w.registry.RotateSecret(t.Context(), e.ID, new(time.Duration(0)))
	must(t, err)
	send(last, true)
	send(fresh, false)
	if _, _, err := w.registry.RotateSecret(t.Context(), e.ID, new(hook.MaxGrace+1)); err == nil {
		t.Error("a grace without bound is accepted")
	}
}

// TestTheOldSecretEnds looks at what is signed with after the grace, by the authority's clock.
func TestTheOldSecretEnds(t *testing.T) {
	t.Parallel()
	var later atomic.Int64
	db, err := database.Open(t.Context(), dbtest.SQLite(t), "control")
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	files, err := migrations.Control(db.Engine.String())
	must(t, err)
	_, err = database.Migrate(t.Context(), db, database.Migrations{FS: files, Schema: "control", Table: "control_migrations"})
	must(t, err)
	ring, err := secret.ParseKeyring("a pepper for tests that is long enough")
	must(t, err)
	w := &world{ring: ring, guard: hook.NewGuard(loopback)}
	w.records = store.New(db, func() time.Time { return time.Now().Add(time.Duration(later.Load())) })
	w.registry = hook.NewRegistry(w.records, ring, w.guard)
	r := receive(t, nil)
	e, old := w.endpoint(t, r.URL)
	r.secret = old
	_, _, err = w.registry.RotateSecret(t.Context(), e.ID, new(time.Hour))
	must(t, err)
	w.deliver(t, w.records, hook.Options{})
	for i, fine := range []bool{true, false} {
		_, err := w.registry.Test(t.Context(), e.ID)
		must(t, err)
		r.await(t, "a test arrives", func() bool { return r.n > i && len(r.accepted) == i+1 })
		r.mu.Lock()
		if (len(r.bad) == 0) != fine {
			t.Errorf("message %d verifies with the old secret: %v, want %v", i, len(r.bad) == 0, fine)
		}
		r.mu.Unlock()
		later.Store(int64(time.Hour))
	}
}
