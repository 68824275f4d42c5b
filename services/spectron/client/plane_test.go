package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/spectron/client"
)

const (
	principalJSON        = `{"id":"p1","kind":"agent","displayName":"planner","grants":{"memory:read":["org/acme/*"]}}`
	managedPrincipalJSON = `{"id":"p1","display_name":"planner","kind":"service","external_id":"x:1","grants":{"memory:read":["/*"]},
		"created_at":"2026-09-01T12:00:00Z"}`
	sessionJSON = `{"id":"s1","scopes":[["org/acme/","user/ada/"]],"createdAt":"2026-09-01T12:00:00Z","metadata":{"a":[1]},"turnCount":2}`
	entityJSON  = `{"id":"e1","name":"Ada","entityType":"person","memoryCategory":"identity","importance":0.5,
		"createdAt":"2026-09-01T12:00:00Z","updatedAt":"2026-09-02T12:00:00Z"}`
	attributeJSON = `{"id":"a2","entity":"e1","key":"likes","value":"tea","memoryCategory":"knowledge","importance":1,
		"createdAt":"2026-09-01T12:00:00Z","validFrom":"2026-09-01T12:00:00Z","validUntil":"2026-09-02T12:00:00Z","supersedes":"a1",
		"supersededBy":"a3","source":{"kind":"triples","ref":"r","sessionId":"s1"}}`
	relationJSON = `{"id":"r1","subject":"e1","label":"knows","object":"e2","memoryCategory":"context",
		"createdAt":"2026-09-01T12:00:00Z","validFrom":"2026-09-01T12:00:00Z","validUntil":"2026-09-02T12:00:00Z","source":{"kind":"reflect"}}`
	traceJSON = `{"id":"t1","queryText":"who?","resolutionTier":"hybrid","tierReason":"words","latencyMs":3,"cached":false,
		"createdAt":"2026-09-01T12:00:00Z","principalId":"p1","delegatedPrincipalId":"p2","retrievedCount":4}`
	categoryJSON = `{"entities":[` + entityJSON + `],"attributes":[` + attributeJSON + `],"relations":[` + relationJSON + `]}`
	listsJSON    = `"instructions":[{"id":"i1","label":"l","description":"d"}]`
)

var noon = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

// exchange is a call, what it sends, and what it makes of the answer.
type exchange[C any] struct {
	// operation is answered with status and body.
	operation string
	status    int
	body      string
	call      func(context.Context, C) (any, error)
	want      seen
	// decoded is what the result encodes as; the body, when empty.
	decoded string
}

func (e exchange[C]) check(t *testing.T, c C, s *stub) {
	t.Helper()
	got, err := e.call(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]seen{e.want}, s.Seen); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if e.decoded == "" {
		e.decoded = e.body
	}
	if e.decoded != "" {
		sameJSON(t, got, e.decoded)
	}
}

// none makes a call of one that answers nothing.
func none(err error) (any, error) { return nil, err }

func TestDataPlane(t *testing.T) {
	t.Parallel()
	for _, e := range dataPlane() {
		t.Run(e.operation, func(t *testing.T) {
			t.Parallel()
			c, s := newClient(t, map[string][]answer{e.operation: {{status: e.status, body: e.body}}})
			e.check(t, c, s)
		})
	}
}

