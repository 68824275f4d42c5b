package storetest

import (
	"testing"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
)

// resealTests are those of keys that are sealed under another pepper.
var resealTests = map[string]func(*testing.T, Subject){
	"a key is sealed anew":                     resealKeys,
	"no rotated or deleted key is sealed anew": resealLate,
	"sealing anew races a rotation":            resealRace,
	"sealing anew races a deletion":            resealAgainstDeletion,
}

// anotherSeal is a seal of nothing, as under the pepper of version 2.
func anotherSeal(t *testing.T, id string, old secret.Seal) key.Reseal {
	t.Helper()
	return key.Reseal{ID: id, Old: old, New: sealed(t, "acme", "", "x").Seal, Version: 2}
}

// opens fails the test when, of the seals of a key, not just this one is found; the zero seal is none.
func opens(t *testing.T, s Store, when string, want secret.Seal, others ...secret.Seal) {
	t.Helper()
	if found, _ := find(t, s, want); (found != nil) != (want != secret.Seal{}) {
		t.Errorf("%s: the seal that holds is found: %t", when, found != nil)
	}
	for i, seal := range others {
		if found, _ := find(t, s, seal); found != nil {
			t.Errorf("%s: seal %d of a secret that opens nothing any more is found", when, i)
		}
	}
}

func resealKeys(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	first, second := mintKey(t, s, "acme", "first"), mintKey(t, s, "acme", "second")
	before := last0(t, s)
	entries := subject.Count(t, "SELECT count(*) FROM audit_log")
	change := anotherSeal(t, first.ID, first.Seal)
	for range 2 { // the second time nothing is left to do
		if err := s.ResealKeys(t.Context(), []key.Reseal{change}); err != nil {
			t.Fatal(err)
		}
	}
	opens(t, s, "sealed anew", change.New, first.Seal)
	opens(t, s, "another key", second.Seal)
	if n := subject.Count(t, "SELECT count(*) FROM keys WHERE pepper_version = 2"); n != 1 {
		t.Errorf("%d keys are noted under the other pepper, want 1", n)
	}
	if last0(t, s) != before || subject.Count(t, "SELECT count(*) FROM audit_log") != entries {
		t.Error("sealing anew, of which nobody need hear, has a revision or an entry")
	}
}

func resealLate(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	rotated, deleted := mintKey(t, s, "acme", "rotated"), mintKey(t, s, "acme", "deleted")
	first, second := anotherSeal(t, rotated.ID, rotated.Seal), anotherSeal(t, deleted.ID, deleted.Seal)
	fresh := sealed(t, "acme", "", "x").Seal
	if _, _, err := s.RotateKey(t.Context(), "acme", "rotated", reseal(fresh)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.DeleteKey(t.Context(), "acme", "deleted", anyKey); err != nil {
		t.Fatal(err)
	}
	if err := s.ResealKeys(t.Context(), []key.Reseal{first, second}); err != nil {
		t.Fatal(err)
	}
	opens(t, s, "rotated", fresh, rotated.Seal, first.New)
	opens(t, s, "deleted", secret.Seal{}, deleted.Seal, second.New)
}

// resealRace seals anew what is rotated at the same time, by another replica where there is one.
func resealRace(t *testing.T, subject Subject) {
	s, other := subject.Store, subject.Store
	if subject.Replica != nil {
		other = subject.Replica(t)
	}
	create(t, s, "acme")
	k := mintKey(t, s, "acme", "k")
	current := k.Seal
	for range racers {
		change, fresh := anotherSeal(t, k.ID, current), sealed(t, "acme", "", "x").Seal
		race(2, func(i int) {
			var err error
			if i == 0 {
				err = other.ResealKeys(t.Context(), []key.Reseal{change})
			} else {
				_, _, err = s.RotateKey(t.Context(), "acme", "k", reseal(fresh))
			}
			if err != nil {
				t.Error(err)
			}
		})
		opens(t, s, "rotated meanwhile", fresh, current, change.New)
		current = fresh
	}
}

func resealAgainstDeletion(t *testing.T, subject Subject) {
	s, other := subject.Store, subject.Store
	if subject.Replica != nil {
		other = subject.Replica(t)
	}
	create(t, s, "acme")
	for range racers {
		k := mintKey(t, s, "acme", "k")
		change := anotherSeal(t, k.ID, k.Seal)
		race(2, func(i int) {
			var err error
			if i == 0 {
				err = other.ResealKeys(t.Context(), []key.Reseal{change})
			} else {
				_, err = s.DeleteKey(t.Context(), "acme", "k", anyKey)
			}
			if err != nil && fault.KindOf(err) != fault.NotFound {
				t.Error(err)
			}
		})
		opens(t, s, "deleted meanwhile", secret.Seal{}, k.Seal, change.New)
	}
}
