package client_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/spectron/client"
)

func newClient(t *testing.T, answers map[string][]answer) (*client.Client, *stub) {
	t.Helper()
	s := newStub(t, dataSpec, answers)
	c, err := client.New(client.Config{
		URL: s.URL + "//", APIKey: client.APIKey(testKey.Reveal()), ContextID: "acme", MaxRetries: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, s
}

func TestMe(t *testing.T) {
	t.Parallel()
	// A verb of a later release must not break an older client.
	const identity = `{"principalId":"p1","displayName":"planner","kind":"agent","contextId":"acme",
		"grants":{"memory:read":["/*"],"memory:dream":["/*"]},"tokenGrants":{"memory:read":["org/acme/*"]},
		"effectiveGrants":{"memory:read":["org/acme/*"]}}`
	c, s := newClient(t, map[string][]answer{"getMe": {{status: http.StatusOK, body: identity}}})
	got, err := c.Me(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, got, identity)
	if diff := cmp.Diff([]seen{{"GET", "/api/v1/acme/me", ""}}, s.Seen); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestRemember(t *testing.T) {
	t.Parallel()
	const full = `{"mode":"full","sessionId":"s1","turnId":"t1","chunkId":"c1","extraction":{"turnId":"t1",
		"entities":[{"id":"e1","name":"Ada","entityType":"person","memoryCategory":"identity","isNew":true}],
		"attributes":[{"id":"a1","entityId":"e1","key":"likes","value":"tea","memoryCategory":"knowledge"}],
		"relations":[{"subject":"e1","label":"knows","object":"e2","memoryCategory":"context"}],
		"instructions":[{"id":"i1","label":"l","description":"d"}],"uncertainties":[{"about":"x","reason":"y"}],
		"corrections":[{"entityId":"e1","key":"likes","oldValue":"milk","newValue":"tea"}]}}`
	const preview = `{"mode":"preview","sessionId":"","preview":true}`
	c, s := newClient(t, map[string][]answer{
		"addFacts": {{status: http.StatusOK, body: full}, {status: http.StatusOK, body: preview}},
	})
	ctx := t.Context()
	got, err := c.Remember(ctx, "Ada wrote it.", client.RememberOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, got, full)
	got, err = c.Remember(ctx, "", client.RememberOptions{
		Infer: client.InferPreview, SessionID: "s1", Scopes: client.AllOf("org/acme", "user/ada"), Labels: []string{"k=v"},
		Role: "tool", MemoryCategory: "knowledge", ObservedAt: time.Date(2026, 9, 1, 12, 0, 0, 5, time.UTC),
	})
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, got, preview)
	want := []seen{
		{"POST", "/api/v1/acme/facts", `{"text":"Ada wrote it."}`},
		{"POST", "/api/v1/acme/facts", `{"infer":"preview","labels":["k=v"],"memory_category":"knowledge",` +
			`"observed_at":"2026-09-01T12:00:00.000000005Z","role":"tool","scopes":[["org/acme","user/ada"]],"session_id":"s1","text":""}`},
	}
	if diff := cmp.Diff(want, s.Seen); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestRecall(t *testing.T) {
	t.Parallel()
	const found = `{"tier":"hybrid","hits":[{"id":"c1","text":"Ada wrote it.","source":"memory_chunk","score":1.5,
		"occurredAt":"2026-09-01T12:00:00Z"}],"queryMs":3,"classificationKind":"hybrid","seedEntities":["Ada"],"trace":{"traceId":"t",
		"resolutionTier":"hybrid","tierReason":"no embeddings: bm25","latencyMs":3,"retrievedCount":1,"topScores":[1.5]}}`
	c, s := newClient(t, map[string][]answer{
		"queryMemory": {{status: http.StatusOK, body: found}, {status: http.StatusOK, body: found}},
	})
	ctx := t.Context()
	got, err := c.Recall(ctx, "who?", client.RecallOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, got, found)
	if _, err := c.Recall(ctx, "who?", client.RecallOptions{
		K: 3, Mode: client.ModeBM25, Lens: client.AnyOf("org/*", "user/ada"), Labels: []string{"k=v"}, Include: []string{"facts"},
		SessionID: "s1", AsOf: time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC),
	}); err != nil {
		t.Fatal(err)
	}
	want := []seen{
		{"POST", "/api/v1/acme/query", `{"query":"who?"}`},
		{"POST", "/api/v1/acme/query", `{"asOf":"2026-09-01T12:00:00Z","include":["facts"],"k":3,"labels":["k=v"],` +
			`"lens":[["org/*"],["user/ada"]],"mode":"bm25","query":"who?","sessionId":"s1"}`},
	}
	if diff := cmp.Diff(want, s.Seen); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	const node = `{"path":"org/acme/","displayName":"Acme","description":"All of it","createdAt":"2026-09-01T12:00:00Z",
		"tombstonedAt":"2026-09-02T12:00:00Z"}`
	c, s := newClient(t, map[string][]answer{
		"listScopes": {{status: http.StatusOK, body: "[" + node + "]"}}, "registerScope": {{status: http.StatusCreated, body: node}},
		"getHealth": {{status: http.StatusOK, body: `{"status":"ok","version":"1.2.3"}`}},
	})
	ctx := t.Context()
	nodes, err := c.ListScopes(ctx)
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, nodes, "["+node+"]")
	got, err := c.RegisterScope(ctx, "org/acme", client.RegisterScopeOptions{DisplayName: "Acme"})
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, got, node)
	health, err := c.Health(ctx)
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, health, `{"status":"ok","version":"1.2.3"}`)
	want := []seen{
		{"GET", "/api/v1/acme/scopes", ""},
		{"POST", "/api/v1/acme/scopes", `{"displayName":"Acme","path":"org/acme"}`},
		{"GET", "/api/v1/health", ""},
	}
	if diff := cmp.Diff(want, s.Seen); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}