func dataPlane() []exchange[*client.Client] {
	type C = *client.Client
	type ctx = context.Context
	ada := client.EntityRef{Type: "person", Name: "Ada L/ovelace"}
	return []exchange[C]{
		{
			"listOwnKeys", 200,
			`[{"id":"k1","name":"ci","createdAt":"2026-09-01T12:00:00Z","grants":{},"lastUsedAt":"2026-09-01T12:00:00Z",
				"validUntil":"2026-09-02T12:00:00Z","principalId":"p1"}]`,
			func(ctx ctx, c C) (any, error) { return c.ListKeys(ctx) },
			seen{"GET", "/api/v1/acme/keys", ""},
			`[{"id":"k1","name":"ci","createdAt":"2026-09-01T12:00:00Z","lastUsedAt":"2026-09-01T12:00:00Z",
				"validUntil":"2026-09-02T12:00:00Z","principalId":"p1"}]`,
		},
		{"deleteOwnKey", 204, "", func(ctx ctx, c C) (any, error) { return none(c.DeleteKey(ctx, "a b/c")) }, seen{"DELETE", "/api/v1/acme/keys/a%20b%2Fc", ""}, ""},
		{"tombstoneScope", 204, "", func(ctx ctx, c C) (any, error) { return none(c.DeleteScope(ctx, "org/acme/")) }, seen{"DELETE", "/api/v1/acme/scopes?path=org%2Facme%2F", ""}, ""},
		{"forgetScope", 200, `{"forgotten":3}`, func(ctx ctx, c C) (any, error) { return c.ForgetScope(ctx, "org/acme") }, seen{"POST", "/api/v1/acme/scopes/forget", `{"path":"org/acme"}`}, "3"},
		{"listPrincipals", 200, "[" + principalJSON + "]", func(ctx ctx, c C) (any, error) { return c.ListPrincipals(ctx) }, seen{"GET", "/api/v1/acme/principals", ""}, ""},
		{"getPrincipal", 200, principalJSON, func(ctx ctx, c C) (any, error) { return c.GetPrincipal(ctx, "principal:p1") }, seen{"GET", "/api/v1/acme/principals/principal:p1", ""}, ""},
		{
			"getEffective", 200, `{"path":"org/acme/","verbs":["memory:read"],"asOf":"2026-09-01T12:00:00Z"}`,
			func(ctx ctx, c C) (any, error) { return c.Effective(ctx, "p1", "org/acme", noon) },
			seen{"GET", "/api/v1/acme/principals/p1/effective?path=org%2Facme&asOf=2026-09-01T12%3A00%3A00Z", ""},
			"",
		},
		{"addGrants", 200, principalJSON, func(ctx ctx, c C) (any, error) {
			return c.AddGrants(ctx, "p1", "org/acme/*", "memory:read", "memory:write")
		}, seen{"POST", "/api/v1/acme/principals/p1/grants", `{"path":"org/acme/*","verbs":["memory:read","memory:write"]}`}, ""},
		{"removeGrants", 200, principalJSON, func(ctx ctx, c C) (any, error) { return c.RemoveGrants(ctx, "p1", "/*", "memory:read") }, seen{"DELETE", "/api/v1/acme/principals/p1/grants", `{"path":"/*","verbs":["memory:read"]}`}, ""},
		{
			"createSession", 201, sessionJSON, func(ctx ctx, c C) (any, error) {
				return c.CreateSession(ctx, client.CreateSessionOptions{Scopes: client.AllOf("org/acme", "user/ada"), Metadata: json.RawMessage(`{"a":[1]}`)})
			},
			seen{"POST", "/api/v1/acme/sessions", `{"metadata":{"a":[1]},"scopes":[["org/acme","user/ada"]]}`},
			"",
		},
		{"listSessions", 200, `{"sessions":[` + sessionJSON + `]}`, func(ctx ctx, c C) (any, error) { return c.ListSessions(ctx, client.Page{Limit: 5, Offset: 10}) }, seen{"GET", "/api/v1/acme/sessions?limit=5&offset=10", ""}, "[" + sessionJSON + "]"},
		{"getSession", 200, sessionJSON, func(ctx ctx, c C) (any, error) { return c.GetSession(ctx, "s1") }, seen{"GET", "/api/v1/acme/sessions/s1", ""}, ""},
		{"deleteSession", 204, "", func(ctx ctx, c C) (any, error) { return none(c.DeleteSession(ctx, "s1")) }, seen{"DELETE", "/api/v1/acme/sessions/s1", ""}, ""},
		{
			"listTurns", 200, `{"turns":[{"id":"t1","session":"s1","role":"user","content":"hi","seq":1,"createdAt":"2026-09-01T12:00:00Z"}]}`,
			func(ctx ctx, c C) (any, error) { return c.ListTurns(ctx, "s1", client.Page{}) },
			seen{"GET", "/api/v1/acme/sessions/s1/turns", ""},
			`[{"id":"t1","session":"s1","role":"user","content":"hi","seq":1,"createdAt":"2026-09-01T12:00:00Z"}]`,
		},
		{"getSessionContext", 200, `{"context":"# x"}`, func(ctx ctx, c C) (any, error) { return c.SessionContext(ctx, "s1", "who?") }, seen{"POST", "/api/v1/acme/sessions/s1/context", `{"query":"who?"}`}, `"# x"`},
		{
			"addFactsBatch", 200, `{"sessionId":"s1","turnIds":["t1","t2"],"extractions":[]}`, func(ctx ctx, c C) (any, error) {
				return c.RememberMany(ctx, []client.Message{{Role: "user", Content: "<hi>", At: noon}, {Role: "assistant", Content: "ho"}},
					client.RememberManyOptions{Infer: client.InferNone, Extract: "per_message", Labels: []string{"k=v"}, Scopes: client.AnyOf("a"), SessionID: "s1"})
			},
			seen{"POST", "/api/v1/acme/facts/batch", `{"extract":"per_message","infer":"none","labels":["k=v"],"messages":[{"content":"<hi>","role":"user","ts":"2026-09-01T12:00:00Z"},` +
				`{"content":"ho","role":"assistant"}],"scopes":[["a"]],"session_id":"s1"}`},
			"",
		},
		{
			"addFacts", 200, `{"mode":"triples","sessionId":"s1"}`, func(ctx ctx, c C) (any, error) {
				return c.Remember(ctx, "", client.RememberOptions{Triples: []client.Triple{
					{Entity: client.EntityRef{Type: "person", Name: "Ada"}, Key: "likes", Value: "tea", MemoryCategory: "knowledge"},
					{Entity: client.EntityRef{Type: "person", Name: "Ada"}, Key: "knows", Target: &client.EntityRef{Type: "person", Name: "Bob"}},
				}})
			},
			seen{"POST", "/api/v1/acme/facts", `{"infer":"triples","triples":[{"entity":{"name":"Ada","type":"person"},"key":"likes","memory_category":"knowledge","value":"tea"},` +
				`{"entity":{"name":"Ada","type":"person"},"key":"knows","target":{"name":"Bob","type":"person"}}]}`},
			"",
		},
		{
			"getContextFor", 200, `{"context":"# x","tier":"hybrid","queryMs":2}`, func(ctx ctx, c C) (any, error) {
				return c.Context(ctx, "who?", client.ContextOptions{K: 3, Lens: client.AnyOf("org/*"), Labels: []string{"k=v"}})
			},
			seen{"POST", "/api/v1/acme/context", `{"k":3,"labels":["k=v"],"lens":[["org/*"]],"query":"who?"}`},
			"",
		},
		{"forgetMemory", 200, `{"deleted":2}`, func(ctx ctx, c C) (any, error) {
			return c.Forget(ctx, "tea", client.ForgetOptions{DryRun: true, Purge: true})
		}, seen{"POST", "/api/v1/acme/forget", `{"dryRun":true,"purge":true,"query":"tea"}`}, "2"},
		{
			"reflect", 200, `{"reflection":"x","evidence":["y"],"persistedAttributes":[{"id":"a1","entityId":"e1","key":"k","value":"v","memoryCategory":"knowledge"}],
				"traceId":"t","method":"extractive"}`,
			func(ctx ctx, c C) (any, error) { return c.Reflect(ctx, "tea", client.ReflectOptions{Persist: true}) },
			seen{"POST", "/api/v1/acme/reflect", `{"persist":true,"query":"tea"}`},
			"",
		},
		{"decay", 200, `{"affected":2}`, func(ctx ctx, c C) (any, error) { return c.Decay(ctx) }, seen{"POST", "/api/v1/acme/lifecycle/decay", `{}`}, "2"},
		{"expire", 200, `{"affected":2}`, func(ctx ctx, c C) (any, error) { return c.Expire(ctx) }, seen{"POST", "/api/v1/acme/lifecycle/expire", `{}`}, "2"},
		{"listEntities", 200, `{"entities":[` + entityJSON + `]}`, func(ctx ctx, c C) (any, error) { return c.ListEntities(ctx, "person", client.Page{Limit: 1}) }, seen{"GET", "/api/v1/acme/entities?type=person&limit=1", ""}, "[" + entityJSON + "]"},
		{"getEntity", 200, `{"entity":` + entityJSON + `,"attributes":[` + attributeJSON + `],"relations":[` + relationJSON + `]}`, func(ctx ctx, c C) (any, error) { return c.GetEntity(ctx, ada) }, seen{"GET", "/api/v1/acme/entities/person/Ada%20L%2Fovelace", ""}, ""},
		{"deleteEntity", 204, "", func(ctx ctx, c C) (any, error) { return none(c.DeleteEntity(ctx, ada)) }, seen{"DELETE", "/api/v1/acme/entities/person/Ada%20L%2Fovelace", ""}, ""},
		{"getHistory", 200, `{"history":[` + attributeJSON + `]}`, func(ctx ctx, c C) (any, error) { return c.History(ctx, ada, "likes") }, seen{"GET", "/api/v1/acme/entities/person/Ada%20L%2Fovelace/history/likes", ""}, "[" + attributeJSON + "]"},
		{"getState", 200, `{"identity":` + categoryJSON + `,"knowledge":` + categoryJSON + `,"context":` + categoryJSON + `,` + listsJSON + `,"unknowns":[{"about":"x","reason":"y"}]}`, func(ctx ctx, c C) (any, error) { return c.State(ctx) }, seen{"GET", "/api/v1/acme/state", ""}, ""},
		{"getProfile", 200, `{"static":[{"key":"k","value":"v"}],"dynamic":[],"preferences":[],` + listsJSON + `}`, func(ctx ctx, c C) (any, error) { return c.Profile(ctx) }, seen{"GET", "/api/v1/acme/profile", ""}, ""},
		{"inspect", 200, `{"kind":"trace","trace":` + traceJSON + `}`, func(ctx ctx, c C) (any, error) { return c.Inspect(ctx, "trace:t1") }, seen{"GET", "/api/v1/acme/inspect?ref=trace%3At1", ""}, ""},
		{"listTraces", 200, `{"traces":[` + traceJSON + `]}`, func(ctx ctx, c C) (any, error) { return c.ListTraces(ctx, 7) }, seen{"GET", "/api/v1/acme/traces?limit=7", ""}, "[" + traceJSON + "]"},
		{"getTrace", 200, traceJSON, func(ctx ctx, c C) (any, error) { return c.GetTrace(ctx, "t1") }, seen{"GET", "/api/v1/acme/traces/t1", ""}, ""},
		{
			"getTraceStats", 200, `{"totalQueries":1,"avgLatencyMs":1.5,"cacheHits":1,"cacheHitRate":0.5,"responseTracesCached":1,"responseTracesTotal":1,
				"windowHours":24,"tierCounts":{"direct":1,"hybrid":2,"fullContext":3},"contradiction":{"a":1},"retrieval":{"b":0.5},"supersession":{"c":2},
				"sourceKindDistribution":[{"kind":"triples","count":4}]}`,
			func(ctx ctx, c C) (any, error) { return c.GetTraceStats(ctx) },
			seen{"GET", "/api/v1/acme/traces/stats", ""},
			"",
		},
		{
			"listAudit", 200, `{"rows":[{"traceId":"t","kind":"decision","principal":"p1","onBehalfOf":"p2","keyId":"k1","action":"facts.add","model":"m","cost":0,
				"latencyMs":1,"rowsTouched":2,"createdAt":"2026-09-01T12:00:00Z"}]}`,
			func(ctx ctx, c C) (any, error) {
				return c.Audit(ctx, client.AuditOptions{Principal: "p1", Key: "k1", Kind: "decision", Since: noon, Until: noon.Add(time.Hour), Limit: 3})
			},
			seen{"GET", "/api/v1/acme/audit?principal=p1&key=k1&kind=decision&since=2026-09-01T12%3A00%3A00Z&until=2026-09-01T13%3A00%3A00Z&limit=3", ""},
			`[{"traceId":"t","kind":"decision","principal":"p1","onBehalfOf":"p2","keyId":"k1","action":"facts.add","model":"m","cost":0,
				"latencyMs":1,"rowsTouched":2,"createdAt":"2026-09-01T12:00:00Z"}]`,
		},
		{
			"queryMemory", 200, `{"tier":"hybrid","hits":[],"queryMs":1,"classificationKind":"hybrid","seedEntities":[],"trace":{"traceId":"t","resolutionTier":"hybrid",
				"tierReason":"words","latencyMs":1,"retrievedCount":0,"topScores":[]}}`,
			func(ctx ctx, c C) (any, error) {
				return c.Recall(ctx, "who?", client.RecallOptions{
					Source: "attribute", AtInstant: noon, ValidFrom: noon, ValidUntil: noon.Add(time.Hour), IncludeDuplicates: true,
				})
			},
			seen{"POST", "/api/v1/acme/query", `{"atInstant":"2026-09-01T12:00:00Z","includeDuplicates":true,"query":"who?","source":"attribute",` +
				`"validFrom":"2026-09-01T12:00:00Z","validUntil":"2026-09-01T13:00:00Z"}`},
			"",
		},
	}
}

