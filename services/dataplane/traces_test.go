package dataplane_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
)

type traceJSON struct {
	ID, QueryText, ResolutionTier, TierReason, CreatedAt, PrincipalID string
	LatencyMs                                                         *int
	Cached                                                            *bool
	RetrievedCount                                                    int
}

type auditJSON struct {
	TraceID, Kind, Principal, KeyID, Action, CreatedAt string
	Cost                                               *float64
	LatencyMs                                          *int
	RowsTouched                                        int
}

func (p *plane) traces(t *testing.T, key string) (texts []string) {
	t.Helper()
	var out struct{ Traces []traceJSON }
	p.ok(t, &out, key, http.MethodGet, "/api/v1/acme/traces", "")
	for _, each := range out.Traces {
		texts = append(texts, each.QueryText)
	}
	return texts
}

func (p *plane) audit(t *testing.T, key, query string) []auditJSON {
	t.Helper()
	var out struct{ Rows []auditJSON }
	p.ok(t, &out, key, http.MethodGet, "/api/v1/acme/audit"+query, "")
	return out.Rows
}

func TestAQueryLeavesATraceUnderItsTraceID(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		alice := p.agent(t, "alice", "org/alice/*")
		p.remember(t, alice, `{"text":"otter","infer":"none"}`)
		answer := p.call(t, alice, http.MethodPost, "/api/v1/acme/query", `{"query":"an otter?"}`)
		var got traceJSON
		p.ok(t, &got, alice, http.MethodGet, "/api/v1/acme/traces/"+answer.header.Get("X-Trace-Id"), "")
		if got.ID != answer.header.Get("X-Trace-Id") || got.QueryText != "an otter?" || got.ResolutionTier != "hybrid" || got.TierReason == "" ||
			got.CreatedAt == "" || got.PrincipalID != "alice" || got.LatencyMs == nil || got.Cached == nil || *got.Cached || got.RetrievedCount != 1 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestTracesAreTheCallersOwnUnlessItManagesTheRoot(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		alice, bob := p.agent(t, "alice", "/*"), p.authority.Key(t, "acme", "acme-1", "bob", grant.Over(scope.Everything, grant.MemoryRead))
		low := p.agent(t, "low", "org/*") // manages, but not the root
		p.recall(t, bob, `{"query":"of bob"}`)
		theirs := p.call(t, low, http.MethodPost, "/api/v1/acme/context", `{"query":"of low"}`).header.Get("X-Trace-Id")
		for key, want := range map[string][]string{
			alice: {"of low", "of bob"}, bob: {"of bob"}, low: {"of low"},
			p.authority.Key(t, "acme", "acme-2", "bob", grant.All()): nil,
		} {
			if diff := cmp.Diff(want, p.traces(t, key)); diff != "" {
				t.Errorf("traces (-want +got):\n%s", diff)
			}
		}
		for key, want := range map[string]int{
			alice: http.StatusOK, low: http.StatusOK, bob: http.StatusNotFound, p.authority.Key(t, "acme", "acme-2", "low", grant.All()): http.StatusNotFound,
		} {
			if got := p.call(t, key, http.MethodGet, "/api/v1/acme/traces/"+theirs, ""); got.status != want {
				t.Errorf("%d, want %d", got.status, want)
			}
		}
		if got := p.call(t, alice, http.MethodGet, "/api/v1/acme/traces/unknown", ""); got.status != http.StatusNotFound {
			t.Errorf("unknown: %d", got.status)
		}
	})
}

func TestTraceStatsAreZeroWithoutTheRightToManageTheRoot(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin, low := p.admin(t), p.agent(t, "low", "org/*")
		p.recall(t, low, `{"query":"x"}`)
		for key, want := range map[string]float64{admin: 1, low: 0} {
			var got map[string]any
			p.ok(t, &got, key, http.MethodGet, "/api/v1/acme/traces/stats", "")
			tiers, _ := got["tierCounts"].(map[string]any)
			if got["totalQueries"] != want || tiers["hybrid"] != want {
				t.Errorf("want %v: %v", want, got)
			}
			for _, name := range []string{
				"avgLatencyMs", "cacheHits", "cacheHitRate", "responseTracesCached", "responseTracesTotal", "windowHours", "contradiction",
				"retrieval", "supersession", "sourceKindDistribution",
			} {
				if got[name] == nil {
					t.Errorf("%s is missing", name)
				}
			}
		}
	})
}

func TestAuditTellsDecisionsAndRetrievals(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		alice, admin := p.agent(t, "alice", "org/alice/*"), p.admin(t)
		id := p.session(t, alice, "").ID
		p.remember(t, alice, `{"text":"the secret otter","infer":"none"}`)
		p.ok(t, new(batchJSON), alice, http.MethodPost, batchPath, `{`+twoMessages+`}`)
		p.recall(t, alice, `{"query":"otter"}`)
		p.call(t, alice, http.MethodDelete, sessionsPath+"/"+id, "")
		p.call(t, alice, http.MethodPost, factsPath, `{"text":"refused","scopes":"org/bob"}`)
		rows := p.audit(t, alice, "")
		var got []string
		for _, row := range rows {
			got = append(got, row.Kind+" "+row.Action)
			if row.Principal != "alice" || row.KeyID == "" || row.TraceID == "" || row.Cost == nil || row.LatencyMs == nil || row.CreatedAt == "" {
				t.Errorf("row %+v", row)
			}
		}
		want := []string{"decision sessions.delete", "retrieval query", "decision facts.batch", "decision facts.add", "decision sessions.create"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("rows (-want +got):\n%s", diff)
		}
		if rows[2].RowsTouched != 2 || rows[3].RowsTouched != 1 || rows[1].RowsTouched != 3 {
			t.Errorf("rows touched: %+v", rows)
		}
		p.recall(t, admin, `{"query":"x"}`)
		for query, want := range map[string]int{
			"": 6, "?principal=alice": 5, "?principal=principal:alice": 5, "?principal=admin": 1, "?key=" + rows[0].KeyID: 5, "?kind=decision": 4,
			"?kind=retrieval": 2, "?kind=response": 0, "?limit=2": 2,
			"?since=" + escaped(rows[1].CreatedAt): 3, "?until=" + escaped(rows[1].CreatedAt): 3,
		} {
			if got := p.audit(t, admin, query); len(got) != want {
				t.Errorf("%s: %d rows, want %d", query, len(got), want)
			}
		}
		if got := p.audit(t, alice, "?principal=admin"); got == nil || len(got) != 0 {
			t.Errorf("another's: %v", got)
		}
		for _, query := range []string{"?kind=denial", "?limit=0", "?limit=501", "?since=yesterday", "?until=1"} {
			if got := p.call(t, admin, http.MethodGet, "/api/v1/acme/audit"+query, ""); got.status != http.StatusBadRequest {
				t.Errorf("%s: %d", query, got.status)
			}
		}
	})
}

func escaped(text string) string { return url.QueryEscape(text) }
