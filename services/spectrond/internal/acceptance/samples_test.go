package acceptance_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

// bodies are good bodies of the operations that need one.
var bodies = map[string]string{
	"dataplane registerScope":       `{"path":"org/acme"}`,
	"dataplane forgetScope":         `{"path":"org/acme"}`,
	"dataplane addFacts":            `{"text":"x","infer":"none"}`,
	"dataplane addFactsBatch":       `{"messages":[{"role":"user","content":"x"}],"infer":"none"}`,
	"dataplane queryMemory":         `{"query":"x"}`,
	"dataplane getContextFor":       `{"query":"x"}`,
	"dataplane getSessionContext":   `{"query":"x"}`,
	"dataplane forgetMemory":        `{"query":"x"}`,
	"dataplane reflect":             `{"query":"x"}`,
	"dataplane addGrants":           `{"path":"org/acme","verbs":["memory:read"]}`,
	"dataplane removeGrants":        `{"path":"org/acme","verbs":["memory:read"]}`,
	"keymanager patchKey":           `{"enabled":true}`,
	"keymanager importKeys":         `{"keys":[{"name":"imported","hash":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}]}`,
	"keymanager createContextNamed": `{"id":"another"}`,
	"keymanager patchContext":       `{}`,
	"keymanager createPrincipal":    `{"display_name":"x"}`,
	"keymanager patchPrincipal":     `{}`,
	"keymanager addGrants":          `{"path":"org/acme","verbs":["memory:read"]}`,
	"keymanager removeGrants":       `{"path":"org/acme","verbs":["memory:read"]}`,
	"keymanager brokerAccessToken":  `{"external_id":"x","display_name":"x","ttl_seconds":60}`,
	"keymanager createWebhook":      `{"url":"https://example.com/hook"}`,
	"keymanager patchWebhook":       `{"enabled":true}`,
	"keymanager lookupKeys":         `{"digests":["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]}`,
	"keymanager revokeKeys":         `{"digests":["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]}`,
	"spl bootstrapServiceAccount":   `{"name":"x"}`,
	"spl createServiceAccount":      `{"name":"x"}`,
	"spl editServiceAccount":        `{"name":"x"}`,
	"spl appendRecord":              `{"thread":"th_t","act":"DO","actor":"did:sync:user:operator"}`,
	"spl queryRecords":              `{"thread":"th_t"}`,
	"spl setRule":                   `{"name":"x"}`,
	"spl switchPermissions":         `{"enabled":false}`,
	"spl setCORSOrigins":            `{"origins":["https://app.example.org"]}`,
	"spl pushRecords":               `{"ids":[]}`,
	"spl createPair":                `{"peer_did":"did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK","peer_url":"http://127.0.0.1:1","thread_id":"th_t"}`,
	"spl federationPair":            `{"did":"did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK","challenge":"0123456789abcdef","sig":"x"}`,
}

// queries are the query strings of the operations that need one.
var queries = map[string]string{
	"dataplane tombstoneScope":     "path=org%2Facme",
	"dataplane getEffective":       "path=org%2Facme",
	"dataplane readSessionContext": "query=x",
	"dataplane inspect":            "ref=entity:person/absent",
}

// name names an operation in both documents.
func (op operation) name() string { return op.document + " " + op.OperationID }

// open reports whether an operation asks for no credential.
func (op operation) open() bool { return op.Security != nil && len(*op.Security) == 0 }

// sample returns a good request for an operation, with ids by the names of path parameters.
func sample(tb testing.TB, op operation, ids map[string]string) request {
	tb.Helper()
	segments := make([]string, len(op.segments))
	for i, segment := range op.segments {
		segments[i] = segment
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			value, known := ids[strings.TrimSuffix(name, "}")]
			if !known {
				tb.Fatalf("%s: no value for %s", op.name(), segment)
			}
			segments[i] = url.PathEscape(value)
		}
	}
	r := request{method: op.method, path: strings.Join(segments, "/"), body: bodies[op.name()]}
	if op.RequestBody != nil && op.RequestBody.Value.Required && r.body == "" {
		tb.Fatalf("%s: give it a body in this file", op.name())
	}
	if query := queries[op.name()]; query != "" {
		r.path += "?" + query
	}
	for _, p := range op.Parameters {
		if p.Value.Required && p.Value.In == "query" && !strings.Contains(r.path, p.Value.Name+"=") {
			tb.Fatalf("%s: give it a %s in this file", op.name(), p.Value.Name)
		}
	}
	return r
}

// alike is what an answer tells, without what every answer has of its own, and without the names given.
func alike(tb testing.TB, a answer, path string, names ...string) string {
	tb.Helper()
	text := normalise(a, path)
	for _, name := range names {
		if name != "" {
			text = strings.ReplaceAll(text, name, "(name)")
		}
	}
	end := strings.LastIndex(text, "\n") // the body is the last line
	var object any
	if json.Unmarshal([]byte(text[end+1:]), &object) != nil {
		return text
	}
	blank(object)
	out, err := json.Marshal(object)
	if err != nil {
		tb.Fatal(err)
	}
	return text[:end] + "\n" + string(out)
}

// blank takes away what differs from one answer to the next.
func blank(value any) {
	switch v := value.(type) {
	case map[string]any:
		for _, name := range []string{"traceId", "latencyMs", "queryMs", "createdAt", "id", "sessionId", "turnId", "chunkId", "verdict"} {
			delete(v, name)
		}
		for _, field := range v {
			blank(field)
		}
	case []any:
		for _, item := range v {
			blank(item)
		}
	}
}