func TestManagementPlane(t *testing.T) {
	t.Parallel()
	for _, e := range managementPlane() {
		t.Run(e.operation, func(t *testing.T) {
			t.Parallel()
			m, s := newManagement(t, map[string][]answer{e.operation: {{status: e.status, body: e.body}}})
			e.check(t, m, s)
		})
	}
}

func managementPlane() []exchange[*client.Management] {
	type M = *client.Management
	type ctx = context.Context
	const usage = `{"token_limit":null,"token_usage_current_month":0,"token_usage_pct":null,"period_start":"2026-09-01T00:00:00Z","period_end":"2026-10-01T00:00:00Z"}`
	return []exchange[M]{
		{
			"createPrincipal", 201, managedPrincipalJSON, func(ctx ctx, m M) (any, error) {
				return m.CreatePrincipal(ctx, "acme", "planner", client.CreatePrincipalOptions{
					Kind: caller.Service, ExternalID: "x:1", Grants: client.Grants{"memory:read": {"/*"}},
				})
			},
			seen{"POST", "/api/v1/contexts/acme/principals", `{"display_name":"planner","external_id":"x:1","grants":{"memory:read":["/*"]},"kind":"service"}`},
			"",
		},
		{"listPrincipals", 200, "[" + managedPrincipalJSON + "]", func(ctx ctx, m M) (any, error) { return m.ListPrincipals(ctx, "acme") }, seen{"GET", "/api/v1/contexts/acme/principals", ""}, ""},
		{"getPrincipal", 200, managedPrincipalJSON, func(ctx ctx, m M) (any, error) { return m.GetPrincipal(ctx, "acme", "p1") }, seen{"GET", "/api/v1/contexts/acme/principals/p1", ""}, ""},
		{
			"patchPrincipal", 200, managedPrincipalJSON, func(ctx ctx, m M) (any, error) {
				return m.PatchPrincipal(ctx, "acme", "p1", client.PrincipalPatch{DisplayName: "n", Kind: caller.Human, Grants: client.Grants{}})
			},
			seen{"PATCH", "/api/v1/contexts/acme/principals/p1", `{"display_name":"n","grants":{},"kind":"human"}`},
			"",
		},
		{"deletePrincipal", 204, "", func(ctx ctx, m M) (any, error) { return none(m.DeletePrincipal(ctx, "acme", "p1")) }, seen{"DELETE", "/api/v1/contexts/acme/principals/p1", ""}, ""},
		{"addGrants", 200, managedPrincipalJSON, func(ctx ctx, m M) (any, error) { return m.AddGrants(ctx, "acme", "p1", "/*", "memory:read") }, seen{"POST", "/api/v1/contexts/acme/principals/p1/grants", `{"path":"/*","verbs":["memory:read"]}`}, ""},
		{"removeGrants", 200, managedPrincipalJSON, func(ctx ctx, m M) (any, error) { return m.RemoveGrants(ctx, "acme", "p1", "/*", "memory:read") }, seen{"DELETE", "/api/v1/contexts/acme/principals/p1/grants", `{"path":"/*","verbs":["memory:read"]}`}, ""},
		{"listPrincipalKeys", 200, "[" + keyJSON + "]", func(ctx ctx, m M) (any, error) { return m.ListPrincipalKeys(ctx, "acme", "p1") }, seen{"GET", "/api/v1/contexts/acme/principals/p1/keys?usage=true", ""}, ""},
		{"deletePrincipalKey", 204, "", func(ctx ctx, m M) (any, error) { return none(m.DeletePrincipalKey(ctx, "acme", "p1", "ci")) }, seen{"DELETE", "/api/v1/contexts/acme/principals/p1/keys/ci", ""}, ""},
		{"getUsage", 200, usage, func(ctx ctx, m M) (any, error) { return m.GetUsage(ctx, "acme") }, seen{"GET", "/api/v1/contexts/acme/usage", ""}, ""},
		{"decayContext", 202, `{"job_id":"j"}`, func(ctx ctx, m M) (any, error) { return m.Decay(ctx, "acme") }, seen{"POST", "/api/v1/contexts/acme/lifecycle/decay", `{}`}, ""},
		{"reindexContext", 202, `{"job_id":"j"}`, func(ctx ctx, m M) (any, error) { return m.Reindex(ctx, "acme") }, seen{"POST", "/api/v1/contexts/acme/lifecycle/reindex", `{}`}, ""},
		{"getMigrations", 200, `{"versions":{"4":2},"contexts_behind":["a"],"dead_letters":[]}`, func(ctx ctx, m M) (any, error) { return m.GetMigrations(ctx) }, seen{"GET", "/api/v1/migrations", ""}, ""},
	}
}

