package grant_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
)

func TestScopesAreAClosedSetOfSeven(t *testing.T) {
	t.Parallel()
	if got := grant.Scopes(); len(got) != 7 {
		t.Errorf("got %v", got)
	}
	for _, verb := range grant.Scopes() {
		if got, err := grant.ParseScope(string(verb)); got != verb || err != nil {
			t.Errorf("%s: %q, %v", verb, got, err)
		}
		if _, err := grant.ParseVerb(string(verb)); err == nil {
			t.Errorf("%s may be granted over memory", verb)
		}
	}
	for _, text := range []string{"", "Admin", "admin ", "records:*", "memory:read", "thread:x:read"} {
		if _, err := grant.ParseScope(text); err == nil {
			t.Errorf("%q is a scope", text)
		}
	}
}

func TestASnapshotHasTheScopesOfItsMintAndAdminHasAll(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		minted := rapid.SliceOfDistinct(rapid.SampledFrom(grant.Scopes()), func(v grant.Verb) grant.Verb { return v }).Draw(t, "minted")
		stored := grant.OfScopes(minted...)
		admin, had := false, map[grant.Verb]bool{}
		for _, verb := range minted {
			admin, had[verb] = admin || verb == grant.Admin, true
		}
		for _, verb := range grant.Scopes() {
			allowed := grant.Authorize(holder(grant.Snapshot(stored)), verb, scope.Root) == nil
			if want := admin || had[verb]; allowed != want {
				t.Fatalf("%v: %s is allowed: %t, want %t", minted, verb, allowed, want)
			}
		}
		for _, verb := range grant.Verbs() {
			if grant.Authorize(holder(grant.Snapshot(stored)), verb, scope.Root) == nil {
				t.Fatalf("%v: opens memory, %s", minted, verb)
			}
		}
		if got := len(stored.ScopesOf()); got != len(minted) {
			t.Fatalf("%d of %d scopes come back", got, len(minted))
		}
	})
	if diff := cmp.Diff(grant.Map{}, grant.Snapshot(nil)); diff != "" {
		t.Error(diff)
	}
}
