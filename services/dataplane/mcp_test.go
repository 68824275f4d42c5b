package dataplane_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
)

// bearer adds a key to every request.
type bearer struct {
	key  string
	next http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.key)
	return b.next.RoundTrip(r)
}

func (p *plane) connect(ctx context.Context, key string) (*mcp.ClientSession, error) {
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	return client.Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint:             p.server.URL + "/mcp",
		HTTPClient:           &http.Client{Transport: bearer{key, p.server.Client().Transport}},
		DisableStandaloneSSE: true,
		MaxRetries:           -1,
	}, nil)
}

func (p *plane) mcp(t *testing.T, key string) *mcp.ClientSession {
	t.Helper()
	session, err := p.connect(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

func tool(t *testing.T, session *mcp.ClientSession, name string, arguments, out any) *mcp.CallToolResult {
	t.Helper()
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: name, Arguments: arguments})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if err := json.Unmarshal([]byte(jsonOf(t, result.StructuredContent)), out); err != nil {
		t.Fatal(err)
	}
	return result
}

func TestAgentsRememberAndRecall(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		planner := p.agent(t, "planner", "org/acme/agent/planner/*")
		session := p.mcp(t, planner)
		tools, err := session.ListTools(t.Context(), nil)
		if err != nil || len(tools.Tools) != 6 {
			t.Fatalf("tools: %v, %v", tools, err)
		}
		var stored struct {
			Mode      string
			SessionID string `json:"session_id"`
			TurnID    string `json:"turn_id"`
			ChunkID   string `json:"chunk_id"`
		}
		result := tool(t, session, "remember", map[string]any{
			"text": "the otter prefers fish", "labels": []string{"a=b"}, "infer": "none", "context_id": "acme", "scope": "org/acme/agent/planner",
		}, &stored)
		if result.IsError || stored.Mode != "none" || stored.SessionID == "" || stored.TurnID == "" || stored.ChunkID == "" {
			t.Errorf("remember: %+v", stored)
		}
		tool(t, session, "remember", map[string]any{"text": "the otter sleeps", "session_id": stored.SessionID}, &stored)

		var got struct {
			Hits       []struct{ ID, Text, Source string }
			TierReason string `json:"tier_reason"`
			TraceID    string `json:"trace_id"`
		}
		tool(t, session, "recall", map[string]any{
			"query": "What does the otter prefer?", "k": 5, "mode": "bm25", "lens": "org/acme/*", "labels": []string{"a=b"},
		}, &got)
		if len(got.Hits) != 1 || got.Hits[0].Text != "the otter prefers fish" || got.Hits[0].Source != "memory_chunk" || got.TierReason == "" || len(got.TraceID) != 32 {
			t.Errorf("recall: %+v", got)
		}
		if rest := p.recall(t, planner, `{"query":"otter"}`); len(rest.Hits) != 2 {
			t.Errorf("REST finds %v", rest.texts())
		}
		tool(t, p.mcp(t, p.agent(t, "other", "org/acme/agent/other/*")), "recall", map[string]any{"query": "otter"}, &got)
		if len(got.Hits) != 0 {
			t.Errorf("another agent finds %+v", got.Hits)
		}
	})
}

