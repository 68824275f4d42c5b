package client_test

import (
	"encoding/json"
	"errors"
	"fmt"
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
	contextJSON = `{"id":"acme","namespace":"acme","database":"acme","display_name":"Acme","description":"The company",
		"config":{"allow_self_service_keys":true,"max_token_ttl_seconds":3600,"llm_extraction_enabled":false,"token_limit":null,
		"trace_retention":{"decision_days":7},"models":{"chat":"none"},"providers_configured":["local"]},
		"enforcement_blocked":true,"created_at":"2026-09-01T12:00:00Z"}`
	keyJSON = `{"id":"abcdefghijklmnop","name":"planner","grants":{"memory:read":["org/acme/*"]},"principalId":"p1",
		"principal":"agent","validUntil":"2026-09-02T12:00:00Z","createdAt":"2026-09-01T12:00:00Z"}`
)

func mintedJSON() string {
	return fmt.Sprintf(`{"id":%q,"name":"planner","key":%q,"principalId":"p1","revision":7,"validUntil":"2026-09-02T12:00:00Z"}`,
		testKey.ID(), testKey.Reveal())
}

func newManagement(t *testing.T, answers map[string][]answer) (*client.Management, *stub) {
	t.Helper()
	s := newStub(t, managementSpec, answers)
	m, err := client.NewManagement(client.Config{URL: s.URL + "/", APIKey: client.APIKey(testKey.Reveal()), MaxRetries: -1})
	if err != nil {
		t.Fatal(err)
	}
	return m, s
}

