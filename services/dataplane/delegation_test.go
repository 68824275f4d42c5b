package dataplane_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
)

// The header by which a caller acts for another principal has two names.
const (
	onBehalfOf = "X-Spectron-On-Behalf-Of"
	alias      = "X-Memory-On-Behalf-Of"
)

func TestADelegateIsToldWhoItIs(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		p.agent(t, "alice", "org/acme/user/alice/*")
		key := p.agent(t, "planner", "org/acme/*")
		both := map[string]any{}
		for _, verb := range grant.Verbs() {
			both[string(verb)] = []any{"org/acme/user/alice/*"}
		}
		for _, header := range [][]string{
			{onBehalfOf, "alice"}, {alias, "alice"}, {onBehalfOf, "principal:alice"}, {onBehalfOf, "alice", alias, "principal:alice"},
		} {
			var me struct {
				PrincipalID, DelegatedPrincipalID string
				Grants, EffectiveGrants           map[string]any
			}
			p.ok(t, &me, key, http.MethodGet, "/api/v1/acme/me", "", header...)
			if me.PrincipalID != "planner" || me.DelegatedPrincipalID != "alice" {
				t.Errorf("%v: %+v", header, me)
			}
			if diff := cmp.Diff(both, me.EffectiveGrants); diff != "" {
				t.Errorf("%v (-want +got):\n%s", header, diff)
			}
			if diff := cmp.Diff([]any{"org/acme/*"}, me.Grants["memory:read"]); diff != "" {
				t.Errorf("the grants of the caller are %v", me.Grants)
			}
		}
		var me map[string]any
		p.ok(t, &me, key, http.MethodGet, "/api/v1/acme/me", "", onBehalfOf, "planner")
		if me["delegatedPrincipalId"] != "planner" {
			t.Errorf("on behalf of itself: %v", me)
		}
	})
}

func TestRefusedDelegations(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		p.agent(t, "alice", "/*")
		p.agent(t, "bob", "/*")
		p.authority.Key(t, "other", "other-1", "carol", grant.All())
		key, foreign := p.admin(t), p.authority.Key(t, "other", "other-1", "admin", grant.All())
		dead := p.authority.DeadKey(t)
		for _, test := range []struct {
			header []string
			kind   fault.Kind
			field  string
		}{
			{[]string{onBehalfOf, "alice", alias, "bob"}, fault.Invalid, alias},
			{[]string{onBehalfOf, ""}, fault.Invalid, onBehalfOf},
			{[]string{alias, "principal:"}, fault.Invalid, alias},
			{[]string{onBehalfOf, strings.Repeat("x", 138)}, fault.Invalid, onBehalfOf},
			{[]string{onBehalfOf, strings.Repeat("x", 137)}, fault.Forbidden, ""},
			{[]string{onBehalfOf, "nobody"}, fault.Forbidden, ""},
			{[]string{alias, "nobody"}, fault.Forbidden, ""},
			// A principal of another context is none of this one.
			{[]string{onBehalfOf, "carol"}, fault.Forbidden, ""},
		} {
			for _, route := range dataRoutes {
				got := p.call(t, key, route.method, route.path, route.body, test.header...)
				if problem := got.problem(t); got.status != test.kind.Status() || problem.Field != test.field {
					t.Errorf("%s %v: %d %s", route.path, test.header, got.status, got.body)
				}
				// Whoever has no key of this context learns nothing about its principals, nor about the header.
				want := p.call(t, "", route.method, route.path, route.body)
				for _, stranger := range []string{"", dead, "sp-x", foreign} {
					if stranger == foreign && route.path == "/mcp" {
						continue
					}
					got := p.call(t, stranger, route.method, route.path, route.body, test.header...)
					if got.status != want.status || string(got.body) != string(want.body) {
						t.Errorf("%s %v with no good key: %d %s", route.path, test.header, got.status, got.body)
					}
				}
			}
		}
	})
}