func TestAgentsAreToldWhatFailed(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		session := p.mcp(t, p.agent(t, "planner", "org/acme/*"))
		for _, tt := range []struct {
			tool      string
			arguments map[string]any
			status    int
		}{
			{"remember", map[string]any{"text": "x", "scope": "org/beta"}, http.StatusForbidden},
			{"remember", map[string]any{"text": "x", "scope": "org/acme/unregistered"}, http.StatusBadRequest},
			{"remember", map[string]any{"text": "x", "session_id": "no such"}, http.StatusForbidden},
			{"remember", map[string]any{"text": ""}, http.StatusBadRequest},
			{"remember", map[string]any{"text": "x", "infer": "triples"}, http.StatusBadRequest},
			{"remember", map[string]any{"text": "x", "infer": "nonsense"}, http.StatusBadRequest},
			{"remember", map[string]any{"text": "x\x00"}, http.StatusBadRequest},
			{"remember", map[string]any{"text": "x", "context_id": "other"}, http.StatusUnauthorized},
			{"recall", map[string]any{"query": "x", "context_id": "other"}, http.StatusUnauthorized},
			{"recall", map[string]any{"query": "x", "mode": "vector"}, http.StatusBadRequest},
			{"recall", map[string]any{"query": "x", "labels": []string{"x"}}, http.StatusBadRequest},
			{"context", map[string]any{"query": "x", "context_id": "other"}, http.StatusUnauthorized},
			{"context", map[string]any{"query": " "}, http.StatusBadRequest},
			{"reflect", map[string]any{"query": "x", "context_id": "other"}, http.StatusUnauthorized},
			{"reflect", map[string]any{"query": "x", "persist": true}, http.StatusForbidden}, // an agent
			{"reflect", map[string]any{"query": "x\x00"}, http.StatusBadRequest},
			{"forget", map[string]any{"query": "x", "context_id": "other"}, http.StatusUnauthorized},
			{"inspect", map[string]any{"ref": "entity:person/nobody"}, http.StatusNotFound},
			{"inspect", map[string]any{"ref": "trace:unknown"}, http.StatusNotFound},
			{"inspect", map[string]any{"ref": "trace:\x00"}, http.StatusBadRequest},
			{"inspect", map[string]any{"ref": "document:x"}, http.StatusNotImplemented},
			{"inspect", map[string]any{"ref": "nonsense"}, http.StatusBadRequest},
			{"inspect", map[string]any{"ref": "entity:a/b", "context_id": "other"}, http.StatusUnauthorized},
		} {
			var failure struct {
				Error struct {
					Status  int
					Message string
				}
			}
			result := tool(t, session, tt.tool, tt.arguments, &failure)
			if !result.IsError || failure.Error.Status != tt.status || failure.Error.Message == "" {
				t.Errorf("%s %v: %+v", tt.tool, tt.arguments, failure)
			}
		}
	})
}

func TestBadParametersAreFaultsOfTheProtocol(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		session := p.mcp(t, p.admin(t))
		for _, tt := range []struct {
			tool      string
			arguments any
		}{
			{"remember", nil},
			{"remember", map[string]any{"text": 7}},
			{"remember", map[string]any{"text": "x", "scope": "a//b"}},
			{"recall", map[string]any{}},
			{"recall", map[string]any{"query": "x", "k": 51}},
			{"recall", map[string]any{"query": "x", "k": 0}},
			{"recall", map[string]any{"query": "x", "k": 1e30}},
			{"recall", map[string]any{"query": "x", "lens": []any{[]any{}}}},
			{"context", map[string]any{}},
			{"context", map[string]any{"query": "x", "k": 51}},
			{"context", map[string]any{"query": "x", "lens": []any{[]any{}}}},
			{"reflect", map[string]any{}},
			{"reflect", map[string]any{"query": "x", "persist": "yes"}},
			{"forget", map[string]any{}},
			{"forget", map[string]any{"query": "x", "purge": 1}},
			{"inspect", map[string]any{}},
			{"inspect", map[string]any{"ref": 1}},
			{"memory_recall", map[string]any{"query": "x"}},
			{"upload", map[string]any{"bytes_base64": ""}},
		} {
			_, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: tt.tool, Arguments: tt.arguments})
			want := int64(jsonrpc.CodeInvalidParams)
			if tt.tool == "memory_recall" || tt.tool == "upload" {
				want = jsonrpc.CodeMethodNotFound
			}
			rpc, ok := errors.AsType[*jsonrpc.Error](err)
			if !ok || rpc.Code != want {
				t.Errorf("%s %v: %v, want %d", tt.tool, tt.arguments, err, want)
			}
		}
	})
}

func TestMCPAsksForAKey(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		if _, err := p.connect(t.Context(), p.authority.DeadKey(t)); err == nil || !strings.Contains(err.Error(), "Unauthorized") {
			t.Errorf("with a dead key: %v", err)
		}
		got := p.call(t, "", http.MethodPost, "/mcp", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
		if got.status != http.StatusUnauthorized || got.problem(t).Type != fault.Unauthenticated.Type() {
			t.Errorf("without a key: %d %s", got.status, got.body)
		}
		if got = p.call(t, p.admin(t), http.MethodGet, "/mcp", ""); got.status != http.StatusMethodNotAllowed {
			t.Errorf("GET: %d", got.status)
		}
	})
}

