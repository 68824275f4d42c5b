package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/spectron-hq/spectron/services/contract/apikey"
)

const (
	sessionJSON   = `{"id":"s1","scopes":[["org/acme/","user/ada/"],["x/"]],"createdAt":"2026-09-01T12:00:00Z","metadata":{"channel":"chat"},"turnCount":2}`
	principalJSON = `{"id":"p1","kind":"agent","displayName":"planner","grants":{"memory:read":["org/acme/*","user/ada"]}}`
	entityJSON    = `{"id":"e1","name":"Ada","entityType":"person","memoryCategory":"identity","importance":0.5,
		"createdAt":"2026-09-01T12:00:00Z","updatedAt":"2026-09-02T12:00:00Z"}`
	attributeJSON = `{"id":"a2","entity":"e1","key":"likes","value":"tea","memoryCategory":"knowledge","importance":1,
		"createdAt":"2026-09-01T12:00:00Z","validFrom":"2026-09-01T12:00:00Z"}`
	relationJSON = `{"id":"r1","subject":"e1","label":"knows","object":"e2","memoryCategory":"context","createdAt":"2026-09-01T12:00:00Z"}`
	traceJSON    = `{"id":"t1","queryText":"who?","resolutionTier":"hybrid","tierReason":"words","latencyMs":3,"cached":false,
		"createdAt":"2026-09-01T12:00:00Z","principalId":"p1","delegatedPrincipalId":"p2","retrievedCount":4}`
	categoryJSON = `{"entities":[` + entityJSON + `],"attributes":[` + attributeJSON + `],"relations":[` + relationJSON + `]}`
	emptyJSON    = `{"entities":[],"attributes":[],"relations":[]}`
)

// answers are what the test's server says, by operationId, whatever the request holds.
var answers = map[string]struct {
	status int
	body   string
}{
	"listScopes": {200, `[{"path":"org/acme/","displayName":"Acme","createdAt":"2026-09-01T12:00:00Z"},
		{"path":"user/ada/","createdAt":"2026-09-01T12:00:00Z","tombstonedAt":"2026-09-02T12:00:00Z"}]`},
	"registerScope":     {201, `{"path":"org/acme/","displayName":"Acme","description":"All","createdAt":"2026-09-01T12:00:00Z"}`},
	"tombstoneScope":    {204, ""},
	"forgetScope":       {200, `{"forgotten":3}`},
	"listPrincipals":    {200, "[" + principalJSON + "]"},
	"getPrincipal":      {200, principalJSON},
	"getEffective":      {200, `{"path":"org/acme/","verbs":["memory:read","memory:write"]}`},
	"addGrants":         {200, principalJSON},
	"removeGrants":      {200, `{"id":"p1","kind":"agent","displayName":"planner","grants":{}}`},
	"createPrincipal":   {201, `{"id":"p2","display_name":"alpha bot","kind":"service","external_id":"x:1","grants":{"memory:read":["/*"]},"created_at":"2026-09-01T12:00:00Z"}`},
	"listOwnKeys":       {200, `[{"id":"k1","name":"ci","createdAt":"2026-09-01T12:00:00Z","grants":{"memory:read":["/*"]},"principalId":"p1"}]`},
	"deleteOwnKey":      {204, ""},
	"listSessions":      {200, `{"sessions":[` + sessionJSON + `]}`},
	"getSession":        {200, sessionJSON},
	"createSession":     {201, sessionJSON},
	"deleteSession":     {204, ""},
	"listTurns":         {200, `{"turns":[{"id":"t1","session":"s1","role":"user","content":"hi\nyou","seq":1,"createdAt":"2026-09-01T12:00:00Z"}]}`},
	"getSessionContext": {200, `{"context":"# Session\n- hi"}`},
	"getContextFor":     {200, `{"context":"# Memories\n- tea\u001b[2J","tier":"hybrid","queryMs":1}`},
	"forgetMemory":      {200, `{"deleted":1}`},
	"reflect": {200, `{"reflection":"Ada drinks tea.","evidence":["tea"],"persistedAttributes":[{"id":"a1","entityId":"e1","key":"k","value":"v","memoryCategory":"knowledge"}],
		"traceId":"t","method":"extractive"}`},
	"addFactsBatch": {200, `{"sessionId":"s1","turnIds":["t1","t2"],"extractions":[]}`},
	"listEntities":  {200, `{"entities":[` + entityJSON + `]}`},
	"getEntity":     {200, `{"entity":` + entityJSON + `,"attributes":[` + attributeJSON + `],"relations":[` + relationJSON + `]}`},
	"deleteEntity":  {204, ""},
	"getHistory":    {200, `{"history":[` + attributeJSON + `]}`},
	"getState":      {200, `{"identity":` + categoryJSON + `,"knowledge":` + emptyJSON + `,"context":` + emptyJSON + `,"instructions":[{"id":"i","label":"tone","description":"short"}],"unknowns":[{"about":"age","reason":"not said"}]}`},
	"getProfile":    {200, `{"static":[{"key":"name","value":"Ada"}],"dynamic":[],"preferences":[{"key":"likes","value":"tea"}],"instructions":[]}`},
	"inspect":       {200, `{"kind":"entity","entity":` + entityJSON + `,"attributes":[` + attributeJSON + `],"relations":[]}`},
	"listTraces":    {200, `{"traces":[` + traceJSON + `]}`},
	"getTrace":      {200, traceJSON},
	"getTraceStats": {200, `{"totalQueries":5,"avgLatencyMs":1.5,"cacheHits":0,"cacheHitRate":0,"responseTracesCached":0,"responseTracesTotal":0,"windowHours":24,
		"tierCounts":{"direct":1,"hybrid":4,"fullContext":0},"contradiction":{},"retrieval":{},"supersession":{},"sourceKindDistribution":[{"kind":"triples","count":4}]}`},
	"listAudit": {200, `{"rows":[{"traceId":"t1","kind":"decision","principal":"p1","action":"facts.add","cost":0,"latencyMs":1,"rowsTouched":2,"createdAt":"2026-09-01T12:00:00Z"}]}`},
	"decay":     {200, `{"affected":0}`},
	"expire":    {200, `{"affected":2}`},
}

// record appends what was asked to the log, without the credential.
func (m *memory) record(r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	m.mu.Lock()
	defer m.mu.Unlock()
	file, err := os.OpenFile(m.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	defer func() { _ = file.Close() }()
	_, _ = fmt.Fprintln(file, r.Method, r.URL.RequestURI(), string(body))
}

// mint answers with a key of its own: of the caller's id, when it is rotated.
func (m *memory) mint(w http.ResponseWriter, operation string) {
	id, status := m.key.ID(), http.StatusOK
	if operation == "mintOwnKey" {
		id, status = apikey.NewID(), http.StatusCreated
	}
	key, err := apikey.Mint(id)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"id": id, "key": key.Reveal(), "name": "ci", "principalId": "p1", "revision": 7})
}
