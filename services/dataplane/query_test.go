package dataplane_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/dataplane"
)

func TestAQueryIsNarrowedByTimeSourceAndKind(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.admin(t)
		p.remember(t, admin, `{"text":"otter","infer":"none","observed_at":"2026-01-31T12:00:00Z"}`)
		for fields, want := range map[string]int{
			``: 1, `,"atInstant":null,"validFrom":null,"validUntil":null,"source":null,"includeDuplicates":null,"location":{"a":1}`: 1,
			`,"atInstant":"2026-01-31T12:00:00Z"`: 1, `,"atInstant":"2026-01-31T12:59:59+01:00"`: 0, `,"atInstant":"2026-02-01T00:00:00Z"`: 1,
			`,"validUntil":"2026-01-31T12:00:00Z"`: 0, `,"validUntil":"2026-02-01T00:00:00Z"`: 1, `,"validFrom":"2026-02-01T00:00:00Z"`: 1,
			`,"asOf":"2026-02-01T00:00:00Z"`: 0, `,"as_of":"2026-02-01T00:00:00Z"`: 0,
			`,"source":"memory_chunk"`: 1, `,"source":"attribute"`: 0, `,"source":"unheard"`: 0,
			`,"include":["facts"]`: 1, `,"include":["passages"]`: 1, `,"include":[]`: 1, `,"include":["passages"],"source":"attribute"`: 0,
			`,"scope_view":"merged"`: 1, `,"scopeView":"strict"`: 1,
		} {
			if got := p.recall(t, admin, `{"query":"otter"`+fields+`}`); len(got.Hits) != want {
				t.Errorf("%s: %v", fields, got.texts())
			}
		}
		for fields, field := range map[string]string{
			`"atInstant":"x"`: "atInstant", `"validFrom":"x"`: "validFrom", `"validUntil":7`: "validUntil", `"include":["all"]`: "include.0",
			`"scope_view":"all"`: "scope_view", `"scope_view":"strict","scopeView":"strict"`: "scope_view", `"includeDuplicates":"yes"`: "includeDuplicates",
			`"k":51`: "k", `"limit":51`: "limit", `"k":1,"limit":1`: "limit",
		} {
			got := p.call(t, admin, http.MethodPost, "/api/v1/acme/query", `{"query":"otter",`+fields+`}`)
			if got.status != http.StatusBadRequest || got.problem(t).Field != field {
				t.Errorf("%s: %d %s", fields, got.status, got.body)
			}
		}
	})
}

func TestADeploymentMayLowerWhatOneRequestAsksFor(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url, func(cfg *dataplane.Config) {
			cfg.Limits = dataplane.Limits{MaxQueryK: 3, MaxListLimit: 4, DefaultPageSize: 2}
		})
		admin := p.admin(t)
		for range 5 {
			p.remember(t, admin, `{"text":"otter","infer":"none"}`)
		}
		for body, want := range map[string]int{`{"query":"otter","includeDuplicates":true}`: 3, `{"query":"otter","includeDuplicates":true,"k":2}`: 2} {
			if got := p.recall(t, admin, body); len(got.Hits) != want {
				t.Errorf("%s: %d hits", body, len(got.Hits))
			}
		}
		for _, path := range []string{"query", "context"} {
			for _, name := range []string{"k", "limit"} {
				got := p.call(t, admin, http.MethodPost, "/api/v1/acme/"+path, `{"query":"otter","`+name+`":4}`)
				if got.status != http.StatusBadRequest || got.problem(t).Field != name {
					t.Errorf("%s of %s above the ceiling: %d %s", name, path, got.status, got.body)
				}
			}
		}
		for query, want := range map[string]int{"": 2, "?limit=4": 4} {
			if ids := p.sessions(t, admin, query); len(ids) != want {
				t.Errorf("%s: %d sessions", query, len(ids))
			}
		}
		for _, path := range []string{"sessions", "traces", "audit"} {
			if got := p.call(t, admin, http.MethodGet, "/api/v1/acme/"+path+"?limit=5", ""); got.status != http.StatusBadRequest || got.problem(t).Field != "limit" {
				t.Errorf("%s above the ceiling: %d", path, got.status)
			}
		}
		if rows := p.audit(t, admin, ""); len(rows) != 4 {
			t.Errorf("%d rows by default", len(rows))
		}
	})
}

func TestLimitsCannotBeRaised(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string]dataplane.Limits{
		"SPECTRON_MAX_QUERY_K": {MaxQueryK: 51}, "SPECTRON_MAX_LIST_LIMIT": {MaxListLimit: 501}, "SPECTRON_DEFAULT_PAGE_SIZE": {DefaultPageSize: -1},
		"SPECTRON_TRACE_RETENTION_DAYS": {TraceRetentionDays: -1},
	} {
		if err := limits.Verify(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (dataplane.Limits{MaxQueryK: 50, MaxListLimit: 500, DefaultPageSize: 500}).Verify(); err != nil {
		t.Error(err)
	}
}
