package storetest

import (
	"fmt"
	"sync"
	"testing"

	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// revisionOrder watches the revisions while many are taken at once: whoever has seen one has seen all before it. That holds
// as long as, at any moment, as many revisions at or below the newest one are visible as there ever will be.
func revisionOrder(t *testing.T, subject Subject) {
	s := subject.Store
	const writers, each = 8, 12
	for i := range writers {
		create(t, s, fmt.Sprintf("c%d", i))
		mintKey(t, s, fmt.Sprintf("c%d", i), "k")
	}
	visible := map[int64]int64{} // how many were visible when this one was the newest
	done := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() {
		for {
			newest := newestRevision(t, s)
			visible[newest] = subject.Count(t, fmt.Sprintf("SELECT count(*) FROM revisions WHERE id <= %d", newest))
			select {
			case <-done:
				return
			default:
			}
		}
	})
	race(writers, func(i int) {
		for range each {
			if _, _, err := s.RotateKey(t.Context(), fmt.Sprintf("c%d", i), "k", reseal(sealed(t, "", "", "").Seal)); err != nil {
				t.Errorf("rotating: %v", err)
			}
		}
	})
	close(done)
	watcher.Wait()
	if newest := newestRevision(t, s); newest < writers*each {
		t.Fatalf("the newest revision is %d after %d rotations", newest, writers*each)
	}
	for newest, then := range visible {
		if now := subject.Count(t, fmt.Sprintf("SELECT count(*) FROM revisions WHERE id <= %d", newest)); now != then {
			t.Errorf("when revision %d was the newest, %d of %d up to it were visible", newest, then, now)
		}
	}
}

// newestRevision returns the newest revision as look-ups tell it.
func newestRevision(t *testing.T, s Store) int64 {
	t.Helper()
	_, snapshot := find(t, s, secret.Seal{})
	return snapshot.AsOf
}

func auditEntries(t *testing.T, subject Subject) {
	s := subject.Store
	ctx := audit.With(t.Context(), audit.Origin{Actor: audit.Operator, KeyID: "the-key", TraceID: "the-trace", Remote: "192.0.2.1"})
	if err := s.Bootstrap(ctx, founding(t, "acme")); err != nil {
		t.Fatal(err)
	}
	c, principals, err := tenant.New(tenant.Draft{ID: "other"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateContext(ctx, c, principals); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.ChangeContext(ctx, "other", func(c tenant.Context) (tenant.Context, error) { return c, nil }); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.RotateKey(ctx, "acme", "default", reseal(sealed(t, "", "", "").Seal)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.DeleteKey(ctx, "acme", "default", anyKey); err != nil {
		t.Fatal(err)
	}
	if _, err := s.DeleteContext(ctx, "other"); err != nil {
		t.Fatal(err)
	}
	for _, action := range []audit.Action{
		audit.DeploymentBootstrapped, audit.ContextCreated, audit.ContextPatched, audit.KeyRotated, audit.KeyDeleted, audit.ContextDeleted,
	} {
		query := fmt.Sprintf(`SELECT count(*) FROM audit_log WHERE action = '%s' AND actor_kind = 'management'
			AND actor_key_id = 'the-key' AND trace_id = 'the-trace' AND remote = '192.0.2.1' AND target <> ''`, action)
		if n := subject.Count(t, query); n != 1 {
			t.Errorf("%d entries of %s with their origin, want 1", n, action)
		}
	}
	mintKey(t, s, "acme", "k") // without an origin
	if n := subject.Count(t, "SELECT count(*) FROM audit_log WHERE action = 'key.minted' AND actor_kind = 'local'"); n != 1 {
		t.Errorf("%d entries of a local mint, want 1", n)
	}
}
