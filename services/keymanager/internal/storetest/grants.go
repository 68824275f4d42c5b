package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
)

// grantHistory: what every principal was allowed at any moment can be told, however it came to be.
func grantHistory(t *testing.T, subject Subject) {
	s := subject.Store
	if err := s.Bootstrap(t.Context(), founding(t, "acme")); err != nil {
		t.Fatal(err)
	}
	minted := mintKey(t, s, "acme", "flat")
	p := enrol(t, s, "p", grant.Map{})
	if n := subject.Count(t, "SELECT count(*) FROM principals WHERE NOT EXISTS (SELECT 1 FROM principal_grants WHERE principal_id = principals.id AND version = 1)"); n != 0 {
		t.Errorf("%d principals have no history", n)
	}
	later := func(at time.Time) time.Time { return at.Add(time.Hour) }
	for id, want := range map[string]grant.Map{principal.Admin: grant.All(), principal.System: {}, minted.PrincipalID: grant.All(), p.ID: {}} {
		got, err := s.GrantsAt(t.Context(), "acme", id, later(p.CreatedAt))
		if err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v", id, got, err)
		}
	}
	steps := []grant.Map{grant.All(), grant.Over(scope.Everything, grant.MemoryRead), {}}
	times := []time.Time{p.CreatedAt}
	for i, grants := range steps {
		regrant(t, s, p, grants)
		// A clock that stands still, or goes back, does not change the order.
		at := p.CreatedAt.Add(time.Duration(i+1) * time.Minute)
		subject.Exec(t, fmt.Sprintf("UPDATE principal_grants SET at = '%s' WHERE principal_id = '%s' AND version = %d",
			at.Format("2006-01-02 15:04:05.999999-07:00"), p.ID, i+2))
		times = append(times, at)
	}
	renamed := func(p principal.Principal) (principal.Principal, error) { p.DisplayName = "q"; return p, nil }
	if _, _, err := s.ChangePrincipal(t.Context(), "acme", p.ID, renamed); err != nil {
		t.Fatal(err)
	}
	if n := subject.Count(t, "SELECT count(*) FROM principal_grants WHERE principal_id = '"+p.ID+"'"); n != 4 {
		t.Errorf("%d versions, want 4", n)
	}
	for i, at := range times {
		want := append([]grant.Map{{}}, steps...)[i]
		for _, moment := range []time.Time{at, at.Add(30 * time.Second), at.Add(30 * time.Second).In(time.FixedZone("", 3600))} {
			if got, err := s.GrantsAt(t.Context(), "acme", p.ID, moment); err != nil || !got.Equal(want) {
				t.Errorf("step %d at %v: %v, %v, want %v", i, moment, got, err, want)
			}
		}
	}
	for _, at := range []time.Time{{}, p.CreatedAt.Add(-time.Microsecond)} {
		if _, err := s.GrantsAt(t.Context(), "acme", p.ID, at); !errors.Is(err, fault.NotFound) {
			t.Errorf("before it was created: %v, want NotFound", err)
		}
	}
}

// grantHistoryEnds: the history of a principal goes with it, and with its context.
func grantHistoryEnds(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	p := enrol(t, s, "p", grant.All())
	if _, err := s.GrantsAt(t.Context(), "nobody", p.ID, p.CreatedAt); !errors.Is(err, fault.NotFound) {
		t.Errorf("in an unknown context: %v, want NotFound", err)
	}
	if _, err := s.DeletePrincipal(t.Context(), "acme", p.ID, principal.Principal.Deletable); err != nil {
		t.Fatal(err)
	}
	if _, err := s.DeleteContext(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if n := subject.Count(t, "SELECT count(*) FROM principal_grants"); n != 0 {
		t.Errorf("%d versions are left of what is gone", n)
	}
}
