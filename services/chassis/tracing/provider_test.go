package tracing_test

import (
	"context"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/spectron-hq/spectron/services/chassis/tracing"
)

func TestTracingIsOffUnlessAVariableSaysWhereTo(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		settings tracing.Settings
		on, bad  bool
	}{
		"nothing":          {},
		"endpoint":         {tracing.Settings{Endpoint: "http://c:4318"}, true, false},
		"traces endpoint":  {tracing.Settings{TracesEndpoint: "http://c:4318/v1/traces"}, true, false},
		"otlp":             {tracing.Settings{Exporter: "otlp"}, true, false},
		"none":             {tracing.Settings{Exporter: "none", Endpoint: "http://c:4318"}, false, false},
		"disabled":         {tracing.Settings{Disabled: true, Endpoint: "http://c:4318"}, false, false},
		"another exporter": {tracing.Settings{Exporter: "zipkin"}, true, true},
		"grpc":             {tracing.Settings{Endpoint: "http://c:4317", Protocol: "grpc"}, true, true},
		"http":             {tracing.Settings{Endpoint: "http://c:4318", TracesProtocol: "http/protobuf"}, true, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := test.settings.Verify(); (err != nil) != test.bad {
				t.Errorf("verified: %v", err)
			}
			if got := test.settings.On(); !test.bad && got != test.on {
				t.Errorf("on: %v", got)
			}
		})
	}
}

// recorder returns a provider that records.
func recorder(t *testing.T) *sdk.TracerProvider {
	t.Helper()
	provider, err := tracing.New(t.Context(), "test", "1", tracetest.NewSpanRecorder())
	if err != nil {
		t.Fatal(err)
	}
	return provider
}

// request returns the context of a request with a span.
func request(t *testing.T, provider trace.TracerProvider) context.Context {
	t.Helper()
	ctx, end := tracing.Serving(tracing.WithID(t.Context(), tracing.NewID()), provider, "GET", nil, false)
	t.Cleanup(func() { end("/x", 200) })
	return ctx
}

func TestASpanHasTheTraceIDOfItsRequest(t *testing.T) {
	t.Parallel()
	provider := recorder(t)
	ctx := request(t, provider)
	if got := trace.SpanContextFromContext(ctx).TraceID().String(); got != tracing.ID(ctx) {
		t.Errorf("the span is of the trace %s, the request of %s", got, tracing.ID(ctx))
	}
}

// What is asked for three requests at once belongs to the first that is recorded, and links to the other that is.
func TestCarry(t *testing.T) {
	t.Parallel()
	provider := recorder(t)
	unrecorded, first, second := tracing.WithID(t.Context(), tracing.NewID()), request(t, provider), request(t, provider)
	ctx := tracing.Carry(t.Context(), []context.Context{unrecorded, first, second})
	if tracing.ID(ctx) != tracing.ID(first) || trace.SpanContextFromContext(ctx).SpanID() != trace.SpanContextFromContext(first).SpanID() {
		t.Error("the question is not part of the first recorded request")
	}
	lifetime, cancel := context.WithCancel(t.Context())
	carried := tracing.Carry(lifetime, []context.Context{unrecorded})
	if tracing.ID(carried) != tracing.ID(unrecorded) {
		t.Error("without a span the trace id is lost")
	}
	cancel()
	if carried.Err() == nil {
		t.Error("the question outlives its lifetime")
	}
	if got := tracing.Carry(t.Context(), nil); tracing.ID(got) != "" {
		t.Error("nobody's question has a trace")
	}
}

//nolint:paralleltest // it counts allocations, which others would add to
func TestBeginMakesNothingOfNothing(t *testing.T) {
	ctx, end := tracing.Begin(t.Context(), "work")
	end(nil)
	if ctx != t.Context() || tracing.Recorded(ctx) {
		t.Error("a span without a request")
	}
	if n := testing.AllocsPerRun(100, func() {
		_, end := tracing.Begin(t.Context(), "work")
		end(nil)
	}); n != 0 {
		t.Errorf("%v allocations where nothing is traced", n)
	}
}