// Each way to a secret gives the key that the server answered, and prints none.
func TestEveryMintAndRotateGivesTheKey(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	minted := answer{status: http.StatusCreated, body: mintedJSON()}
	rotated := answer{status: http.StatusOK, body: mintedJSON()}
	c, data := newClient(t, map[string][]answer{"mintOwnKey": {minted, minted}, "rotateOwnKey": {rotated}})
	m, management := newManagement(t, map[string][]answer{
		"mintPrincipalKey": {minted}, "rotatePrincipalKey": {rotated}, "brokerAccessToken": {minted},
	})
	for name, mint := range map[string]func() (client.MintedKey, error){
		"own, as wide as possible": func() (client.MintedKey, error) { return c.CreateKey(ctx, client.CreateKeyOptions{}) },
		"nested": func() (client.MintedKey, error) {
			return m.MintPrincipalKey(ctx, "acme", "p1", "ci", client.PrincipalKeyOptions{})
		},
	} {
		if got, err := mint(); err != nil || got.Key != testKey {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
	if got, err := c.CreateKey(ctx, client.CreateKeyOptions{Name: "ci", Grants: client.Grants{}, TTL: time.Minute}); err != nil || got.Key != testKey {
		t.Errorf("own, that may do nothing: got %v, %v", got, err)
	}
	if got, err := c.RotateKey(ctx, "ci", client.RotateOptions{TTL: time.Minute}); err != nil || got.Key != testKey {
		t.Errorf("own, rotated: got %v, %v", got, err)
	}
	if got, err := m.RotatePrincipalKey(ctx, "acme", "p1", "ci", client.RotateOptions{TTL: time.Minute}); err != nil || got.Key != testKey {
		t.Errorf("nested, rotated: got %v, %v", got, err)
	}
	got, err := m.BrokerAccessToken(ctx, "acme", client.AccessTokenOptions{ExternalID: "x:1", DisplayName: "Ada", Kind: caller.Human, TTL: time.Minute})
	if err != nil || got.Key != testKey {
		t.Errorf("brokered: got %v, %v", got, err)
	}
	wantData := []seen{
		{"POST", "/api/v1/acme/keys", `{}`},
		{"POST", "/api/v1/acme/keys?ttlSeconds=60", `{"grants":{},"name":"ci"}`},
		{"POST", "/api/v1/acme/keys/ci/rotate?ttlSeconds=60", ""},
	}
	if diff := cmp.Diff(wantData, data.Seen); diff != "" {
		t.Errorf("requests to the data plane (-want +got):\n%s", diff)
	}
	wantManagement := []seen{
		{"POST", "/api/v1/contexts/acme/principals/p1/keys/ci", `{}`},
		{"POST", "/api/v1/contexts/acme/principals/p1/keys/ci/rotate?ttl_seconds=60", ""},
		{"POST", "/api/v1/contexts/acme/access-tokens", `{"display_name":"Ada","external_id":"x:1","kind":"human","ttl_seconds":60}`},
	}
	if diff := cmp.Diff(wantManagement, management.Seen); diff != "" {
		t.Errorf("requests to the management API (-want +got):\n%s", diff)
	}
}

func TestOnBehalfOf(t *testing.T) {
	t.Parallel()
	var sent []string
	own := over(t, func(req *http.Request) (*http.Response, error) {
		sent = append(sent, strings.Join(req.Header.Values("X-Spectron-On-Behalf-Of"), ","))
		return respond(http.StatusOK, `{"principalId":"p1","delegatedPrincipalId":"p2"}`), nil
	})
	delegated := own.OnBehalfOf("principal:p2")
	for _, c := range []*client.Client{delegated, own, delegated.OnBehalfOf("p3"), delegated.OnBehalfOf("")} {
		me, err := c.Me(t.Context())
		if err != nil || me.DelegatedPrincipalID != "p2" {
			t.Errorf("got %+v, %v", me, err)
		}
	}
	if diff := cmp.Diff([]string{"principal:p2", "", "p3", ""}, sent); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	for _, id := range []string{"a b", "a\nb", "é"} {
		if _, err := own.OnBehalfOf(id).Me(t.Context()); !errors.Is(err, fault.Invalid) {
			t.Errorf("%q: got %v, want fault.Invalid", id, err)
		}
	}
	if len(sent) != 4 {
		t.Errorf("a malformed id was sent")
	}
}