func TestADelegateReadsAndWritesWhereBothMay(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		p.agent(t, "alice", "org/acme/user/alice/*")
		p.agent(t, "bob", "org/acme/user/bob/*")
		p.agent(t, "idle")
		planner := p.agent(t, "planner", "org/acme/*")
		for scopes, text := range map[string]string{
			"org/acme/user/alice": "alice likes tea", "org/acme/user/bob": "bob likes tea", "org/acme": "everybody likes tea", "org/beta": "beta likes tea",
		} {
			p.ok(t, new(map[string]any), admin, http.MethodPost, "/api/v1/acme/scopes", `{"path":"`+scopes+`"}`)
			p.remember(t, admin, `{"text":"`+text+`","infer":"none","scopes":"`+scopes+`"}`)
		}
		reads := func(key string, header ...string) []string {
			t.Helper()
			var out found
			p.ok(t, &out, key, http.MethodPost, "/api/v1/acme/query", `{"query":"tea"}`, header...)
			return out.texts()
		}
		if got := reads(planner); len(got) != 3 {
			t.Errorf("for itself it reads %v", got)
		}
		for target, want := range map[string][]string{"alice": {"alice likes tea"}, "bob": {"bob likes tea"}, "idle": {}} {
			if diff := cmp.Diff(want, reads(planner, onBehalfOf, target)); diff != "" {
				t.Errorf("on behalf of %s (-want +got):\n%s", target, diff)
			}
			if diff := cmp.Diff(want, reads(admin, alias, target)); diff != "" {
				t.Errorf("an admin on behalf of %s (-want +got):\n%s", target, diff)
			}
		}
		// An admin's key acting for somebody narrower writes no wider than that, the admin's own principal widens nobody.
		if got := reads(p.agent(t, "bob", "org/acme/user/bob/*"), onBehalfOf, "admin"); len(got) != 1 {
			t.Errorf("bob on behalf of the admin reads %v", got)
		}
		for scopes, status := range map[string]int{"org/acme/user/alice": 200, "org/acme/user/bob": 403, "org/acme": 403} {
			got := p.call(t, admin, http.MethodPost, "/api/v1/acme/facts", `{"text":"x","infer":"none","scopes":"`+scopes+`"}`, onBehalfOf, "alice")
			if got.status != status {
				t.Errorf("writing to %s on behalf of alice: %d, want %d", scopes, got.status, status)
			}
		}
	})
}

// Clients make the idempotency key of what they send: the same words on behalf of the next principal are another write.
func TestARepetitionIsOneOfTheSamePrincipals(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		p.agent(t, "alice", "org/acme/user/alice/*")
		p.agent(t, "bob", "org/acme/user/bob/*")
		const body = `{"text":"likes tea","infer":"none"}`
		seen := map[string]string{}
		for _, target := range []string{"alice", "bob", "alice"} {
			got := p.remember(t, admin, body, "Idempotency-Key", "k", onBehalfOf, target)
			if before := seen[target]; before != "" && before != got.ChunkID {
				t.Errorf("the repetition on behalf of %s is another write", target)
			}
			seen[target] = got.ChunkID
		}
		if own := p.remember(t, admin, body, "Idempotency-Key", "k"); own.ChunkID == seen["alice"] || seen["alice"] == seen["bob"] {
			t.Errorf("different principals got the same answer: %v, %s", seen, own.ChunkID)
		}
	})
}

func TestMCPHonoursDelegation(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		p.agent(t, "alice", "org/acme/user/alice/*")
		for _, scopes := range []string{"org/acme/user/alice", "org/acme"} {
			p.ok(t, new(map[string]any), admin, http.MethodPost, "/api/v1/acme/scopes", `{"path":"`+scopes+`"}`)
			p.remember(t, admin, `{"text":"tea at `+scopes+`","infer":"none","scopes":"`+scopes+`"}`)
		}
		recall := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"recall","arguments":{"query":"tea"}}}`
		for _, header := range []string{onBehalfOf, alias} {
			var out struct {
				Result struct {
					StructuredContent struct{ Hits []struct{ Text string } }
				}
			}
			p.ok(t, &out, admin, http.MethodPost, "/mcp", recall, header, "alice", "Accept", "application/json, text/event-stream")
			if hits := out.Result.StructuredContent.Hits; len(hits) != 1 || hits[0].Text != "tea at org/acme/user/alice" {
				t.Errorf("%s: %+v", header, hits)
			}
		}
	})
}
