package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/keymanager/internal/errand"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

func mint(t *testing.T, subject Subject) {
	s := subject.Store
	c := create(t, s, "acme")
	attenuated := grant.Over(scope.Everything, grant.MemoryRead)
	var at time.Time
	k := sealed(t, "acme", "p1", "ci")
	k.Grants = attenuated
	p := principal.Principal{ContextID: "acme", ID: "p1", DisplayName: "ci", Kind: "supervisor", Grants: grant.All(), OwnerKey: k.ID}
	stored, revised, err := s.MintKey(t.Context(), "acme", p, func(now time.Time, _ tenant.Config) key.Key {
		at = now
		k.ExpiresAt = now.Add(time.Hour)
		return k
	})
	if err != nil || revised != 0 {
		t.Fatalf("minting: revision %d, %v", revised, err)
	}
	if !stored.CreatedAt.Equal(at) || at.Location() != time.UTC || at.Nanosecond()%1000 != 0 {
		t.Errorf("created at %v on a clock that said %v", stored.CreatedAt, at)
	}
	found, snapshot := find(t, s, k.Seal)
	if found == nil {
		t.Fatal("the key is not found")
	}
	if left := found.ExpiresAt.Sub(snapshot.At); left > time.Hour || left < 59*time.Minute {
		t.Errorf("the key has %v left of an hour", left)
	}
	found.ExpiresAt = time.Time{}
	want := &key.Found{
		ID: k.ID, Name: "ci", Kind: key.Context, ContextID: "acme", Incarnation: c.Incarnation, Grants: attenuated,
	}
	want.Principal.ID, want.Principal.DisplayName, want.Principal.Kind, want.Principal.Grants = "p1", "ci", "supervisor", grant.All()
	if diff := cmp.Diff(want, found, cmp.Comparer(scope.Region.Equal)); diff != "" {
		t.Errorf("the key is not found as it was minted (-want +got):\n%s", diff)
	}
	if _, _, err := tryMint(t, s, "nobody", "k"); !errors.Is(err, fault.NotFound) {
		t.Errorf("minting in an unknown context: %v, want NotFound", err)
	}
}

func mintRace(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	results := make([]error, racers)
	race(racers, func(i int) { _, _, results[i] = tryMint(t, s, "acme", "k") })
	won := 0
	for _, err := range results {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, fault.Conflict):
			t.Errorf("a loser got %v, want Conflict", err)
		}
	}
	if won != 1 {
		t.Errorf("%d mints of one name succeeded, want 1", won)
	}
	if n := subject.Count(t, "SELECT count(*) FROM principals"); n != 3 {
		t.Errorf("%d principals, want the reserved two and the winner's", n)
	}
	// An errand that has found the name free does not keep operators from taking it.
	err := s.Alter(t.Context(), func(l errand.Ledger) error {
		_, err := l.AddKey(sealed(t, "acme", principal.Admin, "k"), principal.Principal{ContextID: "acme", ID: principal.Admin})
		return err
	})
	if !errors.Is(err, fault.Conflict) {
		t.Errorf("an errand that lost got %v, want Conflict", err)
	}
}

func rotate(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	before := mintKey(t, s, "acme", "k")
	fresh := sealed(t, "acme", "", "").Seal
	after, revised, err := s.RotateKey(t.Context(), "acme", "k", reseal(fresh))
	if err != nil || revised != 1 {
		t.Fatalf("rotating: revision %d, %v", revised, err)
	}
	if after.ID != before.ID || after.PrincipalID != before.PrincipalID || !after.CreatedAt.Equal(before.CreatedAt) || after.RotatedAt.IsZero() {
		t.Error("a rotation changed more than the secret, or left no trace")
	}
	if found, _ := find(t, s, before.Seal); found != nil {
		t.Error("the old secret is still found")
	}
	if found, snapshot := find(t, s, fresh); found == nil || found.ID != before.ID || snapshot.AsOf != 1 {
		t.Errorf("the new secret is not found as the same key at revision 1: %v at %d", found, snapshot.AsOf)
	}
	for context, name := range map[string]string{"acme": "other", "nobody": "k"} {
		if _, _, err := s.RotateKey(t.Context(), context, name, reseal(fresh)); !errors.Is(err, fault.NotFound) {
			t.Errorf("rotating %s in %s: %v, want NotFound", name, context, err)
		}
	}
}

