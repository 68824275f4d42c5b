package dataplane_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
)

const sessionsPath = "/api/v1/acme/sessions"

type sessionJSON struct {
	ID, CreatedAt string
	Scopes        [][]string
	Metadata      any
	TurnCount     int
}

func (p *plane) session(t *testing.T, key, body string) (out sessionJSON) {
	t.Helper()
	if got := p.ok(t, &out, key, http.MethodPost, sessionsPath, body); got.status != http.StatusCreated {
		t.Errorf("created with %d", got.status)
	}
	return out
}

func (p *plane) sessions(t *testing.T, key, query string) (ids []string) {
	t.Helper()
	var out struct{ Sessions []sessionJSON }
	p.ok(t, &out, key, http.MethodGet, sessionsPath+query, "")
	for _, each := range out.Sessions {
		ids = append(ids, each.ID)
	}
	return ids
}

func TestASessionIsCreatedInTheWriteRegionOfTheCallerByDefault(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		planner := p.agent(t, "planner", "org/acme/*", "org/beta")
		for _, body := range []string{"", "{}", `{"scopes":null}`, `{"scopes":[]}`} { // Python sends nothing, JavaScript {}
			made := p.session(t, planner, body)
			if diff := cmp.Diff([][]string{{"org/acme/"}, {"org/beta/"}}, made.Scopes); diff != "" || made.ID == "" || made.CreatedAt == "" {
				t.Errorf("%q: %+v", body, made)
			}
		}
		for _, name := range []string{"scopes", "scope"} {
			if made := p.session(t, planner, `{"`+name+`":"org/acme"}`); len(made.Scopes) != 1 || made.Scopes[0][0] != "org/acme/" {
				t.Errorf("%s: %+v", name, made)
			}
		}
	})
}

func TestMetadataOfASessionIsAnyJSON(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		for _, text := range []string{`{"a":[1,{"b":null}]}`, `"text"`, `12345678901234567890`, `1.5`, `true`, `[]`, `{}`, `null`} {
			made := p.session(t, admin, `{"metadata":`+text+`}`)
			var shown map[string]json.RawMessage
			p.ok(t, &shown, admin, http.MethodGet, sessionsPath+"/"+made.ID, "")
			if string(shown["metadata"]) != text {
				t.Errorf("%s came back as %s", text, shown["metadata"])
			}
		}
		var shown map[string]json.RawMessage
		p.ok(t, &shown, admin, http.MethodGet, sessionsPath+"/"+p.session(t, admin, "").ID, "")
		if _, there := shown["metadata"]; there {
			t.Error("metadata that nobody gave")
		}
	})
}

func TestASessionNeedsTheRightToWriteWhereItIs(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		planner := p.agent(t, "planner", "org/acme/*")
		reader := p.authority.Key(t, "acme", "acme-1", "reader", grant.Over(scope.Everything, grant.MemoryRead))
		for _, tt := range []struct {
			key, body string
			want      int
		}{
			{planner, `{"scopes":"org/beta"}`, http.StatusForbidden},
			{planner, `{"scopes":"org/acme/unregistered"}`, http.StatusBadRequest},
			{planner, `{"scopes":[[]]}`, http.StatusBadRequest},
			{planner, `{"scopes":"org/acme","scope":"org/acme"}`, http.StatusBadRequest},
			{reader, ``, http.StatusForbidden},
		} {
			if got := p.call(t, tt.key, http.MethodPost, sessionsPath, tt.body); got.status != tt.want {
				t.Errorf("%s: %d %s", tt.body, got.status, got.body)
			}
		}
	})
}

func TestSessionsAreListedNewestFirstWithinTheReadRegion(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		alice, bob := p.agent(t, "alice", "org/alice/*"), p.agent(t, "bob", "org/bob/*")
		first, foreign, second := p.session(t, alice, "").ID, p.session(t, bob, "").ID, p.session(t, alice, "").ID
		for key, want := range map[string][]string{
			alice: {second, first}, bob: {foreign}, p.admin(t): {second, foreign, first},
			p.authority.Key(t, "acme", "acme-1", "nobody", nil):        nil,
			p.authority.Key(t, "acme", "acme-2", "other", grant.All()): nil,
		} {
			if diff := cmp.Diff(want, p.sessions(t, key, "")); diff != "" {
				t.Errorf("listed (-want +got):\n%s", diff)
			}
		}
		if diff := cmp.Diff([]string{foreign}, p.sessions(t, p.admin(t), "?limit=1&offset=1")); diff != "" {
			t.Errorf("a page (-want +got):\n%s", diff)
		}
	})
}

