package httpapi_test

import (
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager/internal/httpapi"
)

func TestUsageOfTokens(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		for patch, want := range map[string]struct {
			limit   any
			percent any
		}{
			`{"token_limit":null}`: {nil, nil},
			`{"token_limit":1000}`: {1000.0, 0.0},
			`{"token_limit":0}`:    {0.0, 0.0},
		} {
			into[httpapi.Context](t, s.operate("PATCH", contextPath, `{"config":`+patch+`}`), http.StatusOK)
			before := time.Now().UTC()
			a := s.operate("GET", contextPath+"/usage", nil)
			got := into[map[string]any](t, a, http.StatusOK)
			period := into[httpapi.Usage](t, a, http.StatusOK)
			if period.PeriodStart.After(before) || !period.PeriodEnd.After(before) || period.PeriodStart.Day() != 1 ||
				!period.PeriodEnd.Equal(period.PeriodStart.AddDate(0, 1, 0)) || period.PeriodStart.Hour() != 0 {
				t.Errorf("the period is from %v to %v", period.PeriodStart, period.PeriodEnd)
			}
			delete(got, "period_start")
			delete(got, "period_end")
			wanted := map[string]any{"token_limit": want.limit, "token_usage_current_month": 0.0, "token_usage_pct": want.percent}
			if diff := cmp.Diff(wanted, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", patch, diff)
			}
		}
	})
}

func TestMigrationsOfContexts(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		into[httpapi.Context](t, s.operate("POST", contextsPath+"/other", nil), http.StatusCreated)
		got := into[httpapi.MigrationStatus](t, s.operate("GET", "/api/v1/migrations", nil), http.StatusOK)
		if len(got.Versions) != 1 || got.ContextsBehind == nil || len(got.ContextsBehind) != 0 || got.DeadLetters == nil || len(got.DeadLetters) != 0 {
			t.Errorf("got %+v", got)
		}
		for version, contexts := range got.Versions {
			if number, err := strconv.Atoi(version); err != nil || number < 4 || contexts != 2 {
				t.Errorf("%d contexts on version %s", contexts, version)
			}
		}
	})
}

func TestJobsGoToDataPlanes(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		incarnation := s.introspect(t, s.first).Verdicts[0].Incarnation
		queue := func(kind string, body any) string {
			t.Helper()
			return into[httpapi.Job](t, s.operate("POST", contextPath+"/lifecycle/"+kind, body), http.StatusAccepted).JobId
		}
		take := func() []introspection.Job {
			t.Helper()
			return into[[]introspection.Job](t, s.send("POST", introspection.JobsPath, serviceToken(t), nil), http.StatusOK)
		}
		if got := take(); got == nil || len(got) != 0 {
			t.Errorf("before there is anything to do: %v", got)
		}
		decay, reindex := queue("decay", nil), queue("reindex", `{}`)
		if decay == "" || queue("decay", `{}`) != decay || reindex == decay {
			t.Errorf("jobs %q and %q", decay, reindex)
		}
		want := []introspection.Job{
			{ID: decay, Kind: introspection.JobDecay, Incarnation: incarnation},
			{ID: reindex, Kind: introspection.JobReindex, Incarnation: incarnation},
		}
		got := take()
		slices.SortFunc(got, func(a, b introspection.Job) int { return int(a.Kind[0]) - int(b.Kind[0]) })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("jobs (-want +got):\n%s", diff)
		}
		for range 2 {
			into[struct{}](t, s.send("DELETE", introspection.JobsPath+"/"+decay, serviceToken(t), nil), http.StatusNoContent)
		}
		if got := take(); len(got) != 0 {
			t.Errorf("taken twice: %v", got)
		}
	})
}
