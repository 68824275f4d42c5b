package introspection_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/contract/scope"
)

var comparePatterns = cmp.Comparer(func(a, b scope.Pattern) bool { return a == b })

func TestAKeyWithoutGrantsIsNotAKeyWithEmptyGrants(t *testing.T) {
	t.Parallel()
	principal := caller.Principal{ID: "p", Kind: caller.Agent, Grants: grant.All()}
	for name, grants := range map[string]grant.Map{"inherits": nil, "nothing": {}, "narrow": grant.Over(scope.Everything, grant.MemoryRead)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sent := introspection.Verdict{Active: true, Context: "acme", Principal: &principal, KeyGrants: grants}
			wire, err := json.Marshal(sent)
			if err != nil {
				t.Fatal(err)
			}
			var got introspection.Verdict
			if err := json.Unmarshal(wire, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(sent, got, comparePatterns); diff != "" {
				t.Error(diff)
			}
			want := grant.Effective(principal.Grants, grants)
			if diff := cmp.Diff(want, got.Caller().Effective, comparePatterns); diff != "" {
				t.Error(diff)
			}
		})
	}
}
