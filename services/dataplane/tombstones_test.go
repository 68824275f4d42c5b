package dataplane_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
)

func TestATombstonedScopeTakesNoRowsUntilItIsRegisteredAgain(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, base string) {
		p := start(t, base)
		admin, agent := p.admin(t), p.agent(t, "agent", "org/acme/*")
		p.ok(t, new(node), admin, http.MethodPost, "/api/v1/acme/scopes", `{"path":"org/acme/user"}`)
		p.remember(t, admin, `{"text":"otter","scopes":"org/acme/user"}`)
		// The clients send the path as a query, with escaped slashes.
		for _, path := range []string{"org/acme/user/", "org/acme"} {
			if got := p.call(t, agent, http.MethodDelete, "/api/v1/acme/scopes?path="+url.QueryEscape(path), ""); got.status != http.StatusNoContent {
				t.Fatalf("%s: %d %s", path, got.status, got.body)
			}
		}
		for _, tt := range []struct{ path, body string }{
			{factsPath, `{"text":"x","scopes":"org/acme/user"}`},
			{factsPath, `{"text":"x","scopes":"org/acme"}`}, // though its own grants name it
			{factsPath, `{"text":"x"}`},
			{batchPath, `{` + twoMessages + `,"scope":"org/acme/user"}`},
			{sessionsPath, `{"scopes":"org/acme/user"}`},
		} {
			got := p.call(t, agent, http.MethodPost, tt.path, tt.body)
			if got.status != http.StatusBadRequest {
				t.Errorf("%s %s: %d %s", tt.path, tt.body, got.status, got.body)
			}
		}
		if got := p.recall(t, agent, `{"query":"otter"}`); len(got.Hits) != 1 {
			t.Error("what was there went")
		}
		var nodes []node
		p.ok(t, &nodes, admin, http.MethodGet, "/api/v1/acme/scopes", "")
		if len(nodes) != 3 || nodes[0].TombstonedAt != "" || nodes[1].TombstonedAt == "" || nodes[2].TombstonedAt == "" {
			t.Errorf("listed: %+v", nodes)
		}
		var again node
		if p.ok(t, &again, agent, http.MethodPost, "/api/v1/acme/scopes", `{"path":"org/acme/user"}`); again.TombstonedAt != "" {
			t.Errorf("again: %+v", again)
		}
		p.remember(t, agent, `{"text":"x","scopes":"org/acme/user"}`)
	})
}

func TestTombstoningNeedsTheVerb(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, base string) {
		p := start(t, base)
		agent := p.agent(t, "agent", "org/acme/*")
		creator := p.authority.Key(t, "acme", "acme-1", "creator", grant.Over(scope.Everything, grant.ScopeCreate, grant.MemoryForget))
		for _, tt := range []struct {
			key, query string
			want       int
		}{
			{agent, "?path=org/acmex", http.StatusForbidden},
			{agent, "?path=org", http.StatusForbidden},
			{creator, "?path=org", http.StatusForbidden},
			{agent, "?path=org/acme/unknown", http.StatusNoContent},
			{agent, "", http.StatusBadRequest},
			{agent, "?path=", http.StatusBadRequest},
			{agent, "?path=org//acme", http.StatusBadRequest},
			{agent, "?path=org/acme/*", http.StatusBadRequest},
			{p.admin(t), "?path=/", http.StatusBadRequest},
		} {
			if got := p.call(t, tt.key, http.MethodDelete, "/api/v1/acme/scopes"+tt.query, ""); got.status != tt.want {
				t.Errorf("%s: %d %s", tt.query, got.status, got.body)
			}
		}
	})
}

