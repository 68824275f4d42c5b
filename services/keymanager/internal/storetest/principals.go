package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// draft returns a principal that is not stored yet.
func draft(t *testing.T, contextID, name, externalID string) principal.Principal {
	t.Helper()
	p, err := principal.New(contextID, principal.Draft{DisplayName: name, ExternalID: externalID})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// enrol creates a principal in the context acme that may do what grants say.
func enrol(t *testing.T, s Store, name string, grants grant.Map) principal.Principal {
	t.Helper()
	p := draft(t, "acme", name, "")
	p.Grants = grants
	p, created, err := s.CreatePrincipal(t.Context(), p)
	if err != nil || !created {
		t.Fatalf("creating a principal: %t, %v", created, err)
	}
	return p
}

// mintFor mints a key of a principal in the context acme.
func mintFor(t *testing.T, s Store, principalID, name string) (key.Key, error) {
	t.Helper()
	k := sealed(t, "acme", principalID, name)
	k, _, err := s.MintKeyFor(t.Context(), "acme", principalID, func(time.Time, tenant.Config, principal.Principal) (key.Key, error) {
		return k, nil
	})
	return k, err
}

// regrant changes what a principal may do.
func regrant(t *testing.T, s Store, p principal.Principal, grants grant.Map) int64 {
	t.Helper()
	_, revised, err := s.ChangePrincipal(t.Context(), p.ContextID, p.ID, func(p principal.Principal) (principal.Principal, error) {
		p.Grants = grants
		return p, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return revised
}

func principals(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	create(t, s, "other")
	want := draft(t, "acme", "é", "idp:1")
	want.Kind, want.Grants = "supervisor", grant.Over(scope.Everything, grant.MemoryRead)
	stored, created, err := s.CreatePrincipal(t.Context(), want)
	if err != nil || !created || stored.CreatedAt.IsZero() || stored.CreatedAt.Location() != time.UTC {
		t.Fatalf("creating: %t, %v at %v", created, err, stored.CreatedAt)
	}
	want.CreatedAt = stored.CreatedAt
	again := draft(t, "acme", "else", "idp:1")
	got, created, err := s.CreatePrincipal(t.Context(), again)
	read, readErr := s.Principal(t.Context(), "acme", want.ID)
	if err != nil || created || readErr != nil {
		t.Fatalf("getting: %t, %v, %v", created, err, readErr)
	}
	for how, p := range map[string]principal.Principal{"created": stored, "got": got, "read": read} {
		if diff := cmp.Diff(want, p, cmp.Comparer(scope.Region.Equal)); diff != "" {
			t.Errorf("%s otherwise than it was stored:\n%s", how, diff)
		}
	}
	// An external id is the context's; a name is free for whoever has an external id, and taken by whoever has one.
	for _, p := range []principal.Principal{draft(t, "other", "x", "idp:1"), draft(t, "acme", "é", "idp:2"), draft(t, "other", "é", "")} {
		if _, created, err := s.CreatePrincipal(t.Context(), p); err != nil || !created {
			t.Errorf("%+v: %t, %v", p, created, err)
		}
	}
	if _, _, err := s.CreatePrincipal(t.Context(), draft(t, "acme", "é", "")); !errors.Is(err, fault.Conflict) {
		t.Errorf("a taken name: %v, want Conflict", err)
	}
	_, _, unknown := s.CreatePrincipal(t.Context(), draft(t, "nobody", "a", ""))
	_, foreign := s.Principal(t.Context(), "nobody", want.ID)
	_, elsewhere := s.Principal(t.Context(), "other", want.ID)
	_, list := s.Principals(t.Context(), "nobody", "", 1)
	for what, err := range map[string]error{"creating in": unknown, "reading from": foreign, "reading elsewhere": elsewhere, "listing": list} {
		if !errors.Is(err, fault.NotFound) {
			t.Errorf("%s what is not there: %v, want NotFound", what, err)
		}
	}
	var ids []string
	for after := ""; ; after = ids[len(ids)-1] {
		page, err := s.Principals(t.Context(), "acme", after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, p := range page {
			ids = append(ids, p.ID)
		}
	}
	if len(ids) != 4 || !slices.IsSorted(ids) {
		t.Errorf("the list is %v", ids)
	}
}

func principalRace(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	ids := make([]string, racers)
	var mu sync.Mutex // guards won
	won := map[string]int{}
	race(racers, func(i int) {
		outside, created, err := s.CreatePrincipal(t.Context(), draft(t, "acme", fmt.Sprint("n", i), "idp:1"))
		ids[i] = outside.ID
		_, _, nameErr := s.CreatePrincipal(t.Context(), draft(t, "acme", "one name", ""))
		mu.Lock()
		defer mu.Unlock()
		if err != nil || nameErr != nil && !errors.Is(nameErr, fault.Conflict) {
			t.Errorf("creating: %v, %v", err, nameErr)
		}
		if created {
			won["external id"]++
		}
		if nameErr == nil {
			won["name"]++
		}
	})
	if slices.Sort(ids); len(slices.Compact(ids)) != 1 || won["external id"] != 1 || won["name"] != 1 {
		t.Errorf("%v were created, want 1 of each", won)
	}
}

// renameRace: of two that want a name, one new and one renamed, one has it.
func renameRace(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	for round := range 40 {
		old := enrol(t, s, fmt.Sprint("old", round), nil)
		wanted := fmt.Sprint("wanted", round)
		var failed [2]error
		race(2, func(i int) {
			if i == 0 {
				_, _, failed[i] = s.ChangePrincipal(t.Context(), "acme", old.ID, func(p principal.Principal) (principal.Principal, error) {
					p.DisplayName = wanted
					return p, nil
				})
			} else {
				_, _, failed[i] = s.CreatePrincipal(t.Context(), draft(t, "acme", wanted, ""))
			}
		})
		for i, err := range failed {
			if err != nil && !errors.Is(err, fault.Conflict) || (err == nil) != (failed[1-i] != nil) {
				t.Fatalf("wanting a name: %v", failed)
			}
		}
	}
}

func changePrincipal(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	wide, narrow := grant.All(), grant.Over(scope.Everything, grant.MemoryRead)
	p := enrol(t, s, "p", wide)
	k, err := mintFor(t, s, p.ID, "k")
	if err != nil {
		t.Fatal(err)
	}
	if revised := regrant(t, s, p, wide); revised != 0 {
		t.Errorf("nothing was changed, at revision %d", revised)
	}
	if revised := regrant(t, s, p, narrow); revised != 1 {
		t.Errorf("changed at revision %d", revised)
	}
	if revised := regrant(t, s, p, narrow); revised != 1 {
		t.Errorf("the repeat is told revision %d, want that of the change", revised)
	}
	found, snapshot := find(t, s, k.Seal)
	if diff := cmp.Diff(narrow, found.Principal.Grants, cmp.Comparer(scope.Region.Equal)); diff != "" || snapshot.AsOf != 1 {
		t.Errorf("as of %d:\n%s", snapshot.AsOf, diff)
	}
	refusal := fault.New(fault.Conflict, "no")
	_, _, err = s.ChangePrincipal(t.Context(), "acme", p.ID, func(p principal.Principal) (principal.Principal, error) { return p, refusal })
	if !errors.Is(err, refusal) {
		t.Errorf("refused: %v", err)
	}
	same := func(p principal.Principal) (principal.Principal, error) { return p, nil }
	for context, id := range map[string]string{"acme": "nobody", "nobody": p.ID} {
		if _, _, err := s.ChangePrincipal(t.Context(), context, id, same); !errors.Is(err, fault.NotFound) {
			t.Errorf("changing %s in %s: %v, want NotFound", id, context, err)
		}
	}
	revisions, _, err := s.Revisions(t.Context(), 0, 10)
	want := introspection.Event{Revision: 1, Kind: introspection.SubjectPrincipal, Context: "acme", ID: p.ID}
	if err != nil || len(revisions) != 1 || revisions[0].Event() != want {
		t.Errorf("revisions %+v, %v", revisions, err)
	}
	for action, want := range map[string]int64{"principal.created": 1, "principal.patched": 1} {
		if n := subject.Count(t, "SELECT count(*) FROM audit_log WHERE action = '"+action+"' AND target = '"+p.ID+"'"); n != want {
			t.Errorf("%d entries of %s, want %d", n, action, want)
		}
	}
}

func deletePrincipal(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	p := enrol(t, s, "p", grant.All())
	other := enrol(t, s, "other", grant.All())
	var gone []key.Key
	for i := range 3 {
		k, err := mintFor(t, s, p.ID, fmt.Sprint(i))
		if err != nil {
			t.Fatal(err)
		}
		gone = append(gone, k)
	}
	kept, err := mintFor(t, s, other.ID, "kept")
	if err != nil {
		t.Fatal(err)
	}
	refusal := fault.New(fault.Forbidden, "no")
	if _, err := s.DeletePrincipal(t.Context(), "acme", p.ID, func(principal.Principal) error { return refusal }); !errors.Is(err, refusal) {
		t.Errorf("refused: %v", err)
	}
	for _, k := range gone {
		if found, _ := find(t, s, k.Seal); found == nil {
			t.Fatal("a refused deletion took a key")
		}
	}
	if revised, err := s.DeletePrincipal(t.Context(), "acme", p.ID, principal.Principal.Deletable); err != nil || revised != 1 {
		t.Fatalf("deleting: revision %d, %v", revised, err)
	}
	for _, k := range gone {
		if found, _ := find(t, s, k.Seal); found != nil {
			t.Error("a key outlives its principal")
		}
	}
	if found, _ := find(t, s, kept.Seal); found == nil {
		t.Error("another principal's key is gone, too")
	}
	for context, id := range map[string]string{"acme": p.ID, "nobody": other.ID} {
		if _, err := s.DeletePrincipal(t.Context(), context, id, principal.Principal.Deletable); !errors.Is(err, fault.NotFound) {
			t.Errorf("deleting %s in %s: %v, want NotFound", id, context, err)
		}
	}
	if _, err := mintFor(t, s, p.ID, "late"); !errors.Is(err, fault.NotFound) {
		t.Errorf("minting for a deleted principal: %v, want NotFound", err)
	}
	if keys, err := s.Keys(t.Context(), key.Query{ContextID: "acme", PrincipalID: other.ID, After: "", Limit: 10}); err != nil || len(keys) != 1 {
		t.Errorf("the other has %d keys, %v", len(keys), err)
	}
	if _, err := s.Keys(t.Context(), key.Query{ContextID: "acme", PrincipalID: p.ID, After: "", Limit: 10}); !errors.Is(err, fault.NotFound) {
		t.Errorf("the keys of a deleted principal: %v, want NotFound", err)
	}
	if n := subject.Count(t, "SELECT count(*) FROM audit_log WHERE action = 'principal.deleted' AND target = '"+p.ID+"'"); n != 1 {
		t.Errorf("%d audit entries, want 1", n)
	}
}

// mintAgainstGone races mints for a principal against its end: of itself, and with the only key it was made for.
func mintAgainstGone(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	const rounds, minters = 10, 4
	for round := range rounds {
		first := mintKey(t, s, "acme", fmt.Sprint("first", round))
		byKey := round%2 == 0
		var minted [minters]*key.Key
		race(minters+1, func(i int) {
			if i < minters {
				k, err := mintFor(t, s, first.PrincipalID, fmt.Sprintf("k%d-%d", round, i))
				if err == nil {
					minted[i] = &k
				} else if !errors.Is(err, fault.NotFound) {
					t.Errorf("a mint too late: %v, want NotFound", err)
				}
				return
			}
			var err error
			if byKey {
				_, err = s.DeleteKey(t.Context(), "acme", first.Name, anyKey)
			} else {
				_, err = s.DeletePrincipal(t.Context(), "acme", first.PrincipalID, principal.Principal.Deletable)
			}
			if err != nil {
				t.Errorf("deleting: %v", err)
			}
		})
		_, err := s.Principal(t.Context(), "acme", first.PrincipalID)
		for _, k := range minted {
			if k == nil {
				continue
			}
			// Who deletes the first key leaves the principal to the others, and who deletes the principal takes them along.
			if found, _ := find(t, s, k.Seal); (found != nil) != byKey || (err == nil) != byKey {
				t.Errorf("by key %t: the other key is found %t, the principal %v", byKey, found != nil, err)
			}
		}
	}
}

func brokerRace(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	grants := grant.Over(scope.Everything, grant.MemoryRead)
	owners := make([]string, racers)
	race(racers, func(i int) {
		p := draft(t, "acme", "n", "idp:1")
		p.Grants = grants
		k := sealed(t, "acme", "", fmt.Sprint(i))
		_, owner, _, err := s.BrokerKey(t.Context(), p, grants, func(_ time.Time, _ tenant.Config, owner principal.Principal) (key.Key, error) {
			k.PrincipalID = owner.ID
			return k, nil
		})
		if err != nil {
			t.Errorf("brokering: %v", err)
		}
		owners[i] = owner.ID
	})
	if slices.Sort(owners); len(slices.Compact(owners)) != 1 {
		t.Error("one identity became several principals")
	}
	if keys, revisions := subject.Count(t, "SELECT count(*) FROM keys"), subject.Count(t, "SELECT count(*) FROM revisions"); keys != racers || revisions != 0 {
		t.Errorf("%d keys and %d revisions, want %d and none", keys, revisions, racers)
	}
	k := sealed(t, "acme", "", "last")
	_, owner, revised, err := s.BrokerKey(t.Context(), draft(t, "acme", "n", "idp:1"), grant.Map{},
		func(_ time.Time, _ tenant.Config, owner principal.Principal) (key.Key, error) {
			k.PrincipalID = owner.ID
			return k, nil
		})
	if err != nil || revised != 1 || len(owner.Grants) != 0 {
		t.Errorf("other grants: revision %d, %v, %v", revised, owner.Grants, err)
	}
	if _, _, _, err := s.BrokerKey(t.Context(), draft(t, "nobody", "n", "idp:1"), nil, nil); !errors.Is(err, fault.NotFound) {
		t.Errorf("in an unknown context: %v, want NotFound", err)
	}
}
