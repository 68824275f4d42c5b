package dataplane_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
)

// dataRoutes are all routes that ask for a key of the context acme.
var dataRoutes = []struct{ method, path, body string }{
	{http.MethodGet, "/api/v1/acme/me", ""},
	{http.MethodGet, "/api/v1/acme/scopes", ""},
	{http.MethodPost, "/api/v1/acme/scopes", `{"path":"org"}`},
	{http.MethodPost, "/api/v1/acme/facts", `{"text":"x"}`},
	{http.MethodPost, "/api/v1/acme/query", `{"query":"x"}`},
	{http.MethodPost, "/mcp", `{}`},
}

func TestEveryRefusedCredentialGetsTheSameAnswer(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin, foreign := p.admin(t), p.authority.Key(t, "other", "other-1", "admin", grant.All())
		unknown, err := apikey.Mint(apikey.NewID())
		if err != nil {
			t.Fatal(err)
		}
		credentials := map[string]string{
			"missing": "", "dead": p.authority.DeadKey(t), "unknown": unknown.Reveal(), "malformed": "sp-x", "truncated": admin[:54],
		}
		for _, route := range dataRoutes {
			want := p.call(t, "", route.method, route.path, "")
			problem := want.problem(t)
			if want.status != http.StatusUnauthorized || problem.Detail != fault.BadCredential().Message {
				t.Fatalf("%s without a key: %d %s", route.path, want.status, want.body)
			}
			if !strings.HasPrefix(want.header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("%s: no challenge", route.path)
			}
			same := func(name string, got answer) {
				t.Helper()
				if got.status != want.status || !bytes.Equal(got.body, want.body) || got.header.Get("WWW-Authenticate") != want.header.Get("WWW-Authenticate") {
					t.Errorf("%s %s with a %s key differs: %d %s", route.method, route.path, name, got.status, got.body)
				}
			}
			for name, key := range credentials {
				same(name, p.call(t, key, route.method, route.path, route.body))
				same(name+", bad body", p.call(t, key, route.method, route.path, `{"text":1`))
			}
			same("raw", p.call(t, "", route.method, route.path, route.body, "Authorization", admin))
			same("basic", p.call(t, "", route.method, route.path, route.body, "Authorization", "Basic "+admin))
			if route.path != "/mcp" {
				same("foreign", p.call(t, foreign, route.method, route.path, route.body))
			}
			// Contexts that do not exist are answered alike, but for the instance.
			for _, id := range []string{"unknown", "other"} {
				path := strings.Replace(route.path, "/acme/", "/"+id+"/", 1)
				got := p.call(t, admin, route.method, path, route.body)
				if path == route.path {
					continue
				}
				var problem fault.Problem
				if err := json.Unmarshal(got.body, &problem); err != nil {
					t.Fatal(err)
				}
				problem.Instance = route.path
				if got.status != want.status || strings.TrimSpace(string(want.body)) != jsonOf(t, problem) {
					t.Errorf("%s: %d %s", path, got.status, got.body)
				}
			}
			// What can be no context's id tells nothing about contexts, and only the holder of a key is told so.
			for _, id := range []string{"Not%2Fan%20id", "%00", strings.Repeat("x", 300)} {
				path := strings.Replace(route.path, "/acme/", "/"+id+"/", 1)
				if path == route.path {
					continue
				}
				for key, status := range map[string]int{admin: http.StatusUnprocessableEntity, "sp-x": http.StatusUnauthorized} {
					if got := p.call(t, key, route.method, path, route.body); got.status != status {
						t.Errorf("%s: %d, want %d", path, got.status, status)
					}
				}
			}
		}
	})
}

