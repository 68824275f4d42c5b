package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
)

// denseRevisions: transactions that fail after they have taken a number give it back.
func denseRevisions(t *testing.T, subject Subject) {
	s := subject.Store
	if subject.Replica != nil {
		subject.Exec(t, `ALTER TABLE audit_log ADD CHECK (context_id <> 'bad' OR action <> 'key.rotated')`)
	} else {
		subject.Exec(t, `CREATE TRIGGER spoil BEFORE INSERT ON audit_log WHEN NEW.context_id = 'bad' AND NEW.action = 'key.rotated'
			BEGIN SELECT RAISE(ABORT, 'spoilt'); END`)
	}
	const each = 5
	for _, id := range []string{"a", "b", "bad"} {
		create(t, s, id)
		mintKey(t, s, id, "k")
	}
	race(6, func(i int) {
		id := []string{"a", "b", "bad"}[i%3]
		for range each {
			seal := sealed(t, "", "", "").Seal
			if _, _, err := s.RotateKey(t.Context(), id, "k", reseal(seal)); (err != nil) != (id == "bad") {
				t.Errorf("rotating in %s: %v", id, err)
			}
		}
	})
	if n, newest := subject.Count(t, "SELECT count(*) FROM revisions"), newestRevision(t, s); n != 4*each || newest != n {
		t.Errorf("%d revisions, the newest is %d, want %d", n, newest, 4*each)
	}
}

func history(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	k := mintKey(t, s, "acme", "k")
	if newest, err := s.Newest(t.Context()); err != nil || newest != 0 {
		t.Errorf("before the first the newest is %d, %v", newest, err)
	}
	for range 3 {
		revise(t, s, "k")
	}
	wantRevisions(t, s, 0, 100, true, 1, 2, 3)
	wantRevisions(t, s, 0, 2, true, 1, 2)
	wantRevisions(t, s, 1, 100, true, 2, 3)
	wantRevisions(t, s, 3, 100, true)
	got, _, err := s.Revisions(t.Context(), 2, 1)
	want := revision.Numbered{Revision: 3, Change: revision.Change{Kind: revision.KeyRotated, Subject: k.ID, ContextID: "acme"}}
	if err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	prune := func() {
		t.Helper()
		if err := s.Prune(t.Context(), ttl, ttl); err != nil {
			t.Fatal(err)
		}
	}
	prune()
	wantRevisions(t, s, 0, 100, true, 1, 2, 3)
	subject.Age(t, "revisions", "at", 2*ttl)
	revise(t, s, "k")
	prune()
	wantRevisions(t, s, 0, 100, false, 4)
	wantRevisions(t, s, 2, 100, false, 4)
	wantRevisions(t, s, 3, 100, true, 4)
	subject.Age(t, "revisions", "at", 2*ttl)
	prune() // never the newest: its number would be taken again
	if next := revise(t, s, "k"); next != 5 {
		t.Errorf("after all the others are gone the next revision is %d", next)
	}
}

func wantRevisions(t *testing.T, s Store, after int64, limit int, whole bool, want ...int64) {
	t.Helper()
	found, complete, err := s.Revisions(t.Context(), after, limit)
	got := make([]int64, len(found))
	for i, n := range found {
		got[i] = n.Revision
	}
	if err != nil || complete != whole || !slices.Equal(got, want) {
		t.Errorf("after %d: %v, whole %t, %v; want %v, whole %t", after, got, complete, err, want, whole)
	}
}

