package dataplane_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
)

func TestRememberAndRecall(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		stored := p.remember(t, admin, `{"text":"Alice prefers green tea","infer":"none","role":"assistant","memory_category":"knowledge",
			"labels":["topic=drinks","topic=drinks"],"observed_at":"2026-01-31T12:00:00+02:00","unknown":{"a":1}}`)
		if stored.Mode != "none" || stored.SessionID == "" || stored.TurnID == "" || stored.ChunkID == "" || stored.Extraction != nil || stored.Preview {
			t.Errorf("stored: %+v", stored)
		}
		got := p.recall(t, admin, `{"query":"What tea does Alice like?","labels":["topic=drinks"],"sessionId":"`+stored.SessionID+`",
			"include":["facts"],"scopeView":"crossTeam","source":"memory_chunk"}`)
		if len(got.Hits) != 1 || got.Hits[0].ID != stored.ChunkID || got.Hits[0].Text != "Alice prefers green tea" ||
			got.Hits[0].Source != "memory_chunk" || got.Hits[0].Score <= 0 || got.Hits[0].OccurredAt != "2026-01-31T10:00:00Z" {
			t.Fatalf("hits: %+v", got.Hits)
		}
		if got.Tier != "hybrid" || got.ClassificationKind != "hybrid" || got.SeedEntities == nil || got.QueryMs == nil ||
			got.Trace.ResolutionTier != "hybrid" || got.Trace.RetrievedCount != 1 || len(got.Trace.TopScores) != 1 ||
			got.Trace.LatencyMs == nil || len(got.Trace.TraceID) != 32 || !strings.Contains(got.Trace.TierReason, "no embeddings") {
			t.Errorf("answer: %+v", got)
		}
		got = p.recall(t, admin, `{"query":"tea","mode":"bm25"}`)
		if strings.Contains(got.Trace.TierReason, "embeddings") || len(got.Hits) != 1 {
			t.Errorf("bm25: %+v", got)
		}
		if got = p.recall(t, admin, `{"query":"of the and"}`); len(got.Hits) != 0 || got.Hits == nil || got.Trace.TopScores == nil {
			t.Errorf("nothing to look for: %+v", got)
		}
	})
}

func TestFullWithoutAModelStoresAndExtractsNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		stored := p.remember(t, admin, `{"text":"otter"}`)
		want := map[string]any{
			"turnId": stored.TurnID, "entities": []any{}, "attributes": []any{}, "relations": []any{}, "instructions": []any{},
			"uncertainties": []any{}, "corrections": []any{},
		}
		if diff := cmp.Diff(want, stored.Extraction); diff != "" || stored.Mode != "full" || stored.TurnID == "" {
			t.Errorf("%+v (-want +got):\n%s", stored, diff)
		}
		preview := p.remember(t, admin, `{"text":"otter otter","infer":"preview"}`)
		if !preview.Preview || preview.Mode != "preview" || preview.ChunkID+preview.TurnID+preview.SessionID != "" || preview.Extraction == nil {
			t.Errorf("preview: %+v", preview)
		}
		if got := p.recall(t, admin, `{"query":"otter"}`); len(got.Hits) != 1 {
			t.Errorf("stored: %v", got.texts())
		}
	})
}

func TestRecallTakesK(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		for range 12 {
			p.remember(t, admin, `{"text":"otter","infer":"none"}`)
		}
		for body, want := range map[string]int{
			`{"query":"otter","includeDuplicates":true}`: 10, `{"query":"otter","includeDuplicates":true,"k":null}`: 10,
			`{"query":"otter","includeDuplicates":true,"k":1}`: 1, `{"query":"otter","includeDuplicates":true,"limit":11}`: 11,
			`{"query":"otter","includeDuplicates":true,"k":50}`: 12, `{"query":"otter"}`: 1, `{"query":"otter","includeDuplicates":false}`: 1,
		} {
			if got := p.recall(t, admin, body); len(got.Hits) != want {
				t.Errorf("%s: %d hits", body, len(got.Hits))
			}
		}
	})
}

