package telemetry_test

import (
	"strings"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/telemetry"
	"github.com/spectron-hq/spectron/services/chassis/tracing"
)

// Whoever logs within a request names it, and names it once.
func TestLinesOfARequestHaveItsTraceID(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	log, err := telemetry.NewLogger(&out, "debug", "json", redact)
	if err != nil {
		t.Fatal(err)
	}
	ctx := tracing.WithID(t.Context(), tracing.NewID())
	log.InfoContext(ctx, "plain")
	log.With("a", 1).InfoContext(ctx, "with")
	log.With("trace_id", tracing.ID(ctx)).With("b", 2).InfoContext(ctx, "named before")
	log.InfoContext(t.Context(), "outside")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, want := range []int{1, 1, 1, 0} {
		if got := strings.Count(lines[i], "trace_id"); got != want {
			t.Errorf("trace_id appears %d times in %s", got, lines[i])
		}
	}
}