func TestAgentsAskForContextReflectForgetAndInspect(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		planner, other := p.agent(t, "planner", "org/acme/*"), p.mcp(t, p.agent(t, "other", "org/other/*"))
		session := p.mcp(t, planner)
		p.remember(t, planner, `{"text":"The otter prefers fish.","infer":"none","labels":["a=b"]}`)
		p.ok(t, new(any), planner, http.MethodPost, factsPath,
			`{"infer":"triples","triples":[{"entity":{"type":"animal","name":"otter"},"key":"food","value":"fish"}]}`)

		var built struct {
			Context, Tier string
			TierReason    string `json:"tier_reason"`
			TraceID       string `json:"trace_id"`
		}
		ask := map[string]any{"query": "otter", "k": 1, "lens": "org/acme", "labels": []string{"a=b"}, "context_id": "acme"}
		tool(t, session, "context", ask, &built)
		if built.Context != "## Memories\n\n- The otter prefers fish.\n" || built.Tier != "hybrid" || built.TierReason == "" || len(built.TraceID) != 32 {
			t.Errorf("context: %+v", built)
		}
		if tool(t, other, "context", ask, &built); built.Context != "" {
			t.Errorf("another agent's context: %q", built.Context)
		}
		var made struct {
			Reflection, Method string
			Evidence           []string
			Persisted          []any  `json:"persisted_attributes"`
			TraceID            string `json:"trace_id"`
		}
		tool(t, session, "reflect", map[string]any{"query": "otter", "persist": false}, &made)
		if !strings.Contains(made.Reflection, "fish") || made.Method != "extractive" || len(made.Evidence) == 0 || made.Persisted == nil || len(made.TraceID) != 32 {
			t.Errorf("reflect: %+v", made)
		}
		var shown struct {
			Kind       string
			Entity     map[string]any
			Attributes []map[string]any
			Trace      map[string]any
		}
		tool(t, session, "inspect", map[string]any{"ref": "entity:animal/otter"}, &shown)
		if shown.Kind != "entity" || shown.Entity["entity_type"] != "animal" || len(shown.Attributes) != 1 || shown.Attributes[0]["value"] != "fish" {
			t.Errorf("inspect: %+v", shown)
		}
		tool(t, session, "inspect", map[string]any{"ref": "trace:" + made.TraceID}, &shown)
		if shown.Kind != "trace" || shown.Trace["query_text"] != "otter" || shown.Trace["principal_id"] != "planner" {
			t.Errorf("inspect: %+v", shown)
		}
		for _, ref := range []string{"entity:animal/otter", "trace:" + made.TraceID} {
			if got := tool(t, other, "inspect", map[string]any{"ref": ref}, new(any)); !got.IsError {
				t.Errorf("another agent inspects %s", ref)
			}
		}
		var gone struct{ Deleted *int }
		if tool(t, other, "forget", map[string]any{"query": "otter"}, &gone); gone.Deleted == nil || *gone.Deleted != 0 {
			t.Errorf("another agent forgot %v", gone.Deleted)
		}
		if tool(t, session, "forget", map[string]any{"query": "prefers", "purge": true}, &gone); gone.Deleted == nil || *gone.Deleted != 1 {
			t.Errorf("forget: %v", gone.Deleted)
		}
		reader := p.authority.Key(t, "acme", "acme-1", "reader", grant.Over(scope.Everything, grant.MemoryRead))
		for name, arguments := range map[string]map[string]any{"forget": {"query": "x"}, "remember": {"text": "x"}} {
			var failure struct{ Error struct{ Status int } }
			if tool(t, p.mcp(t, reader), name, arguments, &failure); failure.Error.Status != http.StatusForbidden {
				t.Errorf("%s without the verb: %+v", name, failure)
			}
		}
		if rows := p.audit(t, planner, "?limit=1"); rows[0].Action != "forget" || rows[0].RowsTouched != 1 {
			t.Errorf("audit: %+v", rows)
		}
	})
}

func TestTheContextHeaderOfMCPIsAdvisory(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		got := p.call(t, p.admin(t), http.MethodPost, "/mcp", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"recall","arguments":{"query":"x"}}}`,
			"X-Spectron-Context", "other", "Accept", "application/json, text/event-stream")
		if got.status != http.StatusOK || !strings.Contains(string(got.body), "hits") {
			t.Errorf("%d %s", got.status, got.body)
		}
	})
}
