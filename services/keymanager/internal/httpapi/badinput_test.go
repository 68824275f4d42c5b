package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/keymanager/internal/httpapi"
)

const (
	contextsPath = "/api/v1/contexts"
	contextPath  = "/api/v1/contexts/default"
)

func TestBadInput(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		for _, test := range []struct {
			method, target, body string
			kind                 fault.Kind
			field                string
		}{
			// Identifiers.
			{"GET", contextsPath + "/UPPER", "", fault.Unprocessable, "context_id"},
			{"GET", contextsPath + "/a%2Fb", "", fault.Unprocessable, "context_id"},
			{"GET", contextsPath + "/" + strings.Repeat("a", 64), "", fault.Unprocessable, "context_id"},
			{"GET", contextsPath + "/-a", "", fault.Unprocessable, "context_id"},
			{"GET", contextsPath + "/a%00", "", fault.Unprocessable, "context_id"},
			{"GET", contextsPath + "/nobody", "", fault.NotFound, ""},
			{"POST", contextsPath + "/verbs", "", fault.Unprocessable, "context_id"},
			{"POST", contextsPath + "/UPPER", `{"id":1}`, fault.Unprocessable, "context_id"},
			{"DELETE", contextsPath + "/UPPER", "", fault.Unprocessable, "context_id"},
			{"PATCH", contextsPath + "/UPPER", "{}", fault.Unprocessable, "context_id"},
			{"GET", contextsPath + "/UPPER/keys", "", fault.Unprocessable, "context_id"},
			{"POST", keys + "/" + strings.Repeat("a", 129), "", fault.Unprocessable, "name"},
			{"POST", keys + "/%2E", "", fault.Unprocessable, "name"},
			{"POST", keys + "/%2E%2E", "", fault.Unprocessable, "name"},
			{"POST", keys + "/%20a", "", fault.Unprocessable, "name"},
			{"POST", keys + "/a%0Ab", "", fault.Unprocessable, "name"},
			{"POST", keys + "/a%00b", "", fault.Unprocessable, "name"},
			{"POST", keys + "/%ff", "", fault.Unprocessable, "name"},
			{"POST", keys + "/" + newKey(t).Reveal(), "", fault.Unprocessable, "name"},
			{"DELETE", keys + "/%20", "", fault.Unprocessable, "name"},
			{"POST", keys + "/a%7F/rotate", "", fault.Unprocessable, "name"},
			{"DELETE", keys + "/nobody", "", fault.NotFound, ""},
			{"POST", contextsPath + "/nobody/keys/k", "", fault.NotFound, ""},
			{"POST", contextsPath + "/nobody/keys/k/rotate", "", fault.NotFound, ""},
			{"POST", keys + "/default", "", fault.Conflict, ""},
			// Times to live.
			{"POST", keys + "/k?ttl_seconds=-1", "", fault.Invalid, "ttl_seconds"},
			{"POST", keys + "/k?ttl_seconds=0", "", fault.Invalid, "ttl_seconds"},
			{"POST", keys + "/k?ttl_seconds=1e30", "", fault.Invalid, "ttl_seconds"},
			{"POST", keys + "/k?ttl_seconds=abc", "", fault.Invalid, "ttl_seconds"},
			{"POST", keys + "/k?ttl_seconds=", "", fault.Invalid, "ttl_seconds"},
			{"POST", keys + "/k?ttl_seconds=1.5", "", fault.Invalid, "ttl_seconds"},
			{"POST", keys + "/k?ttl_seconds=3153600001", "", fault.Invalid, "ttl_seconds"},
			{"POST", keys + "/k?ttl_seconds=99999999999999999999", "", fault.Invalid, "ttl_seconds"},
			{"POST", keys + "/k?ttl_seconds=1&ttl_seconds=2", "", fault.Invalid, "ttl_seconds"},
			{"POST", keys + "/default/rotate?ttl_seconds=0", "", fault.Invalid, "ttl_seconds"},
			{"POST", keys + "/default/rotate?ttl_seconds=abc", "", fault.Invalid, "ttl_seconds"},
			{"POST", keys + "/k?ttl_seconds=%zz", "", fault.Invalid, ""},
			// Pages.
			{"GET", keys + "?limit=0", "", fault.Invalid, "limit"},
			{"GET", keys + "?limit=1001", "", fault.Invalid, "limit"},
			{"GET", keys + "?limit=x", "", fault.Invalid, "limit"},
			{"GET", keys + "?cursor=", "", fault.Invalid, "cursor"},
			{"GET", keys + "?cursor=%21", "", fault.Invalid, "cursor"},
			{"GET", keys + "?cursor=AA", "", fault.Invalid, "cursor"}, // NUL
			{"GET", contextsPath + "?cursor=_w", "", fault.Invalid, "cursor"},
			{"GET", contextsPath + "?limit=-1", "", fault.Invalid, "limit"},
			// The body of a mint.
			{"POST", keys + "/k", "{", fault.Invalid, ""},
			{"POST", keys + "/k", "[]", fault.Invalid, ""},
			{"POST", keys + "/k", "null", fault.Invalid, ""},
			{"POST", keys + "/k", `{} {}`, fault.Invalid, ""},
			{"POST", keys + "/k", `{"principal":"human"}`, fault.Invalid, "principal"},
			{"POST", keys + "/k", `{"principal":1}`, fault.Invalid, "principal"},
			{"POST", keys + "/k", `{"Principal":"agent"}`, fault.Invalid, "Principal"},
			{"POST", keys + "/k", `{"principal":"agent","principal":"agent"}`, fault.Invalid, "principal"},
			{"POST", keys + "/k", `{"nonsense":1}`, fault.Invalid, "nonsense"},
			{"POST", keys + "/k", `{"scope_floor":[]}`, fault.Invalid, "scope_floor"},
			{"POST", keys + "/k", `{"scope_floor":{"galaxy":"x"}}`, fault.Invalid, "scope_floor.galaxy"},
			{"POST", keys + "/k", `{"scope_floor":{"agent":"a","team":"t"}}`, fault.Invalid, "scope_floor.team"},
			{"POST", keys + "/k", `{"scope_floor":{"org":"a/b"}}`, fault.Invalid, "scope_floor.org"},
			{"POST", keys + "/k", `{"scope_floor":{"org":""}}`, fault.Invalid, "scope_floor.org"},
			{"POST", keys + "/k", `{"scope_floor":{"user":""}}`, fault.Invalid, "scope_floor.user"},
			{"POST", keys + "/k", `{"scope_floor":{"org":"*"}}`, fault.Invalid, "scope_floor.org"},
			{"POST", keys + "/k", `{"scope_floor":{"org":"a\u0000"}}`, fault.Invalid, "scope_floor.org"},
			{"POST", keys + "/k", `{"scope_floor":{},"grants":{}}`, fault.Invalid, "scope_floor"},
			{"POST", keys + "/k", `{"grants":{"read":["/*"]}}`, fault.Invalid, "grants"},
			{"POST", keys + "/k", `{"grants":["memory:read"]}`, fault.Invalid, "grants"},
			{"POST", keys + "/k", `{"grants":{"memory:read":"/*"}}`, fault.Invalid, "grants.memory:read"},
			{"POST", keys + "/k", `{"grants":{"memory:read":["a/*/b"]}}`, fault.Invalid, "grants.memory:read.0"},
			{"POST", keys + "/k", `{"grants":{"memory:read":["a",""]}}`, fault.Invalid, "grants.memory:read.1"},
			// Principals.
			{"GET", contextsPath + "/UPPER/principals", "", fault.Unprocessable, "context_id"},
			{"GET", contextsPath + "/nobody/principals", "", fault.NotFound, ""},
			{"GET", principals + "?limit=0", "", fault.Invalid, "limit"},
			{"GET", principals + "?cursor=%21", "", fault.Invalid, "cursor"},
			{"POST", contextsPath + "/nobody/principals", `{"display_name":"a"}`, fault.NotFound, ""},
			{"POST", principals, "", fault.Invalid, ""},
			{"POST", principals, "{}", fault.Invalid, "display_name"},
			{"POST", principals, `{"display_name":""}`, fault.Invalid, "display_name"},
			{"POST", principals, `{"display_name":"  "}`, fault.Invalid, "display_name"},
			{"POST", principals, `{"display_name":"a\u0000"}`, fault.Invalid, "display_name"},
			{"POST", principals, `{"display_name":"a\u001b[2J"}`, fault.Invalid, "display_name"},
			{"POST", principals, `{"display_name":"` + strings.Repeat("x", 257) + `"}`, fault.Invalid, "display_name"},
			{"POST", principals, `{"display_name":"` + newKey(t).Reveal() + `"}`, fault.Invalid, "display_name"},
			{"POST", principals, `{"display_name":"a","external_id":""}`, fault.Invalid, "external_id"},
			{"POST", principals, `{"display_name":"a","external_id":"` + newKey(t).Reveal() + `"}`, fault.Invalid, "external_id"},
			{"POST", principals, `{"display_name":"a","kind":"management"}`, fault.Invalid, "kind"},
			{"POST", principals, `{"display_name":null}`, fault.Invalid, "display_name"},
			{"POST", principals, `{"display_name":"a","grants":[]}`, fault.Invalid, "grants"},
			{"POST", principals, `{"display_name":"a","grants":{"read":["/*"]}}`, fault.Invalid, "grants"},
			{"POST", principals, `{"display_name":"a","grants":{"memory:read":["a/*/b"]}}`, fault.Invalid, "grants.memory:read.0"},
			{"POST", principals, `{"display_name":"a","id":"b"}`, fault.Invalid, "id"},
			{"GET", principals + "/nobody", "", fault.NotFound, ""},
			{"GET", principals + "/" + strings.Repeat("a", 138), "", fault.Unprocessable, "principal_id"},
			{"GET", principals + "/a%00", "", fault.Unprocessable, "principal_id"},
			{"GET", principals + "/a%2Fb", "", fault.NotFound, ""},
			{"GET", principals + "/principal:", "", fault.NotFound, ""},
			{"DELETE", principals + "/nobody", "", fault.NotFound, ""},
			{"PATCH", principals + "/admin", "", fault.Invalid, ""},
			{"PATCH", principals + "/admin", `{"display_name":" "}`, fault.Invalid, "display_name"},
			{"PATCH", principals + "/admin", `{"kind":"boss"}`, fault.Invalid, "kind"},
			{"PATCH", principals + "/admin", `{"external_id":"x"}`, fault.Invalid, "external_id"},
			{"PATCH", principals + "/admin", `{"grants":{"memory:read":[""]}}`, fault.Invalid, "grants.memory:read.0"},
			{"PATCH", contextsPath + "/nobody/principals/admin", `{}`, fault.NotFound, ""},
			{"POST", principals + "/admin/grants", "", fault.Invalid, ""},
			{"POST", principals + "/admin/grants", `{"verbs":["memory:read"]}`, fault.Invalid, "path"},
			{"POST", principals + "/admin/grants", `{"path":"a","verbs":[]}`, fault.Invalid, "verbs"},
			{"POST", principals + "/admin/grants", `{"path":"a","verbs":["read"]}`, fault.Invalid, "verbs"},
			{"POST", principals + "/admin/grants", `{"path":"a/*/b","verbs":["memory:read"]}`, fault.Invalid, "path"},
			{"POST", principals + "/admin/grants", `{"path":"","verbs":["memory:read"]}`, fault.Invalid, "path"},
			{"DELETE", principals + "/admin/grants", "", fault.Invalid, ""},
			{"DELETE", principals + "/admin/grants", `{"path":"a**","verbs":["memory:read"]}`, fault.Invalid, "path"},
			{"DELETE", principals + "/admin/grants", `{"path":"a","verbs":["key:create"]}`, fault.Invalid, "verbs"},
			{"POST", principals + "/admin/keys/k?ttl_seconds=0", "", fault.Invalid, "ttl_seconds"},
			{"POST", principals + "/admin/keys/%20", "", fault.Unprocessable, "name"},
			{"POST", principals + "/admin/keys/k", `{"principal":"agent"}`, fault.Invalid, "principal"},
			{"POST", principals + "/admin/keys/k", `{"scope_floor":{}}`, fault.Invalid, "scope_floor"},
			{"POST", principals + "/admin/keys/k", `{"grants":{"read":[]}}`, fault.Invalid, "grants"},
			{"POST", principals + "/admin/keys/default/rotate?ttl_seconds=x", "", fault.Invalid, "ttl_seconds"},
			{"DELETE", principals + "/admin/keys/a%7F", "", fault.Unprocessable, "name"},
			// Access tokens.
			{"POST", tokens, "", fault.Invalid, ""},
			{"POST", tokens, `{}`, fault.Invalid, "external_id"},
			{"POST", tokens, `{"external_id":"a"}`, fault.Invalid, "ttl_seconds"},
			{"POST", tokens, `{"ttlSeconds":60}`, fault.Invalid, "external_id"},
			{"POST", tokens, `{"external_id":"a","ttl_seconds":0}`, fault.Invalid, "ttl_seconds"},
			{"POST", tokens, `{"external_id":"a","ttlSeconds":-1}`, fault.Invalid, "ttlSeconds"},
			{"POST", tokens, `{"external_id":"a","ttl_seconds":60,"ttlSeconds":61}`, fault.Invalid, "ttl_seconds"},
			{"POST", tokens, `{"external_id":"a","externalId":"b","ttl_seconds":60}`, fault.Invalid, "external_id"},
			{"POST", tokens, `{"external_id":"a","display_name":"b","displayName":"c","ttl_seconds":60}`, fault.Invalid, "display_name"},
			{"POST", tokens, `{"external_id":"a\u0007","ttl_seconds":60}`, fault.Invalid, "external_id"},
			{"POST", tokens, `{"external_id":"` + newKey(t).Reveal() + `","display_name":"a","ttl_seconds":60}`, fault.Invalid, "external_id"},
			{"POST", tokens, `{"external_id":"a","ttl_seconds":60,"kind":"boss"}`, fault.Invalid, "kind"},
			{"POST", tokens, `{"external_id":"a","ttl_seconds":60,"grants":{"read":[]}}`, fault.Invalid, "grants"},
			{"POST", tokens, `{"external_id":"a","ttl_seconds":60,"name":"x"}`, fault.Invalid, "name"},
			// Usage and jobs.
			{"GET", contextsPath + "/nobody/usage", "", fault.NotFound, ""},
			{"GET", contextsPath + "/UPPER/usage", "", fault.Unprocessable, "context_id"},
			{"POST", contextsPath + "/nobody/lifecycle/decay", "", fault.NotFound, ""},
			{"POST", contextsPath + "/nobody/lifecycle/reindex", "{}", fault.NotFound, ""},
			{"POST", contextPath + "/lifecycle/decay", `{"scope":"a"}`, fault.Invalid, "scope"},
			{"POST", contextPath + "/lifecycle/reindex", `{"scope":"a"}`, fault.Invalid, "scope"},
			{"POST", contextPath + "/lifecycle/reindex", `[]`, fault.Invalid, ""},
			{"POST", contextPath + "/lifecycle/expire", "", fault.NotFound, ""},
			{"POST", "/api/v1/migrations", "", fault.MethodNotAllowed, ""},
			// The bodies of contexts.
			{"POST", contextsPath, "", fault.Invalid, ""},
			{"POST", contextsPath, "{}", fault.Invalid, "id"},
			{"POST", contextsPath, `{"id":""}`, fault.Unprocessable, "context_id"},
			{"POST", contextsPath, `{"id":"mcp"}`, fault.Unprocessable, "context_id"},
			{"POST", contextsPath, `{"id":"default"}`, fault.Conflict, ""},
			{"POST", contextsPath + "/a", `{"namespace":"spectron"}`, fault.Unprocessable, "namespace"},
			{"POST", contextsPath + "/a", `{"namespace":""}`, fault.Invalid, "namespace"},
			{"POST", contextsPath + "/a", `{"database":7}`, fault.Invalid, "database"},
			{"POST", contextsPath + "/a", `{"description":"a\u0000"}`, fault.Invalid, "description"},
			{"POST", contextsPath + "/a", `{"description":"` + strings.Repeat("x", 2049) + `"}`, fault.Invalid, "description"},
			{"POST", contextsPath + "/a", `{"admin_external_id":""}`, fault.Invalid, "admin_external_id"},
			{"POST", contextsPath + "/a", `{"admin_external_id":"` + newKey(t).Reveal() + `"}`, fault.Invalid, "admin_external_id"},
			{"POST", contextsPath + "/a", `{"admin_display_name":"a\u001b"}`, fault.Invalid, "admin_display_name"},
			{"POST", contextsPath + "/a", `{"config":{"x":1}}`, fault.Invalid, "config.x"},
			{"PATCH", contextPath, "", fault.Invalid, ""},
			{"PATCH", contextPath, `{"description":"x"}`, fault.Invalid, "description"},
			{"PATCH", contextPath, `{"enforcement_blocked":"yes"}`, fault.Invalid, "enforcement_blocked"},
			{"PATCH", contextPath, `{"config":null}`, fault.Invalid, "config"},
			{"PATCH", contextPath, `{"config":[]}`, fault.Invalid, "config"},
			{"PATCH", contextPath, `{"config":{"Token_Limit":1}}`, fault.Invalid, "config.Token_Limit"},
			{"PATCH", contextPath, `{"config":{"max_token_ttl_seconds":0}}`, fault.Invalid, "config.max_token_ttl_seconds"},
			{"PATCH", contextPath, `{"config":{"max_token_ttl_seconds":1e30}}`, fault.Invalid, "config.max_token_ttl_seconds"},
			{"PATCH", contextPath, `{"config":{"max_token_ttl_seconds":1.5}}`, fault.Invalid, "config.max_token_ttl_seconds"},
			{"PATCH", contextPath, `{"config":{"token_limit":-1}}`, fault.Invalid, "config.token_limit"},
			{"PATCH", contextPath, `{"config":{"token_limit":1e400}}`, fault.Invalid, "config.token_limit"},
			{"PATCH", contextPath, `{"config":{"token_limit":99999999999999999999}}`, fault.Invalid, "config.token_limit"},
			{"PATCH", contextPath, `{"config":{"reject_unbound_keys":true}}`, fault.Invalid, "config.reject_unbound_keys"},
			{"PATCH", contextPath, `{"config":{"retention_days":1}}`, fault.Invalid, "config.retention_days"},
			{"PATCH", contextPath, `{"config":{"rate_limit":{}}}`, fault.Invalid, "config.rate_limit"},
			{"PATCH", contextPath, `{"config":{"enforcement_blocked":true}}`, fault.Invalid, "config.enforcement_blocked"},
			{"PATCH", contextPath, `{"enforcement_blocked":"yes"}`, fault.Invalid, "enforcement_blocked"},
			{"PATCH", contextPath, `{"config":{"allow_self_service_keys":1}}`, fault.Invalid, "config.allow_self_service_keys"},
			{"PATCH", contextPath, `{"config":{"trace_retention":{"x":1}}}`, fault.Invalid, "config.trace_retention.x"},
			{"PATCH", contextPath, `{"config":{"trace_retention":{"x_days":-1}}}`, fault.Invalid, "config.trace_retention.x_days"},
			{"PATCH", contextPath, `{"config":{"models":{"a":"\u0000"}}}`, fault.Invalid, "config.models.a"},
			{"PATCH", contextPath, `{"config":{"models":{"a":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}}}`, fault.Invalid, ""},
			{"PATCH", contextPath, `{"config":{"models":{"a":"` + strings.Repeat("x", 70<<10) + `"}}}`, fault.Invalid, "config"},
			{"PATCH", contextPath, `{"config":{"providers":{"openai":"key"}}}`, fault.Invalid, "config.providers.openai"},
			// Sizes and routes.
			{"PATCH", contextPath, `{"config":{"models":{"a":"` + strings.Repeat("x", 2<<20) + `"}}}`, fault.TooLarge, ""},
			{"GET", contextsPath + "?cursor=" + strings.Repeat("x", 9000), "", fault.TooLarge, ""},
			{"PUT", contextPath, "", fault.MethodNotAllowed, ""},
			{"GET", keys + "/k", "", fault.MethodNotAllowed, ""},
			{"GET", "/api/v1/nothing", "", fault.NotFound, ""},
		} {
			name := test.method + " " + test.target + " " + test.body
			t.Run(name[:min(len(name), 100)], func(t *testing.T) {
				t.Parallel()
				var body any
				if test.body != "" {
					body = test.body
				}
				refused(t, s.operate(test.method, test.target, body), test.kind, test.field)
			})
		}
	})
}