// Nothing tells a service account's token from a bad key, wherever a key is asked for, and whatever the token is worth elsewhere.
func TestATokenIsABadKey(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		p.admin(t)
		account := p.authority.Account("acme", "acme-1", "operator", "did:sync:user:me")
		revoked := p.authority.Token(t, account, grant.Admin)
		p.authority.RevokeToken(t, revoked)
		good := p.authority.Token(t, account, grant.Admin)
		tokens := map[string]string{
			"good": good, "revoked": revoked, "malformed": good[:40], "mistyped": good[:len(good)-1] + "!",
			"chosen": p.authority.ChosenToken(t, "acme", "acme-1", "correct-horse_battery", "did:sync:user:me"),
		}
		errands := []struct{ method, path, body string }{
			{http.MethodGet, "/api/v1/acme/keys", ""},
			{http.MethodPost, "/api/v1/acme/keys", `{"name":"x"}`},
			{http.MethodGet, "/api/v1/acme/principals", ""},
			{http.MethodGet, "/api/v1/Not%2Fan%20id/me", ""},
		}
		for _, route := range append(errands, dataRoutes...) {
			for _, headers := range [][]string{nil, {"X-Spectron-On-Behalf-Of", "principal:admin"}, {"X-Spectron-On-Behalf-Of", account}, {"X-Memory-On-Behalf-Of", ""}} {
				want := p.call(t, "sp-x", route.method, route.path, route.body, headers...)
				if want.status != http.StatusUnauthorized {
					t.Fatalf("%s %s with a bad key: %d", route.method, route.path, want.status)
				}
				for name, token := range tokens {
					got := p.call(t, token, route.method, route.path, route.body, headers...)
					if got.status != want.status || !bytes.Equal(got.body, want.body) || got.header.Get("WWW-Authenticate") != want.header.Get("WWW-Authenticate") {
						t.Errorf("%s %s %v with a %s token differs: %d %s", route.method, route.path, headers, name, got.status, got.body)
					}
				}
			}
		}
	})
}

func TestHealthNeverLooksAtCredentials(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		p.authority.SetDown(true)
		for _, path := range []string{"/health", "/api/v1/health"} {
			for _, key := range []string{"", "nonsense"} {
				var health struct{ Status, Version string }
				p.ok(t, &health, key, http.MethodGet, path, "")
				if health.Status != "ok" || health.Version == "" {
					t.Errorf("%s: %+v", path, health)
				}
			}
		}
		if err := p.service.Ready(t.Context()); err != nil {
			t.Errorf("not ready: %v", err)
		}
	})
}

func TestUnreachableAuthorityRefusesWithoutAVerdict(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		key := p.admin(t)
		p.authority.SetDown(true)
		got := p.call(t, key, http.MethodGet, "/api/v1/acme/me", "")
		if problem := got.problem(t); got.status != http.StatusServiceUnavailable || problem.Type != fault.AuthorityUnavailable.Type() {
			t.Errorf("%d %s", got.status, got.body)
		}
		if got.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		p.authority.SetDown(false)
		if got := p.call(t, key, http.MethodGet, "/api/v1/acme/me", ""); got.status != http.StatusOK {
			t.Errorf("afterwards: %d", got.status)
		}
	})
}

func TestMeTellsWhoAndWhat(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		everything := over(t, "org/acme/*")
		reading := grant.Over(scope.Everything, grant.MemoryRead)
		var me map[string]any
		got := p.ok(t, &me, p.authority.AttenuatedKey(t, "acme", "acme-1", "planner", everything, reading), http.MethodGet, "/api/v1/acme/me", "")
		var grants any
		if err := json.Unmarshal([]byte(jsonOf(t, everything)), &grants); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{
			"principalId": "planner", "displayName": "planner", "kind": "agent", "contextId": "acme", "grants": grants,
			"tokenGrants":     map[string]any{"memory:read": []any{"/*"}},
			"effectiveGrants": map[string]any{"memory:read": []any{"org/acme/*"}},
			"verdict":         map[string]any{"source": "authority", "as_of": 0.0},
		}
		if diff := cmp.Diff(want, me); diff != "" {
			t.Errorf("me (-want +got):\n%s", diff)
		}
		if len(got.header.Get("X-Trace-Id")) != 32 {
			t.Error("no trace id")
		}
		me = nil
		p.ok(t, &me, p.authority.Key(t, "acme", "acme-1", "nobody", nil), http.MethodGet, "/api/v1/acme/me", "")
		if diff := cmp.Diff(map[string]any{
			"principalId": "nobody", "displayName": "nobody", "kind": "agent", "contextId": "acme", "grants": map[string]any{},
			"effectiveGrants": map[string]any{}, "verdict": map[string]any{"source": "authority", "as_of": 0.0},
		}, me); diff != "" {
			t.Errorf("without grants (-want +got):\n%s", diff)
		}
	})
}