// listen: a revision of one replica is heard by another.
func listen(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	mintKey(t, s, "acme", "k")
	listener := s
	if subject.Replica != nil {
		listener = subject.Replica(t)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	heard, ended := make(chan int64, 100), make(chan error, 1)
	go func() { ended <- listener.Listen(ctx, func(newest int64) { heard <- newest }) }()
	if subject.Replica != nil {
		if newest := await(t, heard, "listening"); newest != 0 {
			t.Errorf("it may have missed some, but says that %d is the newest", newest)
		}
		mintKey(t, s, "acme", "silent") // takes no revision
		revised := revise(t, s, "k")
		if newest := await(t, heard, "a revision of another replica"); newest != revised {
			t.Errorf("heard of %d, want %d", newest, revised)
		}
		deleted, err := s.DeleteKey(t.Context(), "acme", "k", anyKey)
		if err != nil {
			t.Fatal(err)
		}
		if newest := await(t, heard, "another revision of another replica"); newest != deleted {
			t.Errorf("heard of %d, want %d", newest, deleted)
		}
		if len(heard) != 0 {
			t.Error("one revision was heard twice, or a mint was")
		}
	}
	cancel()
	if err := await(t, ended, "the end"); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}

func await[T any](t *testing.T, from <-chan T, what string) (got T) {
	t.Helper()
	select {
	case got = <-from:
	case <-time.After(time.Minute):
		t.Fatalf("waited in vain for %s", what)
	}
	return got
}

func retirePeppers(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	mintKey(t, s, "acme", "k")
	retire := func(kept ...uint16) {
		t.Helper()
		if err := s.RetirePeppers(t.Context(), kept); err != nil {
			t.Fatal(err)
		}
	}
	retire(2, 1)
	if newest := newestRevision(t, s); newest != 0 {
		t.Errorf("with every pepper kept: revision %d", newest)
	}
	retire(2)
	got, _, err := s.Revisions(t.Context(), 0, 100)
	if err != nil || len(got) != 1 || got[0].Kind != revision.PepperRetired {
		t.Fatalf("with a key's pepper gone: %+v, %v", got, err)
	}
	if want := (introspection.Event{Revision: 1, Kind: introspection.SubjectDeployment}); got[0].Event() != want {
		t.Errorf("verifiers are told %+v, want %+v", got[0].Event(), want)
	}
	if n := subject.Count(t, "SELECT count(*) FROM audit_log WHERE action = 'pepper.retired'"); n != 1 {
		t.Errorf("%d audit entries, want 1", n)
	}
}

func recordUses(t *testing.T, subject Subject) {
	s := subject.Store
	const keys = 300
	var report []introspection.Use
	for i := range keys {
		id := fmt.Sprintf("key%03d", i)
		report = append(report, introspection.Use{KeyID: id}, introspection.Use{KeyID: id},
			introspection.Use{KeyID: id, AgoMicros: (5 * time.Minute).Microseconds()})
	}
	if err := s.RecordUses(t.Context(), report); err != nil {
		t.Fatal(err)
	}
	if n := subject.Count(t, "SELECT count(*) FROM key_uses"); n != 2*keys {
		t.Errorf("%d rows, want one per key and minute: %d", n, 2*keys)
	}
	// Four verifiers tell the same in an order of their own. In the order of the reports these would wait for each other.
	race(4, func(i int) {
		mine := slices.Clone(report)
		if i%2 == 1 {
			slices.Reverse(mine)
		}
		if err := s.RecordUses(t.Context(), mine); err != nil {
			t.Errorf("recording what others record: %v", err)
		}
	})
	if n := subject.Count(t, "SELECT count(*) FROM key_uses WHERE key_id = 'key000'"); n < 2 || n > 4 {
		t.Errorf("%d rows of one key in at most four minutes", n) // the race may have crossed into the next one
	}
	if err := s.RecordUses(t.Context(), nil); err != nil {
		t.Errorf("nothing: %v", err)
	}
}

func pruneUses(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	k := mintKey(t, s, "acme", "k")
	idle := mintKey(t, s, "acme", "idle")
	ago := func(id string, d time.Duration) introspection.Use {
		return introspection.Use{KeyID: id, AgoMicros: d.Microseconds()}
	}
	err := s.RecordUses(t.Context(), []introspection.Use{
		ago(k.ID, 5*ttl), ago(k.ID, 4*ttl), ago(k.ID, ttl/2), ago(k.ID, ttl/4),
		ago(idle.ID, 5*ttl), ago(idle.ID, 4*ttl), ago("gone", 4*ttl), ago("gone", ttl/4),
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Prune(t.Context(), ttl, ttl); err != nil {
			t.Fatal(err)
		}
		for id, want := range map[string]int64{k.ID: 2, idle.ID: 1, "gone": 1} {
			if n := subject.Count(t, "SELECT count(*) FROM key_uses WHERE key_id = '"+id+"'"); n != want {
				t.Errorf("%d uses are left of one that should have %d", n, want)
			}
		}
	}
	// Of the idle one, the last.
	if n := subject.Count(t, "SELECT count(*) FROM key_uses WHERE key_id = '"+idle.ID+"' AND minute < (SELECT min(minute) FROM key_uses WHERE key_id = 'gone')"); n != 1 {
		t.Errorf("%d rows", n)
	}
}
