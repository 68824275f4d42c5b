package dataplane_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/fault"
)

// echo answers with what it was asked.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("X-Trace-Id", "of the key manager")
	w.Header().Set("X-Kept", "yes")
	w.Header().Set("Connection", "X-Dropped")
	w.Header().Set("X-Dropped", "yes")
	w.WriteHeader(http.StatusTeapot)
	_, _ = fmt.Fprintf(w, "%s|%s|%s|%s|%s|%s|%s|%s", r.Method, r.URL.EscapedPath(), r.URL.RawQuery, body, r.Host,
		r.Header.Get("Authorization"), r.Header.Get("X-Forwarded-For"), r.Header.Get("Proxy-Authorization")+r.Header.Get("X-Hop"))
}

func TestManagementIsForwardedAsItIs(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		p.authority.Management = http.HandlerFunc(echo)
		for _, tt := range []struct{ method, path string }{
			{http.MethodGet, "/api/v1/contexts"},
			{http.MethodPost, "/api/v1/contexts/acme"},
			{http.MethodGet, "/api/v1/contexts/me"},
			{http.MethodPatch, "/api/v1/contexts/a%2Fb"},
			{http.MethodDelete, "/api/v1/contexts/acme/keys/a%2Fb%3Ac%20d+e"},
			{http.MethodPost, "/api/v1/contexts/acme/keys/me/rotate"},
			{http.MethodGet, "/api/v1/contexts/"},
			{http.MethodGet, "/api/v1/verbs"},
			{http.MethodGet, "/api/v1/migrations"},
			{http.MethodGet, "/api/v1/audit"},
		} {
			got := p.call(t, "some-key", tt.method, tt.path+"?ttl_seconds=1&x=a%2Fb", `{"a":1}`,
				"X-Forwarded-For", "6.6.6.6", "Proxy-Authorization", "x", "Connection", "X-Hop", "X-Hop", "x",
				"traceparent", "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01")
			want := tt.method + "|" + tt.path + `|ttl_seconds=1&x=a%2Fb|{"a":1}|keymanager.invalid:9091|Bearer some-key|127.0.0.1|`
			if got.status != http.StatusTeapot || string(got.body) != want {
				t.Errorf("%s %s: %d %s", tt.method, tt.path, got.status, got.body)
			}
			if trace := got.header.Values("X-Trace-Id"); len(trace) != 1 || trace[0] != "0123456789abcdef0123456789abcdef" {
				t.Errorf("trace ids %v", trace)
			}
			if got.header.Get("X-Kept") != "yes" || got.header.Get("X-Dropped") != "" {
				t.Errorf("headers: %v", got.header)
			}
		}
	})
}

// A query that cannot be read is the key manager's to refuse: of a TTL that is left out nobody would hear.
func TestAMalformedQueryIsForwardedAsItIs(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		p.authority.Management = http.HandlerFunc(echo)
		for _, query := range []string{"ttl_seconds=%zz", "ttl_seconds=60;x=1", "ttl_seconds=60&a=%"} {
			got := p.call(t, "", http.MethodPost, "/api/v1/contexts/acme/keys/ci?"+query, "")
			if !strings.Contains(string(got.body), "|"+query+"|") {
				t.Errorf("%s: %d %s", query, got.status, got.body)
			}
		}
	})
}

func TestTheTraceGoesAlong(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		p.authority.Management = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, r.Header.Get("Traceparent"))
		})
		got := p.call(t, "", http.MethodGet, "/api/v1/verbs", "")
		if id := got.header.Get("X-Trace-Id"); len(id) != 32 || !strings.HasPrefix(string(got.body), "00-"+id+"-") {
			t.Errorf("trace %s, sent %s", id, got.body)
		}
	})
}

func TestOnlyManagementIsForwarded(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		p.authority.Management = http.HandlerFunc(echo)
		admin := p.admin(t)
		for path, want := range map[string]int{
			"/internal/v1/introspections":                   http.StatusNotFound,
			"/internal/v1/purges":                           http.StatusNotFound,
			"/api/v1/contexts/../../../internal/v1/purges":  http.StatusTeapot, // as it is, which is no route over there
			"/api/v1/contexts%2F..%2F..%2F..%2Finternal/v1": http.StatusNotFound,
			"/api/v1/contextsx/me":                          http.StatusUnauthorized,
			"/api/v1/verbsx/me":                             http.StatusUnauthorized,
			"/api/v1/verbs/me":                              http.StatusUnauthorized,
			"/api/v1/healthy/me":                            http.StatusUnauthorized,
			"/api/v1/con/me":                                http.StatusUnauthorized,
			"/api/v1/acme/me":                               http.StatusOK,
			"/api/v1/ac%6De/me":                             http.StatusOK,
		} {
			if got := p.call(t, admin, http.MethodGet, path, ""); got.status != want {
				t.Errorf("%s: %d %s", path, got.status, got.body)
			}
		}
	})
}

func TestUnreachableKeyManagerIsUnavailable(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		p.authority.SetDown(true)
		got := p.call(t, "", http.MethodGet, "/api/v1/contexts", "")
		if got.status != http.StatusServiceUnavailable || got.problem(t).Type != fault.Unavailable.Type() || got.header.Get("Retry-After") == "" {
			t.Errorf("%d %s", got.status, got.body)
		}
		if strings.Contains(string(got.body), "keymanager.invalid") {
			t.Errorf("the answer tells of the inside: %s", got.body)
		}
	})
}