func TestNoKeyReachesTheLog(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		key := p.admin(t)
		for _, route := range dataRoutes {
			p.call(t, key, route.method, route.path, route.body)
			p.call(t, key[:54], route.method, route.path, route.body)
		}
		p.call(t, "", http.MethodGet, "/api/v1/"+key+"/me", "")
		p.call(t, "", http.MethodGet, "/api/v1/health?key="+key, "")
		log := p.log.String()
		if !strings.Contains(log, "/api/v1/:context_id/facts") {
			t.Error("the log does not tell of requests")
		}
		if strings.Contains(log, key[20:54]) {
			t.Error("a key's secret was logged")
		}
	})
}

// during is a body during which something happens.
type during struct {
	io.Reader
	once func()
}

func (d *during) Read(p []byte) (int, error) {
	d.once()
	return d.Reader.Read(p)
}

// Whoever has sent the head of a request before a revocation, and its body after it, is refused.
func TestABodyThatOutlivesItsKey(t *testing.T) {
	t.Parallel()
	p := start(t, dbtest.SQLite(t))
	for path, body := range map[string]string{
		factsPath: `{"text":"what came too late"}`,
		"/mcp":    `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`,
	} {
		key := p.agent(t, "agent", "/*")
		slow := &during{strings.NewReader(body), sync.OnceFunc(func() { p.authority.Expire(t, key, 0) })}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, slow)
		r.Header.Set("Authorization", "Bearer "+key)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
		w := httptest.NewRecorder()
		p.service.Handler().ServeHTTP(w, r)
		if w.Code != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// Whoever may not do a thing is told which verb is missing (RFC 6750, section 3.1), and nothing of the kind where it is not that.
func TestAMissingVerbIsNamed(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		reader := p.authority.Key(t, "acme", "acme-1", "reader", grant.Over(scope.Everything, grant.MemoryRead))
		nobody := p.authority.Key(t, "acme", "acme-1", "nobody", grant.Map{})
		for _, test := range []struct{ key, method, path, body, verb string }{
			{reader, http.MethodPost, "/api/v1/acme/facts", `{"text":"x","infer":"none"}`, "memory:write"},
			{reader, http.MethodPost, "/api/v1/acme/forget", `{"query":"x"}`, "memory:forget"},
			{reader, http.MethodPost, "/api/v1/acme/scopes", `{"path":"org"}`, "scope:create"},
			{reader, http.MethodPost, "/api/v1/acme/scopes/forget", `{"path":"org"}`, "memory:forget"},
			{reader, http.MethodPost, "/api/v1/acme/lifecycle/expire", "", "memory:forget"},
			{nobody, http.MethodGet, "/verify?verb=memory:read&path=org", "", "memory:read"},
			{p.admin(t), http.MethodPost, "/api/v1/acme/facts", `{"text":"x","infer":"none","session_id":"none"}`, ""},
		} {
			got := p.call(t, test.key, test.method, test.path, test.body)
			want := ""
			if test.verb != "" {
				want = `Bearer realm="spectron", error="insufficient_scope", scope="` + test.verb + `"`
			}
			if challenge := got.header.Get("WWW-Authenticate"); got.status != http.StatusForbidden || challenge != want || got.problem(t).RequiredScope != test.verb {
				t.Errorf("%s: %d %s, challenge %s, want %s", test.path, got.status, got.body, challenge, want)
			}
		}
	})
}