func rotateRace(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	first := mintKey(t, s, "acme", "k")
	seals, revisions := make([]secret.Seal, racers), make([]int64, racers)
	race(racers, func(i int) {
		var err error
		seals[i] = sealed(t, "acme", "", "").Seal
		if _, revisions[i], err = s.RotateKey(t.Context(), "acme", "k", reseal(seals[i])); err != nil {
			t.Errorf("rotating: %v", err)
		}
	})
	last := slices.Index(revisions, slices.Max(revisions))
	snapshot, err := s.FindKeys(t.Context(), append(seals, first.Seal))
	if err != nil {
		t.Fatal(err)
	}
	if snapshot.Found[seals[last]] == nil || len(snapshot.Found) != 1 {
		t.Errorf("%d secrets are alive, want the last one alone", len(snapshot.Found))
	}
	if slices.Sort(revisions); len(slices.Compact(revisions)) != racers {
		t.Error("two rotations share a revision")
	}
}

// rotateAgain: what a rotation is worked out from may change before it is stored. Then it is worked out anew.
func rotateAgain(t *testing.T, subject Subject) {
	if subject.Replica == nil {
		return // nobody else writes meanwhile
	}
	s, other := subject.Store, subject.Replica(t)
	create(t, s, "acme")
	k := mintKey(t, s, "acme", "k")
	meanwhile := []func() error{
		func() error {
			_, _, err := other.ChangeContext(t.Context(), "acme", func(c tenant.Context) (tenant.Context, error) {
				var err error
				c.Config, err = c.Config.Patch([]byte(`{"max_token_ttl_seconds":60}`))
				return c, err
			})
			return err
		},
		func() error {
			_, _, err := other.RotateKey(t.Context(), "acme", "k", reseal(sealed(t, "acme", "", "").Seal))
			return err
		},
		func() error { return nil },
	}
	seal, calls := sealed(t, "acme", "", "").Seal, 0
	var caps []int64
	_, revised, err := s.RotateKey(t.Context(), "acme", "k", func(_ time.Time, policy tenant.Config, k key.Key) (key.Key, error) {
		caps = append(caps, policy.MaxTokenTTL)
		k.Seal = seal
		calls++
		return k, meanwhile[min(calls, len(meanwhile))-1]()
	})
	if err != nil || revised != 3 || !slices.Equal(caps, []int64{0, 60, 60}) {
		t.Errorf("revision %d, %v, under caps of %v; want 3, under none, then 60 twice", revised, err, caps)
	}
	snapshot, err := s.FindKeys(t.Context(), []secret.Seal{k.Seal, seal})
	if err != nil || len(snapshot.Found) != 1 || snapshot.Found[seal] == nil {
		t.Errorf("%d secrets are alive, %v", len(snapshot.Found), err)
	}
	_, _, err = s.RotateKey(t.Context(), "acme", "k", func(_ time.Time, _ tenant.Config, k key.Key) (key.Key, error) {
		_, err := other.DeleteKey(t.Context(), "acme", "k", anyKey)
		return k, err
	})
	if !errors.Is(err, fault.NotFound) {
		t.Errorf("the key was deleted meanwhile: %v", err)
	}
	if n := subject.Count(t, "SELECT count(*) FROM audit_log WHERE action = 'key.rotated'"); n != 2 {
		t.Errorf("%d rotations in the audit log, want 2", n)
	}
}

func deleteKey(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	k := mintKey(t, s, "acme", "k")
	shared := mintKey(t, s, "acme", "shared")
	// A second key on the principal that was made for the first one.
	second := sealed(t, "acme", shared.PrincipalID, "second")
	other := principal.Principal{ContextID: "acme", ID: "p", DisplayName: "p", Kind: "agent", OwnerKey: second.ID}
	_, _, err := s.MintKey(t.Context(), "acme", other, func(time.Time, tenant.Config) key.Key { return second })
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"k", "shared"} {
		if _, err := s.DeleteKey(t.Context(), "acme", name, anyKey); err != nil {
			t.Fatal(err)
		}
	}
	if found, snapshot := find(t, s, k.Seal); found != nil || snapshot.AsOf != 2 {
		t.Errorf("a deleted key is found: %v at revision %d", found, snapshot.AsOf)
	}
	// With the key goes who may be acted for, so verifiers are told of that; where the principal stays, of the key alone.
	revisions, _, err := s.Revisions(t.Context(), 0, 10)
	if err != nil || len(revisions) != 2 {
		t.Fatalf("revisions %+v, %v", revisions, err)
	}
	for i, want := range []introspection.Event{
		{Revision: 1, Kind: introspection.SubjectPrincipal, Context: "acme", ID: k.PrincipalID},
		{Revision: 2, Kind: introspection.SubjectKey, Context: "acme", ID: shared.ID},
	} {
		if got := revisions[i].Event(); got != want {
			t.Errorf("verifiers are told %+v, want %+v", got, want)
		}
	}
	if n := subject.Count(t, "SELECT count(*) FROM principals WHERE id = '"+k.PrincipalID+"'"); n != 0 {
		t.Error("the principal of a deleted key is left")
	}
	if found, _ := find(t, s, second.Seal); found == nil || found.Principal.ID != shared.PrincipalID {
		t.Error("a principal went although another key is bound to it")
	}
	for context, name := range map[string]string{"acme": "k", "nobody": "second"} {
		if _, err := s.DeleteKey(t.Context(), context, name, anyKey); !errors.Is(err, fault.NotFound) {
			t.Errorf("deleting %s in %s: %v, want NotFound", name, context, err)
		}
	}
	mintKey(t, s, "acme", "k") // the name is free again
}

