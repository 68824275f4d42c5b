package web_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/spectron-hq/spectron/services/chassis/tracing"
	"github.com/spectron-hq/spectron/services/chassis/web"
)

// A span is called after the route, is the child of the caller's, and tells nothing that a client has written.
func TestSpans(t *testing.T) {
	t.Parallel()
	const id, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	tests := map[string]struct {
		path, traceparent string
		name, parent      string // no name: no span
	}{
		"route":              {"/things/secret-1?q=secret-2", "", "GET /things/:id", "0000000000000000"},
		"unmatched":          {"/secret-3", "", "GET unmatched", "0000000000000000"},
		"panic":              {"/panic", "", "GET /panic", "0000000000000000"},
		"child":              {"/things/1", "00-" + id + "-" + parent + "-01", "GET /things/:id", parent},
		"not recorded":       {"/things/1", "00-" + id + "-" + parent + "-00", "", ""},
		"malformed":          {"/things/1", "00-" + id + "-" + parent, "GET /things/:id", "0000000000000000"},
		"probe":              {"/health", "", "", ""},
		"probe that is told": {"/health", "00-" + id + "-" + parent + "-01", "GET /health", parent},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spans := tracetest.NewSpanRecorder()
			provider, err := tracing.New(t.Context(), "test", "1", spans)
			if err != nil {
				t.Fatal(err)
			}
			engine := web.NewEngine(web.Options{Log: discard(), Tracing: provider})
			engine.GET("/things/:id", func(*gin.Context) {})
			engine.GET("/health", func(*gin.Context) {})
			engine.GET("/panic", func(*gin.Context) { panic("secret-4") })
			r := httptest.NewRequest(http.MethodGet, test.path, nil)
			r.Header.Set("Authorization", "Bearer secret-5")
			if test.traceparent != "" {
				r.Header.Set("Traceparent", test.traceparent)
			}
			w := httptest.NewRecorder()
			web.Handler(engine).ServeHTTP(w, r)
			ended := spans.Ended()
			if test.name == "" {
				if len(ended) != 0 {
					t.Fatalf("%d spans", len(ended))
				}
				return
			}
			if len(ended) != 1 {
				t.Fatalf("%d spans", len(ended))
			}
			s := ended[0]
			if s.Name() != test.name || s.Parent().SpanID().String() != test.parent || s.SpanContext().TraceID().String() != w.Header().Get("X-Trace-Id") {
				t.Errorf("span %q of %s in %s", s.Name(), s.Parent().SpanID(), s.SpanContext().TraceID())
			}
			if text := fmt.Sprint(s.Name(), s.Attributes(), s.Events(), s.Status()); strings.Contains(text, "secret") {
				t.Errorf("the span tells %s", text)
			}
		})
	}
}

// Whatever is logged within a request, also of a panic, has its trace id.
func TestPanicsAreLoggedWithTheTraceID(t *testing.T) {
	t.Parallel()
	w, logged := get(t, func(*gin.Context) { panic("oops") }, nil)
	for line := range bytes.Lines([]byte(logged)) {
		if !bytes.Contains(line, []byte(w.Header().Get("X-Trace-Id"))) {
			t.Errorf("a line without the trace id: %s", line)
		}
	}
	if !strings.Contains(logged, "oops") {
		t.Error("the panic is not in the log")
	}
}

// BenchmarkRequest compares a request of a server that traces nothing, one that would but is told not to, and one that does.
func BenchmarkRequest(b *testing.B) {
	provider := sdk.NewTracerProvider()
	never := sdk.NewTracerProvider(sdk.WithSampler(sdk.NeverSample()))
	for name, options := range map[string]web.Options{
		"off": {Log: discard()}, "unsampled": {Log: discard(), Tracing: never}, "on": {Log: discard(), Tracing: provider},
	} {
		b.Run(name, func(b *testing.B) {
			engine := web.NewEngine(options)
			engine.GET("/things/:id", func(*gin.Context) {})
			handler := web.Handler(engine)
			b.ReportAllocs()
			for b.Loop() {
				handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/things/1", nil))
			}
		})
	}
}
