package dataplane_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

func TestBadInputIsNamedAndNeverAnInternalError(t *testing.T) {
	t.Parallel()
	const facts, query, scopes = "POST /api/v1/acme/facts", "POST /api/v1/acme/query", "POST /api/v1/acme/scopes"
	long := strings.Repeat("x", 66000)
	tests := []struct {
		route, body string
		status      int
		field       string
	}{
		{facts, ``, 400, ""},
		{facts, `{`, 400, ""},
		{facts, `[]`, 400, ""},
		{facts, `null`, 400, ""},
		{facts, `"x"`, 400, ""},
		{facts, `{"text":"a"} {}`, 400, ""},
		{facts, `{"text":"a","text":"b"}`, 400, "text"},
		{facts, "{\"text\":\"\xff\"}", 400, ""},
		{facts, `{}`, 400, "text"},
		{facts, `{"text":null}`, 400, "text"},
		{facts, `{"text":""}`, 400, "text"},
		{facts, `{"text":" \n"}`, 400, "text"},
		{facts, `{"text":7}`, 400, "text"},
		{facts, `{"text":{}}`, 400, "text"},
		{facts, `{"text":"a\u0000b"}`, 400, "text"},
		{facts, `{"text":"` + long + `"}`, 400, "text"},
		{facts, `{"text":"` + strings.Repeat("x", 2<<20) + `"}`, 413, ""},
		{facts, `{"text":"a","infer":"triples","triples":[]}`, 400, "triples"},
		{facts, `{"infer":"triples"}`, 400, "triples"},
		{facts, `{"text":"a","infer":"FULL"}`, 400, "infer"},
		{facts, `{"text":"a","infer":1}`, 400, "infer"},
		{facts, `{"text":"a","role":"root"}`, 400, "role"},
		{facts, `{"text":"a","memory_category":"x"}`, 400, "memory_category"},
		{facts, `{"text":"a","session_id":7}`, 400, "session_id"},
		{facts, `{"text":"a","session_id":"\u0000"}`, 400, "session_id"},
		{facts, `{"text":"a","session_id":""}`, 200, ""},
		{facts, `{"text":"a","session_id":"x"}`, 403, ""},
		{facts, `{"text":"a","labels":"a=b"}`, 400, "labels"},
		{facts, `{"text":"a","labels":["a"]}`, 400, "labels.0"},
		{facts, `{"text":"a","labels":["a=b","=b"]}`, 400, "labels.1"},
		{facts, `{"text":"a","labels":["_a=b"]}`, 400, "labels.0"},
		{facts, `{"text":"a","labels":[7]}`, 400, "labels.0"},
		{facts, `{"text":"a","labels":["a=\u0000"]}`, 400, "labels.0"},
		{facts, `{"text":"a","labels":["a=` + long + `"]}`, 400, "labels.0"},
		{facts, `{"text":"a","labels":[` + strings.TrimSuffix(strings.Repeat(`"a=b",`, 65), ",") + `]}`, 409, "labels"},
		{facts, `{"text":"a","scopes":7}`, 400, "scopes"},
		{facts, `{"text":"a","scopes":{}}`, 400, "scopes"},
		{facts, `{"text":"a","scopes":[[]]}`, 400, "scopes"},
		{facts, `{"text":"a","scopes":[[["x"]]]}`, 400, "scopes"},
		{facts, `{"text":"a","scopes":""}`, 400, "scopes"},
		{facts, `{"text":"a","scopes":"a//b"}`, 400, "scopes"},
		{facts, `{"text":"a","scopes":"a/*"}`, 400, "scopes"},
		{facts, `{"text":"a","scope":"a b"}`, 400, "scope"},
		{facts, `{"text":"a","scopes":"a/../b"}`, 400, "scopes"},
		{facts, `{"text":"a","scopes":"/","scope":"/"}`, 400, "scope"},
		{facts, `{"text":"a","scopes":"unregistered"}`, 400, "scopes"},
		{facts, `{"text":"a","scopes":"` + strings.Repeat("a/", 40) + `"}`, 400, "scopes"},
		{facts, `{"text":"a","observed_at":"yesterday"}`, 400, "observed_at"},
		{facts, `{"text":"a","observed_at":7}`, 400, "observed_at"},
		{facts, `{"text":"a","observed_at":"2026-02-31T00:00:00Z"}`, 400, "observed_at"},
		{facts, `{"text":"a","observed_at":"0000-01-01T00:00:00Z"}`, 200, ""},
		// Times that JSON cannot hold in UTC would make every query that finds the text fail.
		{facts, `{"text":"a","observed_at":"0000-01-01T00:00:00+12:00"}`, 400, "observed_at"},
		{facts, `{"text":"a","observed_at":"9999-12-31T23:59:59-12:00"}`, 400, "observed_at"},
		{"POST /api/v1/acme/facts/batch", `{"messages":[{"role":"user","content":"a","ts":"9999-12-31T23:59:59-12:00"}]}`, 400, "messages.0.ts"},
		{query, `{"query":"a","atInstant":"9999-12-31T23:59:59-12:00"}`, 400, "atInstant"},

		{query, ``, 400, ""},
		{query, `{"query":`, 400, ""},
		{query, `{}`, 400, "query"},
		{query, `{"query":""}`, 400, "query"},
		{query, `{"query":" "}`, 400, "query"},
		{query, `{"query":null}`, 400, "query"},
		{query, `{"query":["a"]}`, 400, "query"},
		{query, `{"query":"` + long + `"}`, 400, "query"},
		{query, `{"query":"a","k":0}`, 400, "k"},
		{query, `{"query":"a","k":-1}`, 400, "k"},
		{query, `{"query":"a","k":51}`, 400, "k"},
		{query, `{"query":"a","k":1e30}`, 400, "k"},
		{query, `{"query":"a","k":"abc"}`, 400, "k"},
		{query, `{"query":"a","k":1.5}`, 400, "k"},
		{query, `{"query":"a","k":1e400}`, 400, "k"},
		{query, `{"query":"a","limit":51}`, 400, "limit"},
		{query, `{"query":"a","k":1,"limit":2}`, 400, "limit"},
		{query, `{"query":"a","mode":"vector"}`, 400, "mode"},
		{query, `{"query":"a","mode":"graph"}`, 400, "mode"},
		{query, `{"query":"a","mode":"x"}`, 400, "mode"},
		{query, `{"query":"a","include":["x"]}`, 400, "include.0"},
		{query, `{"query":"a","scopeView":"x"}`, 400, "scopeView"},
		{query, `{"query":"a","scope_view":7}`, 400, "scope_view"},
		{query, `{"query":"a","lens":"a/*/b"}`, 400, "lens"},
		{query, `{"query":"a","lens":7}`, 400, "lens"},
		{query, `{"query":"a","lens":[[]]}`, 400, "lens"},
		{query, `{"query":"a","lens":"a","scope":"a"}`, 400, "scope"},
		{query, `{"query":"a","labels":["x"]}`, 400, "labels.0"},
		{query, `{"query":"a","asOf":"x"}`, 400, "asOf"},
		{query, `{"query":"a","as_of":"2026-13-01T00:00:00Z"}`, 400, "as_of"},
		{query, `{"query":"a","asOf":"2026-01-01T00:00:00Z","as_of":"2026-01-01T00:00:00Z"}`, 400, "as_of"},
		{query, `{"query":"a","sessionId":7}`, 400, "sessionId"},

		{scopes, ``, 400, ""},
		{scopes, `{}`, 400, "path"},
		{scopes, `{"path":7}`, 400, "path"},
		{scopes, `{"path":""}`, 400, "path"},
		{scopes, `{"path":"a/*"}`, 400, "path"},
		{scopes, `{"path":"a\u0000"}`, 400, "path"},
		{scopes, `{"path":"` + long + `"}`, 400, "path"},
		{scopes, `{"path":"a","displayName":7}`, 400, "displayName"},
		{scopes, `{"path":"a","displayName":"` + long + `"}`, 400, "displayName"},
		{scopes, `{"path":"a","description":[]}`, 400, "description"},
		{"GET /api/v1/acme/scopes?limit=0", ``, 400, "limit"},
		{"GET /api/v1/acme/scopes?limit=1001", ``, 400, "limit"},
		{"GET /api/v1/acme/scopes?limit=abc", ``, 400, "limit"},
		{"GET /api/v1/acme/scopes?limit=1e30", ``, 400, "limit"},
		{"GET /api/v1/acme/scopes?cursor=%00", ``, 400, "cursor"},
		{"GET /api/v1/acme/scopes?cursor=abc", ``, 400, "cursor"},
		{"GET /api/v1/acme/scopes?cursor=_w", ``, 400, "cursor"},
		{"GET /api/v1/acme/me?x=%zz", ``, 400, ""},
		{"GET /api/v1/acme/nothing", ``, 404, ""},
		{"DELETE /api/v1/acme/me", ``, 405, ""},
		{"GET /nothing", ``, 404, ""},
		{"PUT /api/v1/acme/facts", `{}`, 405, ""},
		{"GET /api/v1/acme/me?" + long, ``, 413, ""},
		{"GET /internal/v1/purges", ``, 404, ""},
	}
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		for _, tt := range tests {
			method, path, _ := strings.Cut(tt.route, " ")
			got := p.call(t, admin, method, path, tt.body)
			name := tt.route[:min(len(tt.route), 60)] + " " + tt.body[:min(len(tt.body), 80)]
			if got.status != tt.status {
				t.Errorf("%s: %d, want %d: %.300s", name, got.status, tt.status, got.body)
				continue
			}
			if got.status >= 400 {
				if problem := got.problem(t); problem.Field != tt.field || !strings.HasPrefix(problem.Detail, tt.field) {
					t.Errorf("%s names %q: %s", name, problem.Field, got.body)
				}
			}
		}
	})
}

func TestBadHeaders(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		for _, tt := range []struct {
			header, value string
			status        int
		}{
			{"Content-Type", "text/plain", 415},
			{"Content-Type", "application/x-www-form-urlencoded", 415},
			{"Content-Type", "application/json; charset=utf-8", 200},
			{"Idempotency-Key", strings.Repeat("k", 256), 400},
			{"Idempotency-Key", strings.Repeat("k", 255), 200},
			{"Idempotency-Key", "käse", 200},
		} {
			got := p.call(t, admin, http.MethodPost, factsPath, `{"text":"a"}`, tt.header, tt.value)
			if got.status != tt.status {
				t.Errorf("%s %.20s: %d %s", tt.header, tt.value, got.status, got.body)
			}
			if got.status == 400 && got.problem(t).Field != tt.header {
				t.Errorf("%s is not named: %s", tt.header, got.body)
			}
		}
	})
}