func listKeys(t *testing.T, subject Subject) {
	s := subject.Store
	create(t, s, "acme")
	create(t, s, "other")
	mintKey(t, s, "other", "a")
	want := []string{"A", "Z", "a b", "a-b", "a_b", "é"} // by bytes
	for _, name := range []string{"é", "a_b", "Z", "a b", "A", "a-b"} {
		mintKey(t, s, "acme", name)
	}
	var got []string
	for after := ""; ; after = got[len(got)-1] {
		page, err := s.Keys(t.Context(), key.Query{ContextID: "acme", PrincipalID: "", After: after, Limit: 4})
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, k := range page {
			if k.PrincipalKind != "agent" || k.PrincipalID == "" || k.Grants != nil || !k.ExpiresAt.IsZero() {
				t.Errorf("key %q is not listed as it was minted", k.Name)
			}
			got = append(got, k.Name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the list is not by name (-want +got):\n%s", diff)
	}
	if _, err := s.Keys(t.Context(), key.Query{ContextID: "nobody", PrincipalID: "", After: "", Limit: 1}); !errors.Is(err, fault.NotFound) {
		t.Errorf("listing an unknown context: %v, want NotFound", err)
	}
}

func lookUps(t *testing.T, subject Subject) {
	s := subject.Store
	none, err := s.FindKeys(t.Context(), nil)
	if err != nil || len(none.Found) != 0 || none.AsOf != 0 || none.At.IsZero() {
		t.Errorf("looking nothing up: %d found as of %d at %v, %v", len(none.Found), none.AsOf, none.At, err)
	}
	f := founding(t, "acme")
	if err := s.Bootstrap(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	seals := []secret.Seal{f.Management.Seal, f.First.Seal, sealed(t, "", "", "").Seal}
	for i := range 600 {
		seals = append(seals, mintKey(t, s, "acme", fmt.Sprint(i)).Seal)
	}
	snapshot, err := s.FindKeys(t.Context(), seals)
	if err != nil || len(snapshot.Found) != 602 || snapshot.AsOf != 1 {
		t.Fatalf("looking %d keys up: %d found as of %d, %v", len(seals), len(snapshot.Found), snapshot.AsOf, err)
	}
	management := snapshot.Found[f.Management.Seal]
	if management.Kind != key.Management || management.ContextID != "" || management.Principal.ID != "" {
		t.Errorf("the management key is found as %+v", *management)
	}
	if snapshot.Found[seals[2]] != nil {
		t.Error("a key that nobody minted is found")
	}
}

// mintAgainstPolicy races mints against a cap on times to live. Whichever comes first, no key is committed after a policy
// that it has not seen.
func mintAgainstPolicy(t *testing.T, subject Subject) {
	s := subject.Store
	const limit = 60
	for i := range 20 {
		id := fmt.Sprintf("c%d", i)
		create(t, s, id)
		var sawLimit bool
		race(2, func(i int) {
			if i == 0 {
				_, _, err := s.ChangeContext(t.Context(), id, func(c tenant.Context) (tenant.Context, error) {
					var err error
					c.Config, err = c.Config.Patch(fmt.Appendf(nil, `{"max_token_ttl_seconds":%d}`, limit))
					return c, err
				})
				if err != nil {
					t.Errorf("patching: %v", err)
				}
				return
			}
			k := sealed(t, id, "p", "k")
			p := principal.Principal{ContextID: id, ID: "p", Kind: "agent", OwnerKey: k.ID}
			_, _, err := s.MintKey(t.Context(), id, p, func(_ time.Time, policy tenant.Config) key.Key {
				sawLimit = policy.MaxTokenTTL == limit
				return k
			})
			if err != nil {
				t.Errorf("minting: %v", err)
			}
		})
		entry := "(SELECT id FROM audit_log WHERE context_id = '" + id + "' AND action = '%s')"
		patchedFirst := subject.Count(t, fmt.Sprintf("SELECT "+entry+" - "+entry, "key.minted", "context.patched")) > 0
		if patchedFirst != sawLimit {
			t.Errorf("the policy was patched first: %v; the mint saw it: %v", patchedFirst, sawLimit)
		}
	}
}
