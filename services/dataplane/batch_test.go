package dataplane_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
)

const batchPath = "/api/v1/acme/facts/batch"

type batchJSON struct {
	SessionID   string
	TurnIDs     []string `json:"turnIds"`
	Extractions []map[string]any
}

const twoMessages = `"messages":[{"role":"user","content":"otter one","ts":"2026-01-31T12:00:00Z"},{"role":"assistant","content":"otter two"}]`

func TestABatchIsRememberedInOrder(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		alice := p.agent(t, "alice", "org/alice/*")
		var got batchJSON
		p.ok(t, &got, alice, http.MethodPost, batchPath, `{`+twoMessages+`,"infer":"none","labels":["a=b"],"scopes":[["org/alice"]]}`)
		if got.SessionID == "" || len(got.TurnIDs) != 2 || got.Extractions == nil || len(got.Extractions) != 0 {
			t.Fatalf("got %+v", got)
		}
		turns := p.turns(t, alice, got.SessionID, "")
		if len(turns) != 2 || turns[0].ID != got.TurnIDs[0] || turns[1].ID != got.TurnIDs[1] || turns[0].Content != "otter one" || turns[1].Role != "assistant" {
			t.Errorf("turns: %+v", turns)
		}
		found := p.recall(t, alice, `{"query":"otter one","labels":["a=b"],"k":1}`)
		if len(found.Hits) != 1 || found.Hits[0].Text != "otter one" || found.Hits[0].OccurredAt != "2026-01-31T12:00:00Z" {
			t.Errorf("found %+v", found.Hits)
		}
		var more batchJSON
		p.ok(t, &more, alice, http.MethodPost, batchPath, `{"messages":[{"role":"user","content":"three"}],"session_id":"`+got.SessionID+`"}`)
		if turns := p.turns(t, alice, got.SessionID, ""); more.SessionID != got.SessionID || len(turns) != 3 || turns[2].Seq != 3 {
			t.Errorf("appended: %+v", turns)
		}
	})
}

func TestABatchHasAnExtractionPerConversationOrMessage(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		for fields, want := range map[string]int{
			``: 1, `,"infer":"full"`: 1, `,"extract":null,"infer":null`: 1, `,"extract":"whole_conversation"`: 1, `,"extract":"per_message"`: 2,
			`,"infer":"none","extract":"per_message"`: 0, `,"infer":"preview"`: 1, `,"infer":"preview","extract":"per_message"`: 2,
		} {
			var got batchJSON
			p.ok(t, &got, admin, http.MethodPost, batchPath, `{`+twoMessages+fields+`}`)
			if len(got.Extractions) != want {
				t.Errorf("%s: %+v", fields, got.Extractions)
			}
			for _, each := range got.Extractions {
				turn, _ := each["turnId"].(string)
				empty := map[string]any{
					"turnId": turn, "entities": []any{}, "attributes": []any{}, "relations": []any{}, "instructions": []any{},
					"uncertainties": []any{}, "corrections": []any{},
				}
				if diff := cmp.Diff(empty, each); diff != "" || !strings.Contains(strings.Join(got.TurnIDs, " "), turn) {
					t.Errorf("%s (-want +got):\n%s", fields, diff)
				}
			}
		}
	})
}

func TestAPreviewOfABatchStoresNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		var got batchJSON
		p.ok(t, &got, admin, http.MethodPost, batchPath, `{`+twoMessages+`,"infer":"preview"}`)
		if got.SessionID != "" || got.TurnIDs == nil || len(got.TurnIDs) != 0 {
			t.Errorf("got %+v", got)
		}
		if found := p.recall(t, admin, `{"query":"otter"}`); len(found.Hits) != 0 || len(p.sessions(t, admin, "")) != 0 {
			t.Errorf("stored: %v", found.texts())
		}
	})
}

func TestABatchIsAllOrNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		alice, bob := p.agent(t, "alice", "org/alice/*"), p.agent(t, "bob", "org/bob/*")
		foreign := p.session(t, bob, "").ID
		reader := p.authority.Key(t, "acme", "acme-1", "reader", grant.Over(scope.Everything, grant.MemoryRead))
		long := strings.Repeat("x", 64<<10+1)
		for _, tt := range []struct {
			key, body string
			status    int
			field     string
		}{
			{alice, `{"messages":[]}`, 400, "messages"},
			{alice, `{}`, 400, "messages"},
			{alice, `{` + twoMessages + `,"infer":"triples"}`, 400, "infer"},
			{alice, `{` + twoMessages + `,"infer":"guess"}`, 400, "infer"},
			{alice, `{` + twoMessages + `,"extract":"guess"}`, 400, "extract"},
			{alice, `{` + twoMessages + `,"labels":["_a=b"]}`, 400, "labels.0"},
			{alice, `{"messages":[{"role":"user","content":"otter"},{"role":"nobody","content":"x"}]}`, 400, "messages.1.role"},
			{alice, `{"messages":[{"role":"user","content":"otter"},{"content":"x"}]}`, 400, "messages.1.role"},
			{alice, `{"messages":[{"role":"user","content":"otter"},{"role":"user","content":" "}]}`, 400, "messages.1.content"},
			{alice, `{"messages":[{"role":"user","content":"otter"},{"role":"user","content":"` + long + `"}]}`, 400, "messages.1.content"},
			{alice, `{"messages":[{"role":"user","content":"otter","ts":"yesterday"}]}`, 400, "messages.0.ts"},
			{alice, `{` + twoMessages + `,"scopes":"org/bob"}`, 403, ""},
			{alice, `{` + twoMessages + `,"scopes":"org/alice/unregistered"}`, 400, "scopes"},
			{alice, `{` + twoMessages + `,"session_id":"` + foreign + `"}`, 403, ""},
			{reader, `{` + twoMessages + `}`, 403, ""},
		} {
			got := p.call(t, tt.key, http.MethodPost, batchPath, tt.body)
			if got.status != tt.status || got.problem(t).Field != tt.field {
				t.Errorf("%.120s: %d %s", tt.body, got.status, got.body)
			}
		}
		one := p.call(t, alice, http.MethodPost, batchPath, `{`+twoMessages+`,"session_id":"`+foreign+`"}`)
		other := p.call(t, alice, http.MethodPost, batchPath, `{`+twoMessages+`,"session_id":"no such session"}`)
		if string(one.body) != string(other.body) {
			t.Errorf("foreign %s, absent %s", one.body, other.body)
		}
		if found := p.recall(t, p.admin(t), `{"query":"otter"}`); len(found.Hits) != 0 {
			t.Errorf("stored: %v", found.texts())
		}
	})
}

func TestABatchWithAnIdempotencyKeyIsStoredOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		first := p.call(t, admin, http.MethodPost, batchPath, `{`+twoMessages+`}`, "Idempotency-Key", "k")
		again := p.call(t, admin, http.MethodPost, batchPath, `{ `+twoMessages+` }`, "Idempotency-Key", "k")
		if first.status != http.StatusOK || string(first.body) != string(again.body) {
			t.Errorf("%d %s, then %d %s", first.status, first.body, again.status, again.body)
		}
		if ids := p.sessions(t, admin, ""); len(ids) != 1 {
			t.Errorf("%d sessions", len(ids))
		}
		if other := p.call(t, admin, http.MethodPost, batchPath, `{`+twoMessages+`,"infer":"none"}`, "Idempotency-Key", "k"); other.status != http.StatusConflict {
			t.Errorf("another body: %d", other.status)
		}
		if fact := p.call(t, admin, http.MethodPost, factsPath, `{"text":"a"}`, "Idempotency-Key", "k"); fact.status != http.StatusOK {
			t.Errorf("another route: %d", fact.status)
		}
	})
}

func TestABlockedContextIsRefusedWhatNeedsALanguageModel(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		blocked := p.authority.BlockedKey(t, "acme", "acme-1", "blocked", grant.All())
		for _, tt := range []struct {
			path, body string
			want       int
		}{
			{factsPath, `{"text":"a"}`, http.StatusTooManyRequests},
			{factsPath, `{"text":"a","infer":"preview"}`, http.StatusTooManyRequests},
			{factsPath, `{"text":"a","infer":"none"}`, http.StatusOK},
			{batchPath, `{` + twoMessages + `}`, http.StatusTooManyRequests},
			{batchPath, `{` + twoMessages + `,"infer":"preview"}`, http.StatusTooManyRequests},
			{batchPath, `{` + twoMessages + `,"infer":"none"}`, http.StatusOK},
			{"/api/v1/acme/query", `{"query":"a"}`, http.StatusOK},
		} {
			got := p.call(t, blocked, http.MethodPost, tt.path, tt.body)
			if got.status != tt.want || got.header.Get("Retry-After") != "" {
				t.Errorf("%s %s: %d %s", tt.path, tt.body, got.status, got.body)
			}
		}
		if got := p.recall(t, p.admin(t), `{"query":"otter"}`); len(got.Hits) != 2 {
			t.Errorf("stored: %v", got.texts())
		}
	})
}