func TestForgettingAScopeErasesWhatIsTaggedUnderIt(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, base string) {
		p := start(t, base)
		admin := p.admin(t)
		for _, path := range []string{"org/acme/user", "org/acmex"} {
			p.ok(t, new(node), admin, http.MethodPost, "/api/v1/acme/scopes", `{"path":"`+path+`"}`)
			p.remember(t, admin, `{"text":"otter of `+path+`","scopes":"`+path+`"}`)
		}
		session := p.session(t, admin, `{"scopes":"org/acme/user"}`).ID
		const forget = "/api/v1/acme/scopes/forget"
		parent := p.authority.Key(t, "acme", "acme-1", "parent", over(t, "org/acme")) // without what is below
		writer := p.authority.Key(t, "acme", "acme-1", "writer", grant.Over(scope.Everything, grant.MemoryWrite, grant.ScopeDelete))
		for _, tt := range []struct {
			key, body string
			want      int
		}{
			{parent, `{"path":"org/acme"}`, http.StatusForbidden},
			{writer, `{"path":"org/acme"}`, http.StatusForbidden},
			{p.agent(t, "agent", "org/acme/user/*"), `{"path":"org/acme"}`, http.StatusForbidden},
			{admin, ``, http.StatusBadRequest}, // Python sends nothing
			{admin, `{}`, http.StatusBadRequest},
			{admin, `{"path":null}`, http.StatusBadRequest},
			{admin, `{"path":""}`, http.StatusBadRequest},
			{admin, `{"path":"org/acme/*"}`, http.StatusBadRequest},
			{admin, `{"path":7}`, http.StatusBadRequest},
		} {
			got := p.call(t, tt.key, http.MethodPost, forget, tt.body)
			if got.status != tt.want || (tt.want == http.StatusBadRequest && got.problem(t).Field != "path") {
				t.Errorf("%s: %d %s", tt.body, got.status, got.body)
			}
		}
		var got struct{ Forgotten *int }
		p.ok(t, &got, p.agent(t, "owner", "org/acme/*"), http.MethodPost, forget, `{"path":"org/acme"}`)
		if got.Forgotten == nil || *got.Forgotten != 1 {
			t.Errorf("forgotten: %v", got.Forgotten)
		}
		if left := p.recall(t, admin, `{"query":"otter"}`); len(left.Hits) != 1 || left.Hits[0].Text != "otter of org/acmex" {
			t.Errorf("left: %v", left.texts())
		}
		if gone := p.call(t, admin, http.MethodGet, sessionsPath+"/"+session, ""); gone.status != http.StatusNotFound {
			t.Errorf("its session: %d", gone.status)
		}
		if rows := p.audit(t, admin, "?kind=decision&limit=1"); rows[0].Action != "scopes.forget" || rows[0].RowsTouched != 1 {
			t.Errorf("audit: %+v", rows)
		}
	})
}

func TestScopeGrantsAreNeverServed(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, base string) {
		p := start(t, base)
		for _, body := range []string{``, `{}`, `{"path":"a","verbs":["memory:read"]}`, `[`, `"x"`} {
			if got := p.call(t, p.admin(t), http.MethodPost, "/api/v1/acme/scope-grants", body); got.status != http.StatusNotImplemented {
				t.Errorf("%s: %d %s", body, got.status, got.body)
			}
		}
		if got := p.call(t, "", http.MethodPost, "/api/v1/acme/scope-grants", `{}`); got.status != http.StatusUnauthorized {
			t.Errorf("without a key: %d", got.status)
		}
	})
}

func TestLifecycleAnswersHowManyRowsChanged(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, base string) {
		p := start(t, base)
		agent := p.agent(t, "agent", "org/acme/*")
		triple := func(value string) string {
			return `{"infer":"triples","triples":[{"entity":{"type":"person","name":"ann"},"key":"mood","value":"` + value + `","memory_category":"context"}]}`
		}
		p.ok(t, new(any), agent, http.MethodPost, factsPath, triple("glad"))
		p.ok(t, new(any), agent, http.MethodPost, factsPath, triple("sad"))
		for _, tt := range []struct {
			path, body string
			want       int
		}{{"decay", "", 0}, {"decay", "{}", 0}, {"expire", "", 1}, {"expire", "{}", 0}} {
			var got struct{ Affected *int }
			p.ok(t, &got, agent, http.MethodPost, "/api/v1/acme/lifecycle/"+tt.path, tt.body)
			if got.Affected == nil || *got.Affected != tt.want {
				t.Errorf("%s: %v", tt.path, got.Affected)
			}
		}
		for path, verb := range map[string]grant.Verb{"decay": grant.MemoryForget, "expire": grant.MemoryWrite} {
			key := p.authority.Key(t, "acme", "acme-1", "other", grant.Over(scope.Everything, grant.MemoryRead, verb))
			if got := p.call(t, key, http.MethodPost, "/api/v1/acme/lifecycle/"+path, ""); got.status != http.StatusForbidden {
				t.Errorf("%s without the verb: %d", path, got.status)
			}
		}
	})
}