func TestAsOfSeesWhatWasWrittenByThen(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		p.remember(t, admin, `{"text":"otter"}`)
		for at, want := range map[string]int{
			"2020-01-01T00:00:00Z": 0, time.Now().Add(time.Hour).Format(time.RFC3339): 1, "9999-12-31T23:59:59.999Z": 1, "0000-01-01T00:00:00Z": 0,
		} {
			for _, name := range []string{"asOf", "as_of"} {
				if got := p.recall(t, admin, `{"query":"otter","`+name+`":"`+at+`"}`); len(got.Hits) != want {
					t.Errorf("%s %s: %d hits", name, at, len(got.Hits))
				}
			}
		}
	})
}

func TestWritesLandWhereTheWriterMayWrite(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin, planner := p.admin(t), p.agent(t, "planner", "org/acme/agent/planner/*")
		p.ok(t, new(node), admin, http.MethodPost, "/api/v1/acme/scopes", `{"path":"org/acme/agent/planner/notes"}`)
		p.ok(t, new(node), admin, http.MethodPost, "/api/v1/acme/scopes", `{"path":"org/beta"}`)

		for body, want := range map[string]int{
			`{"text":"otter default"}`: http.StatusOK,
			`{"text":"otter own node, never registered by anybody","scopes":"org/acme/agent/planner"}`:     http.StatusOK,
			`{"text":"otter below","scopes":[["org/acme/agent/planner/notes"]]}`:                           http.StatusOK,
			`{"text":"otter alias","scope":"org/acme/agent/planner/notes"}`:                                http.StatusOK,
			`{"text":"otter empty","scopes":[]}`:                                                           http.StatusOK,
			`{"text":"otter null","scopes":null}`:                                                          http.StatusOK,
			`{"text":"refused above","scopes":"org/acme"}`:                                                 http.StatusForbidden,
			`{"text":"refused beside","scopes":["org/acme/agent/planner/notes","org/beta"]}`:               http.StatusForbidden,
			`{"text":"refused and","scopes":[["org/acme/agent/planner/notes","org/beta"]]}`:                http.StatusForbidden,
			`{"text":"refused preview","scopes":"org/beta","infer":"preview"}`:                             http.StatusForbidden,
			`{"text":"refused unregistered","scopes":"org/acme/agent/planner/nots"}`:                       http.StatusBadRequest,
			`{"text":"refused unregistered preview","infer":"preview","scope":"org/acme/agent/planner/x"}`: http.StatusBadRequest,
		} {
			got := p.call(t, planner, http.MethodPost, "/api/v1/acme/facts", body)
			if got.status != want {
				t.Errorf("%s: %d %s", body, got.status, got.body)
			}
			if want == http.StatusBadRequest && !strings.Contains(got.problem(t).Detail, "POST /api/v1/acme/scopes") {
				t.Errorf("%s does not say what to do: %s", body, got.body)
			}
		}
		for key, want := range map[string]int{admin: 6, planner: 6, p.agent(t, "other", "org/acme/agent/other/*"): 0, p.agent(t, "exact", "org/acme/agent/planner"): 4} {
			if got := p.recall(t, key, `{"query":"otter refused"}`); len(got.Hits) != want {
				t.Errorf("want %d hits, got %v", want, got.texts())
			}
		}
		reader := p.authority.Key(t, "acme", "acme-1", "reader", grant.Over(scope.Everything, grant.MemoryRead))
		if got := p.call(t, reader, http.MethodPost, "/api/v1/acme/facts", `{"text":"x"}`); got.status != http.StatusForbidden {
			t.Errorf("a reader wrote: %d", got.status)
		}
		writer := p.authority.Key(t, "acme", "acme-1", "writer", grant.Over(scope.Everything, grant.MemoryWrite))
		if got := p.recall(t, writer, `{"query":"otter"}`); len(got.Hits) != 0 {
			t.Error("who may only write reads")
		}
	})
}

