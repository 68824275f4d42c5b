package web

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strings"
)

// traceHeader carries the trace id of every answer.
const traceHeader = "X-Trace-Id"

type traceKey struct{}

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
func TraceID(ctx context.Context) string {
	id, _ := ctx.Value(traceKey{}).(string)
	return id
}

// WithTraceID returns a context in which id is the trace id. An id that is not one of W3C Trace Context is left out.
func WithTraceID(ctx context.Context, id string) context.Context {
	if !isHex(id, 32) {
		return ctx
	}
	return context.WithValue(ctx, traceKey{}, id)
}

// NewTraceID returns a random trace id. It is a name, not a secret.
func NewTraceID() string {
	return fmt.Sprintf("%016x%016x", rand.Uint64()|1, rand.Uint64()) //nolint:gosec // see above; never all zero
}

// Logger returns the logger of the request in ctx, which adds its trace id to every line.
func Logger(ctx context.Context) *slog.Logger { return serverOf(ctx).log }

// Propagate returns a round tripper that tells the other side the trace id in a request's context, so that one id names
// what happened on both, and the address of the client that is asked for, which it believes if this side is a proxy that it trusts.
func Propagate(next http.RoundTripper) http.RoundTripper { return propagator{next} }

type propagator struct{ next http.RoundTripper }

// RoundTrip sends a copy of r with the headers traceparent and X-Forwarded-For.
func (p propagator) RoundTrip(r *http.Request) (*http.Response, error) {
	id, client := TraceID(r.Context()), clientIn(r.Context())
	if id == "" && !client.IsValid() {
		return p.next.RoundTrip(r)
	}
	r = r.Clone(r.Context())
	if id != "" {
		parent := fmt.Sprintf("00-%s-%016x-01", id, rand.Uint64()|1) //nolint:gosec // a name, not a secret
		r.Header.Set("Traceparent", parent)
	}
	if client.IsValid() {
		r.Header.Set(forwardedHeader, client.String())
	}
	return p.next.RoundTrip(r)
}

// traced returns r with a trace id: the one it has, the caller's, or a new one. The answer will carry it.
func traced(w http.ResponseWriter, r *http.Request) *http.Request {
	if TraceID(r.Context()) != "" {
		return r
	}
	id := callersTrace(r.Header)
	if id == "" {
		id = NewTraceID()
	}
	w.Header().Set(traceHeader, id)
	return r.WithContext(WithTraceID(r.Context(), id))
}

// callersTrace returns the trace id of a valid W3C traceparent header, version-traceid-parentid-flags, or nothing.
func callersTrace(header http.Header) string {
	values := header.Values("Traceparent")
	if len(values) != 1 {
		return ""
	}
	parts := strings.Split(values[0], "-")
	// A later version may add parts; version ff is forbidden.
	if len(parts) < 4 || (parts[0] == "00" && len(parts) > 4) || parts[0] == "ff" ||
		len(parts[0]) != 2 || !hexDigits(parts[0]) || !isHex(parts[1], 32) || !isHex(parts[2], 16) || len(parts[3]) != 2 {
		return ""
	}
	return parts[1]
}

// isHex reports whether s is an identifier of Trace Context: size lower-case hexadecimal digits that are not all zero.
func isHex(s string, size int) bool {
	return len(s) == size && hexDigits(s) && strings.Trim(s, "0") != ""
}

func hexDigits(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }
