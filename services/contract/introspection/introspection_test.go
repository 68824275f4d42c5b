package introspection_test

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/contract/scope"
)

var comparePatterns = cmp.Options{
	cmp.Comparer(func(a, b scope.Pattern) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

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

// An answer must not depend on how it is written: with grants that many verdicts share, or through plain encoding/json.
func TestAnswersAreWrittenAndReadAsJSON(t *testing.T) {
	t.Parallel()
	// What is drawn below, and what the writer knows, is all there is.
	for kind, fields := range map[reflect.Type]int{
		reflect.TypeFor[introspection.Response](): 3, reflect.TypeFor[introspection.Verdict](): 10, reflect.TypeFor[caller.Principal](): 5,
	} {
		if kind.NumField() != fields {
			t.Fatalf("%v has %d fields: teach them to the writer and to this test", kind, kind.NumField())
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		shared := []grant.Map{nil, {}, grant.All(), grant.Over(scope.Everything, grant.MemoryRead), grant.Over(scope.Everything, grant.MemoryRead)}
		grants := rapid.SampledFrom(shared)
		verdicts := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) introspection.Verdict {
			v := introspection.Verdict{
				Active: rapid.Bool().Draw(t, "active"), ExpiresInMicros: rapid.Int64Range(0, 3).Draw(t, "expires"),
				Context: rapid.String().Draw(t, "context"), Incarnation: rapid.String().Draw(t, "incarnation"),
				KeyID: rapid.String().Draw(t, "id"), KeyName: rapid.SampledFrom([]string{"", "k", `"<\\>&`, "\u2028\x00é"}).Draw(t, "name"),
				Blocked:   rapid.Bool().Draw(t, "blocked"),
				KeyGrants: grants.Draw(t, "key"),
			}
			if rapid.Bool().Draw(t, "limited") {
				v.Limits = &caller.Limits{
					RateLimit:    &caller.RateLimit{Requests: rapid.Int().Draw(t, "requests"), Per: time.Duration(rapid.Int64().Draw(t, "per")), Burst: 1},
					AllowedCIDRs: rapid.SampledFrom([][]netip.Prefix{nil, {netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::/0")}}).Draw(t, "networks"),
				}
			}
			if rapid.Bool().Draw(t, "bound") {
				v.Principal = &caller.Principal{ID: rapid.String().Draw(t, "p"), Kind: caller.Agent, Grants: grants.Draw(t, "principal")}
				if rapid.Bool().Draw(t, "account") {
					v.Principal.ServiceAccount = &caller.ServiceAccount{Actors: rapid.SliceOfN(rapid.String(), 0, 2).Draw(t, "actors")}
				}
			}
			return v
		}), 0, 5).Draw(t, "verdicts")
		sent := introspection.Response{AsOf: rapid.Int64().Draw(t, "as of"), Verdicts: verdicts}
		sent.Targets = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) *caller.Principal {
			if rapid.Bool().Draw(t, "absent") {
				return nil
			}
			return &caller.Principal{ID: rapid.String().Draw(t, "target"), Kind: caller.Human, Grants: grants.Draw(t, "grants")}
		}), 0, 3).Draw(t, "targets")
		wire, err := json.Marshal(sent)
		if err != nil {
			t.Fatal(err)
		}
		type plain introspection.Response // without the methods
		want, err := json.Marshal(plain(sent))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(wire)); diff != "" {
			t.Fatal(diff)
		}
		var back plain
		if err := json.Unmarshal(wire, &back); err != nil {
			t.Fatal(err)
		}
		got, err := introspection.ParseResponse(wire)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(introspection.Response(back), got, comparePatterns); diff != "" {
			t.Fatal(diff)
		}
	})
}
