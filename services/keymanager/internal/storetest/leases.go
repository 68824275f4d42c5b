package storetest

import (
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
)

const (
	ttl      = time.Hour
	patience = ttl / 4
)

// renew renews the lease of a verifier that has applied the revisions up to acknowledged.
func renew(t *testing.T, s Store, verifier string, acknowledged int64, length time.Duration) revision.Grant {
	t.Helper()
	g, err := tryRenew(t, s, verifier, acknowledged, length)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// tryRenew does what revision.Leases does.
func tryRenew(t *testing.T, s Store, verifier string, acknowledged int64, length time.Duration) (revision.Grant, error) {
	t.Helper()
	authority, err := s.Authority(t.Context())
	if err != nil {
		return revision.Grant{}, err
	}
	g, held, err := s.ExtendLease(t.Context(), authority, verifier, acknowledged, length, patience)
	if err != nil || held {
		return g, err
	}
	return s.RenewLease(t.Context(), verifier, acknowledged, length, patience)
}

// begin bootstraps: there is no lease before.
func begin(t *testing.T, s Store) {
	t.Helper()
	if err := s.Bootstrap(t.Context(), founding(t, "first")); err != nil {
		t.Fatal(err)
	}
}

func standing(t *testing.T, s Store) revision.Standing {
	t.Helper()
	found, err := s.Standing(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// revise rotates a key of the context acme and returns the revision.
func revise(t *testing.T, s Store, keyName string) int64 {
	t.Helper()
	_, number, err := s.RotateKey(t.Context(), "acme", keyName, reseal(sealed(t, "acme", "", keyName).Seal))
	if err != nil {
		t.Fatal(err)
	}
	return number
}

func catchUp(t *testing.T, subject Subject) {
	s := subject.Store
	begin(t, s)
	create(t, s, "acme")
	mintKey(t, s, "acme", "a")
	first := revise(t, s, "a")
	if g := renew(t, s, "v", 0, ttl); !g.Extended || g.CatchUpTo != first {
		t.Fatalf("the first lease: %+v, want to catch up to %d", g, first)
	}
	second := revise(t, s, "a")
	if g := renew(t, s, "v", first, ttl); !g.Extended || g.CatchUpTo != first {
		t.Errorf("a lease that has not lapsed: %+v, want to catch up to %d", g, first)
	}
	subject.Age(t, "leases", "expires_at", 2*ttl)
	if found := standing(t, s); len(found.Acknowledged) != 0 || len(found.Lapsed) != 1 {
		t.Fatalf("after its end: %+v", found)
	}
	// The answer to the first of these may be lost.
	for range 2 {
		if g := renew(t, s, "v", first, ttl); !g.Extended || g.CatchUpTo != second {
			t.Errorf("a lease that has lapsed: %+v, want to catch up to %d", g, second)
		}
	}
	subject.Age(t, "revisions", "at", ttl)
	if g := renew(t, s, "v", first, ttl); g.Extended {
		t.Errorf("a verifier that lags: %+v", g)
	}
	if g := renew(t, s, "v", second, ttl); !g.Extended {
		t.Errorf("a verifier that has caught up: %+v", g)
	}
	if err := s.ReleaseLease(t.Context(), "v"); err != nil {
		t.Fatal(err)
	}
	if found := standing(t, s); len(found.Acknowledged)+len(found.Lapsed) != 0 {
		t.Errorf("after its release: %+v", found)
	}
}

// A renewal that is processed after a later one must not take back what that one has granted.
func leaseNeverShortens(t *testing.T, subject Subject) {
	s := subject.Store
	begin(t, s)
	create(t, s, "acme")
	mintKey(t, s, "acme", "k")
	earlier, later := revise(t, s, "k"), revise(t, s, "k")
	renew(t, s, "v", later, 2*ttl)
	renew(t, s, "v", earlier, ttl)
	subject.Age(t, "leases", "expires_at", ttl+ttl/2)
	if found := standing(t, s); len(found.Acknowledged) != 1 || found.Acknowledged["v"] != later {
		t.Errorf("%+v, want a lease that has acknowledged %d", found, later)
	}
}

// extensions: what has no lease under this authority, and what was never made, is not extended.
func extensions(t *testing.T, subject Subject) {
	s := subject.Store
	begin(t, s)
	authority, err := s.Authority(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	renew(t, s, "v", 1, ttl)
	for what, extend := range map[string]func() (revision.Grant, bool, error){
		"another verifier": func() (revision.Grant, bool, error) {
			return s.ExtendLease(t.Context(), authority, "w", 1, 2*ttl, patience)
		},
		"another authority": func() (revision.Grant, bool, error) {
			return s.ExtendLease(t.Context(), authority+"2", "v", 1, 2*ttl, patience)
		},
		"ahead of the history": func() (revision.Grant, bool, error) {
			return s.ExtendLease(t.Context(), authority, "v", 2, 2*ttl, patience)
		},
		"before all history": func() (revision.Grant, bool, error) {
			return s.ExtendLease(t.Context(), authority, "v", -1, 2*ttl, patience)
		},
	} {
		if g, held, err := extend(); held || err != nil || g.Extended {
			t.Errorf("%s: %+v, %t, %v", what, g, held, err)
		}
	}
	subject.Age(t, "leases", "expires_at", ttl)
	if found := standing(t, s); len(found.Lapsed) != 1 {
		t.Errorf("a lease that nothing extended: %+v", found)
	}
}

// rejoinRace: a verifier that gives a renewal up and sends another has one lease, whichever of them comes first.
func rejoinRace(t *testing.T, subject Subject) {
	s := subject.Store
	begin(t, s)
	replica := s
	if subject.Replica != nil {
		replica = subject.Replica(t)
	}
	for range 25 {
		if err := s.ReleaseLease(t.Context(), "v"); err != nil {
			t.Fatal(err)
		}
		var grants [4]revision.Grant
		race(len(grants), func(i int) {
			var err error
			if grants[i], err = tryRenew(t, []Store{s, replica}[i%2], "v", int64(i%2), ttl); err != nil {
				t.Errorf("rejoining: %v", err)
			}
		})
		for _, g := range grants {
			if want := (revision.Grant{Extended: true, CatchUpTo: 1}); g != want {
				t.Errorf("got %+v, want %+v", g, want)
			}
		}
		if found := standing(t, s); len(found.Acknowledged) != 1 || found.Acknowledged["v"] != 1 {
			t.Errorf("%+v, want one lease that has acknowledged 1", found)
		}
	}
}

// longestLeases: what was once allowed may have been granted.
func longestLeases(t *testing.T, subject Subject) {
	s := subject.Store
	if found := standing(t, s); found.Longest != 0 {
		t.Errorf("leases of %v before any were allowed", found.Longest)
	}
	for _, step := range []struct{ allowed, longest time.Duration }{{2 * time.Second, 2 * time.Second}, {ttl, ttl}, {time.Second, ttl}} {
		got, err := s.AllowLeases(t.Context(), step.allowed)
		if found := standing(t, s); err != nil || got != step.longest || found.Longest != step.longest {
			t.Errorf("allowing %v: %v, %v, then %v; want %v", step.allowed, got, err, found.Longest, step.longest)
		}
	}
}