func TestTheRootNeedsNoRegistration(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		p.remember(t, admin, `{"text":"otter","scopes":"/"}`)
		if got := p.recall(t, p.agent(t, "agent", "org/*"), `{"query":"otter"}`); len(got.Hits) != 0 {
			t.Error("a row of the root is seen below it")
		}
		if got := p.recall(t, p.agent(t, "root", "/"), `{"query":"otter"}`); len(got.Hits) != 1 {
			t.Error("a row of the root is not seen there")
		}
	})
}

func TestLensNarrowsAndNeverWidens(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		for _, path := range []string{"org/acme/user/alice", "org/acme/user/bob", "org/beta"} {
			p.ok(t, new(node), admin, http.MethodPost, "/api/v1/acme/scopes", `{"path":"`+path+`"}`)
		}
		p.remember(t, admin, `{"text":"otter of alice","scopes":"org/acme/user/alice"}`)
		p.remember(t, admin, `{"text":"otter of both","scopes":[["org/acme/user/alice","org/acme/user/bob"]]}`)
		p.remember(t, admin, `{"text":"otter of beta","scopes":"org/beta"}`)
		acme := p.agent(t, "acme", "org/acme/*")
		for _, tt := range []struct {
			key, lens string
			want      int
		}{
			{admin, `null`, 3},
			{admin, `"org/acme/*"`, 2},
			{admin, `["org/acme/user/bob","org/beta"]`, 2},
			{admin, `[["org/acme/user/alice","org/acme/user/bob"]]`, 1},
			{admin, `"org/acme"`, 0},
			{acme, `[]`, 2},
			{acme, `"org/beta"`, 0},
			{acme, `"/*"`, 2},
			{p.agent(t, "alice", "org/acme/user/alice"), `"org/acme/user/bob"`, 0},
		} {
			for _, name := range []string{"lens", "scope"} {
				if got := p.recall(t, tt.key, `{"query":"otter","`+name+`":`+tt.lens+`}`); len(got.Hits) != tt.want {
					t.Errorf("%s: want %d, got %v", tt.lens, tt.want, got.texts())
				}
			}
		}
	})
}

func TestSessionsAreAppendedToByWhoMayWriteThere(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		alice, bob := p.agent(t, "alice", "org/alice/*"), p.agent(t, "bob", "org/bob/*")
		session := p.remember(t, alice, `{"text":"otter one"}`).SessionID
		second := p.remember(t, alice, `{"text":"otter two","session_id":"`+session+`"}`)
		if second.SessionID != session {
			t.Errorf("appended to %s instead of %s", second.SessionID, session)
		}
		if got := p.recall(t, alice, `{"query":"otter","sessionId":"`+session+`"}`); len(got.Hits) != 2 {
			t.Errorf("in the session: %v", got.texts())
		}
		foreign := p.call(t, bob, http.MethodPost, "/api/v1/acme/facts", `{"text":"x","session_id":"`+session+`"}`)
		absent := p.call(t, bob, http.MethodPost, "/api/v1/acme/facts", `{"text":"x","session_id":"no such session"}`)
		if foreign.status != http.StatusForbidden || string(foreign.body) != string(absent.body) {
			t.Errorf("foreign %d %s, absent %d %s", foreign.status, foreign.body, absent.status, absent.body)
		}
		preview := p.call(t, bob, http.MethodPost, "/api/v1/acme/facts", `{"text":"x","infer":"preview","session_id":"`+session+`"}`)
		if string(preview.body) != string(absent.body) {
			t.Errorf("a preview tells: %d %s", preview.status, preview.body)
		}
	})
}

func TestContextsOfOneNameAreNotTheSame(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		first, second := p.admin(t), p.authority.Key(t, "acme", "acme-2", "admin", grant.All())
		session := p.remember(t, first, `{"text":"otter of the first life"}`).SessionID
		if got := p.recall(t, second, `{"query":"otter"}`); len(got.Hits) != 0 {
			t.Errorf("the next life sees %v", got.texts())
		}
		got := p.call(t, second, http.MethodPost, "/api/v1/acme/facts", `{"text":"x","session_id":"`+session+`"}`)
		if got.status != http.StatusForbidden {
			t.Errorf("the next life wrote into the first one's session: %d", got.status)
		}
	})
}
