package database_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/chassis/tracing"
)

// The spans of a request tell the text of its statements, and no value; work outside a request makes none.
func TestStatementsHaveSpansWithoutValues(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, connection string) {
		const secret = "hunter2"
		db, err := database.Open(t.Context(), connection, "public")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		db.Trace()
		spans := tracetest.NewSpanRecorder()
		provider, err := tracing.New(t.Context(), "test", "1", spans)
		if err != nil {
			t.Fatal(err)
		}
		ask := func(query string) error {
			return db.Reader(t.Context()).Exec(query, secret).Error
		}
		if err := ask("SELECT 1 WHERE 'x' = ?"); err != nil || len(spans.Ended()) != 0 {
			t.Fatalf("%d spans outside a request, %v", len(spans.Ended()), err)
		}
		ctx, end := tracing.Serving(tracing.WithID(t.Context(), tracing.NewID()), provider, "GET", nil, false)
		var found int
		if err := db.Reader(ctx).Raw("SELECT 1 WHERE 'x' = ?", secret).Scan(&found).Error; err != nil {
			t.Fatal(err)
		}
		if err := db.Reader(ctx).Raw("SELECT 1 FROM nowhere WHERE 'x' = ?", secret).Scan(&found).Error; err == nil {
			t.Fatal("a table that is nowhere was found")
		}
		end("/x", 200)
		var texts []string
		for _, s := range spans.Ended() {
			texts = append(texts, fmt.Sprint(s.Name(), s.Attributes(), s.Status(), s.Events()))
		}
		whole := strings.Join(texts, "\n")
		if len(texts) != 3 || !strings.Contains(whole, "SELECT 1 WHERE") || !strings.Contains(whole, "error.type") {
			t.Errorf("spans:\n%s", whole)
		}
		if strings.Contains(whole, secret) {
			t.Errorf("a value is in a span")
		}
		registry := prometheus.NewRegistry()
		registry.MustRegister(db.Collectors("vault")...)
		if families, err := registry.Gather(); err != nil || len(families) == 0 {
			t.Errorf("%d metrics of the pools, %v", len(families), err)
		}
	})
}