func TestContexts(t *testing.T) {
	t.Parallel()
	ok, created := answer{status: http.StatusOK, body: contextJSON}, answer{status: http.StatusCreated, body: contextJSON}
	m, s := newManagement(t, map[string][]answer{
		"createContext": {created, created}, "getContext": {ok}, "patchContext": {ok}, "deleteContext": {{status: http.StatusNoContent}},
	})
	ctx := t.Context()

	got, err := m.CreateContext(ctx, "acme", client.CreateContextOptions{
		Namespace: "ns", DisplayName: "Acme", Config: json.RawMessage(`{"max_token_ttl_seconds":3600}`), AdminExternalID: "x:1",
	})
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, got, contextJSON)
	if _, err := m.CreateContext(ctx, "acme", client.CreateContextOptions{}); err != nil {
		t.Fatal(err)
	}
	if got, err = m.GetContext(ctx, "acme"); err != nil {
		t.Fatal(err)
	}
	sameJSON(t, got, contextJSON)
	if _, err = m.PatchContext(ctx, "acme", client.ContextPatch{EnforcementBlocked: new(false)}); err != nil {
		t.Fatal(err)
	}
	if err := m.DeleteContext(ctx, "acme"); err != nil {
		t.Fatal(err)
	}
	want := []seen{
		{"POST", "/api/v1/contexts/acme", `{"admin_external_id":"x:1","config":{"max_token_ttl_seconds":3600},"display_name":"Acme","namespace":"ns"}`},
		{"POST", "/api/v1/contexts/acme", `{}`},
		{"GET", "/api/v1/contexts/acme", ""},
		{"PATCH", "/api/v1/contexts/acme", `{"enforcement_blocked":false}`},
		{"DELETE", "/api/v1/contexts/acme", ""},
	}
	if diff := cmp.Diff(want, s.Seen); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	created, rotated := answer{status: http.StatusCreated, body: mintedJSON()}, answer{status: http.StatusOK, body: mintedJSON()}
	m, s := newManagement(t, map[string][]answer{
		"mintKey": {created, created, created}, "rotateKey": {rotated, rotated}, "deleteKey": {{status: http.StatusNoContent}},
		"listKeys": {{status: http.StatusOK, body: "[" + keyJSON + "]"}},
	})
	ctx := t.Context()

	minted, err := m.MintKey(ctx, "acme", "planner", client.MintOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if minted.Key != testKey || minted.ID != testKey.ID() || minted.Revision != 7 || minted.ValidUntil.IsZero() {
		t.Errorf("minted %+v", minted)
	}
	if text := fmt.Sprintf("%+v %#v", minted, minted); strings.Contains(text, testKey.Reveal()) {
		t.Error("a minted key prints its secret")
	}
	if _, err := m.MintKey(ctx, "acme", "a/b c%", client.MintOptions{
		Kind: caller.Supervisor, ScopeFloor: client.ScopeFloor{Org: "acme", Agent: "planner"}, TTL: 1500 * time.Millisecond,
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.MintKey(ctx, "acme", "k", client.MintOptions{Grants: client.Grants{}}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.RotateKey(ctx, "acme", "planner", client.RotateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.RotateKey(ctx, "acme", "planner", client.RotateOptions{TTL: time.Hour}); err != nil {
		t.Fatal(err)
	}
	keys, err := m.ListKeys(ctx, "acme")
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, keys, "["+keyJSON+"]")
	if err := m.DeleteKey(ctx, "acme", "planner"); err != nil {
		t.Fatal(err)
	}
	want := []seen{
		{"POST", "/api/v1/contexts/acme/keys/planner", `{}`},
		{"POST", "/api/v1/contexts/acme/keys/a%2Fb%20c%25?ttl_seconds=2", `{"principal":"supervisor","scope_floor":{"agent":"planner","org":"acme"}}`},
		{"POST", "/api/v1/contexts/acme/keys/k", `{"grants":{}}`},
		{"POST", "/api/v1/contexts/acme/keys/planner/rotate", ""},
		{"POST", "/api/v1/contexts/acme/keys/planner/rotate?ttl_seconds=3600", ""},
		{"GET", "/api/v1/contexts/acme/keys?usage=true", ""},
		{"DELETE", "/api/v1/contexts/acme/keys/planner", ""},
	}
	if diff := cmp.Diff(want, s.Seen); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestDamagedKeyIsNotEchoed(t *testing.T) {
	t.Parallel()
	text := testKey.Reveal()
	damaged := text[:len(text)-1] + string(text[len(text)-1]^1)
	body := strings.Replace(mintedJSON(), text, damaged, 1)
	m, _ := newManagement(t, map[string][]answer{"mintKey": {{status: http.StatusCreated, body: body}}})
	_, err := m.MintKey(t.Context(), "acme", "planner", client.MintOptions{})
	if !errors.Is(err, fault.Internal) {
		t.Fatalf("got %v, want fault.Internal", err)
	}
	if strings.Contains(err.Error(), damaged) || !strings.Contains(err.Error(), "rotate") {
		t.Error("the error repeats the key, or does not say what to do")
	}
}

func TestListsReadEveryPage(t *testing.T) {
	t.Parallel()
	link := func(cursor string) http.Header {
		return http.Header{"Link": {`<https://elsewhere.example/api/v1/contexts>; rel="prev", <https://elsewhere.example/x?cursor=` + cursor + `>; rel="next"`}}
	}
	page := "[" + contextJSON + "]"
	m, s := newManagement(t, map[string][]answer{"listContexts": {
		{status: http.StatusOK, body: page, header: link("a%2Bb")},
		{status: http.StatusOK, body: page, header: link("c")},
		{status: http.StatusOK, body: page},
	}})
	all, err := m.ListContexts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 3 {
		t.Errorf("got %d contexts, want 3", len(all))
	}
	want := []seen{
		{"GET", "/api/v1/contexts", ""}, {"GET", "/api/v1/contexts?cursor=a%2Bb", ""}, {"GET", "/api/v1/contexts?cursor=c", ""},
	}
	if diff := cmp.Diff(want, s.Seen); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestListsRefuseToGoInCircles(t *testing.T) {
	t.Parallel()
	same := answer{status: http.StatusOK, body: "[]", header: http.Header{"Link": {`</x?cursor=a>; rel=next`}}}
	m, _ := newManagement(t, map[string][]answer{"listKeys": {same, same, same}})
	if _, err := m.ListKeys(t.Context(), "acme"); !errors.Is(err, fault.Unavailable) {
		t.Errorf("got %v, want fault.Unavailable", err)
	}
}

func TestVerbsAndHealth(t *testing.T) {
	t.Parallel()
	const verbs = `[{"verb":"memory:read","description":"Read facts."}]`
	m, _ := newManagement(t, map[string][]answer{
		"listVerbs": {{status: http.StatusOK, body: verbs}}, "getHealth": {{status: http.StatusOK, body: `{"status":"ok"}`}},
	})
	got, err := m.ListVerbs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, got, verbs)
	if health, err := m.Health(t.Context()); err != nil || health.Status != "ok" {
		t.Errorf("got %v, %v", health, err)
	}
}

// A dot survives escaping and would address something else: /contexts/acme/keys/.. is the context.
func TestNamesThatArePathsAreNotSent(t *testing.T) {
	t.Parallel()
	m, s := newManagement(t, nil)
	ctx := t.Context()
	for _, name := range []string{"", ".", ".."} {
		for what, err := range map[string]error{
			"delete key": m.DeleteKey(ctx, "acme", name), "delete context": m.DeleteContext(ctx, name),
			"delete key of context": m.DeleteKey(ctx, name, "k"),
		} {
			if !errors.Is(err, fault.Invalid) {
				t.Errorf("%s %q: got %v, want fault.Invalid", what, name, err)
			}
		}
	}
	if len(s.Seen) > 0 {
		t.Errorf("sent %v", s.Seen)
	}
}