// TestOddButStorable sends what JSON allows and databases are known to choke on.
func TestOddButStorable(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		body := `{"config":{"models":{"tiny":1e-99999,"long":0.` + strings.Repeat("0", 20_000) + `1,"big":1e308,
			"whole":9007199254740993,"text":"\\u0000 \ud83d\ude00 \u2028","":{"a":[[],{}]}}}}`
		first := into[httpapi.Context](t, s.operate("PATCH", contextPath, body), http.StatusOK)
		if first.Config.Models["tiny"] != 0.0 || first.Config.Models["text"] != `\u0000 😀 `+"\u2028" {
			t.Errorf("models: %v", first.Config.Models)
		}
		into[httpapi.Context](t, s.operate("PATCH", contextPath, `{"config":{"token_limit":9007199254740993}}`), http.StatusOK)
		if limit := into[httpapi.Context](t, s.operate("GET", contextPath, nil), http.StatusOK).Config.TokenLimit; *limit != 9007199254740993 {
			t.Errorf("token_limit was rounded to %d", *limit)
		}
		// One half of a character is no text.
		refused(t, s.operate("POST", contextsPath+"/odd", `{"description":"\ud800 lone surrogate"}`), fault.Invalid, "")
	})
}

func TestOnlyJSONIsTaken(t *testing.T) {
	t.Parallel()
	s := founded(t, dbtest.SQLite(t))
	for _, test := range []struct {
		contentType string
		want        int
	}{
		{"", http.StatusCreated},
		{"application/json; charset=utf-8", http.StatusConflict},
		{"text/plain", http.StatusUnsupportedMediaType},
		{"application/x-www-form-urlencoded", http.StatusUnsupportedMediaType},
	} {
		r := newRequest("POST", keys+"/k", s.management, `{}`)
		r.Header.Set("Content-Type", test.contentType)
		if got := s.do(r).status; got != test.want {
			t.Errorf("Content-Type %q: status %d, want %d", test.contentType, got, test.want)
		}
	}
}