func TestAnAbsentSessionAndOneOutOfReachAreTheSame404(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		alice, bob := p.agent(t, "alice", "org/alice/*"), p.agent(t, "bob", "org/bob/*")
		id := p.session(t, alice, "").ID
		const unknown = "0190c0de-0000-7000-8000-000000000000"
		for _, route := range []struct{ method, suffix, body string }{
			{http.MethodGet, "", ""},
			{http.MethodDelete, "", ""},
			{http.MethodGet, "/turns", ""},
			{http.MethodPost, "/context", `{"query":"x"}`},
			{http.MethodGet, "/context?query=x", ""},
		} {
			foreign := p.call(t, bob, route.method, sessionsPath+"/"+id+route.suffix, route.body)
			absent := p.call(t, bob, route.method, sessionsPath+"/"+unknown+route.suffix, route.body)
			if foreign.status != http.StatusNotFound || absent.status != http.StatusNotFound || foreign.problem(t).Detail != absent.problem(t).Detail {
				t.Errorf("%s %s: %s, %s", route.method, route.suffix, foreign.body, absent.body)
			}
		}
	})
}

func TestDeletingASessionTakesItsTurnsAndLeavesWhatWasLearnt(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		alice := p.agent(t, "alice", "org/alice/*")
		id := p.remember(t, alice, `{"text":"otter"}`).SessionID
		reader := p.authority.Key(t, "acme", "acme-1", "reader", grant.Over(scope.Everything, grant.MemoryRead, grant.MemoryForget))
		if got := p.call(t, reader, http.MethodDelete, sessionsPath+"/"+id, ""); got.status != http.StatusForbidden {
			t.Errorf("without memory:write: %d", got.status)
		}
		if got := p.call(t, alice, http.MethodDelete, sessionsPath+"/"+id, ""); got.status != http.StatusNoContent || len(got.body) != 0 {
			t.Fatalf("%d %s", got.status, got.body)
		}
		if got := p.call(t, alice, http.MethodGet, sessionsPath+"/"+id+"/turns", ""); got.status != http.StatusNotFound {
			t.Errorf("turns afterwards: %d", got.status)
		}
		if got := p.call(t, alice, http.MethodPost, factsPath, `{"text":"x","session_id":"`+id+`"}`); got.status != http.StatusForbidden {
			t.Errorf("pinned afterwards: %d", got.status)
		}
		if got := p.recall(t, alice, `{"query":"otter"}`); len(got.Hits) != 1 {
			t.Errorf("learnt: %v", got.texts())
		}
	})
}

type turnJSON struct {
	ID, Session, Role, Content, CreatedAt string
	Seq                                   int
}

func (p *plane) turns(t *testing.T, key, id, query string) []turnJSON {
	t.Helper()
	var out struct{ Turns []turnJSON }
	p.ok(t, &out, key, http.MethodGet, sessionsPath+"/"+id+"/turns"+query, "")
	return out.Turns
}

func TestTurnsComeOldestFirstInPages(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		alice := p.agent(t, "alice", "org/alice/*")
		id := p.session(t, alice, "").ID
		if turns := p.turns(t, alice, id, ""); turns == nil || len(turns) != 0 {
			t.Errorf("of a new session: %v", turns)
		}
		for i := range 5 {
			p.remember(t, alice, fmt.Sprintf(`{"text":"turn %d","role":"tool","session_id":%q,"infer":"none"}`, i, id))
		}
		turns := p.turns(t, alice, id, "?limit=2&offset=3")
		if len(turns) != 2 || turns[0].Content != "turn 3" || turns[0].Seq != 4 || turns[1].Seq != 5 || turns[0].Session != id ||
			turns[0].Role != "tool" || turns[0].ID == "" || turns[0].CreatedAt == "" {
			t.Errorf("a page: %+v", turns)
		}
		if all := p.turns(t, alice, id, ""); len(all) != 5 {
			t.Errorf("all: %d", len(all))
		}
		for _, query := range []string{"?limit=0", "?limit=501", "?offset=-1", "?limit=x"} {
			if got := p.call(t, alice, http.MethodGet, sessionsPath+"/"+id+"/turns"+query, ""); got.status != http.StatusBadRequest {
				t.Errorf("%s: %d", query, got.status)
			}
		}
	})
}
