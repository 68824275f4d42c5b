package web

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/trace"

	"github.com/spectron-hq/spectron/services/chassis/tracing"
)

// traceHeader carries the trace id of every answer.
const traceHeader = "X-Trace-Id"

type serverKey struct{}

// server is what a request needs to know of the engine that serves it.
type server struct {
	realm  string
	log    *slog.Logger // carries the trace id
	client netip.Addr
}

func withServer(ctx context.Context, s *server) context.Context {
	return context.WithValue(ctx, serverKey{}, s)
}

// serverOf returns the server of a request, or one that logs by default.
func serverOf(ctx context.Context) *server {
	if s, ok := ctx.Value(serverKey{}).(*server); ok {
		return s
	}
	return &server{log: slog.Default()}
}

// TraceID returns the trace id in ctx: 32 hexadecimal digits, or nothing outside a request.
func TraceID(ctx context.Context) string { return tracing.ID(ctx) }

// Logger returns the logger of the request in ctx, which adds its trace id to every line.
func Logger(ctx context.Context) *slog.Logger { return serverOf(ctx).log }

// Propagate returns a round tripper that tells the other side the trace of a request, so that one id names what happened on
// both, and the address of the client that is asked for, which it believes if this side is a proxy that it trusts.
func Propagate(next http.RoundTripper) http.RoundTripper { return propagator{tracing.Propagate(next)} }

type propagator struct{ next http.RoundTripper }

// RoundTrip sends a copy of r with the headers traceparent and X-Forwarded-For.
func (p propagator) RoundTrip(r *http.Request) (*http.Response, error) {
	if client := clientIn(r.Context()); client.IsValid() {
		r = r.Clone(r.Context())
		r.Header.Set(forwardedHeader, client.String())
	}
	return p.next.RoundTrip(r)
}

// traced returns r with a trace id: the one it has, the caller's, or a new one. The answer will carry it.
func traced(w http.ResponseWriter, r *http.Request) *http.Request {
	if TraceID(r.Context()) != "" {
		return r
	}
	ctx := tracing.Adopt(r.Context(), r.Header)
	w.Header().Set(traceHeader, tracing.ID(ctx))
	return r.WithContext(ctx)
}

// spans makes a span of each request. Its name is the route's, never the path, which may hold anything.
func spans(provider trace.TracerProvider) gin.HandlerFunc {
	return func(c *gin.Context) {
		ctx, end := tracing.Serving(c.Request.Context(), provider, methodOf(c), c.Request.Header, quiet(c.Request.URL.Path))
		c.Request = c.Request.WithContext(ctx)
		defer func() { end(routeOf(c), c.Writer.Status()) }() // runs when a handler drops the connection, too
		c.Next()
	}
}

// healthSuffix ends the routes that probes ask.
const healthSuffix = "/health"

// quiet reports whether a route is that of probes, or of services that ask each other all the time.
func quiet(route string) bool {
	return strings.HasSuffix(route, healthSuffix) || strings.HasPrefix(route, "/internal/")
}
