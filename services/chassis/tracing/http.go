package tracing

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// traceparent is the header by which one side tells the other which trace a request belongs to.
const traceparent = "Traceparent"

// w3c reads and writes that header, and the one beside it.
var w3c propagation.TraceContext

// Adopt returns a context whose trace id is the caller's, from a valid W3C traceparent header, or else a new one.
func Adopt(ctx context.Context, header http.Header) context.Context {
	if id, flags, ok := parent(header); ok {
		return withIdentity(ctx, id, flags)
	}
	return WithID(ctx, NewID())
}

// parent reads a traceparent header: version-traceid-parentid-flags.
func parent(header http.Header) (id, flags string, ok bool) {
	values := header.Values(traceparent)
	if len(values) != 1 {
		return "", "", false
	}
	parts := strings.Split(values[0], "-")
	// A later version may add parts; version ff is forbidden.
	if len(parts) < 4 || (parts[0] == "00" && len(parts) > 4) || parts[0] == "ff" ||
		len(parts[0]) != 2 || !hexDigits(parts[0]) || !isHex(parts[1], 32) || !isHex(parts[2], 16) || len(parts[3]) != 2 {
		return "", "", false
	}
	return parts[1], parts[3], true
}

// Serving begins the span of a request that has been adopted, as the child of what its caller has told. It returns the function
// that ends it, to be called with the route and the status. Where the caller says nothing, quiet requests get none: whoever
// probes all the time would drown the rest.
func Serving(ctx context.Context, provider trace.TracerProvider, method string, header http.Header, quiet bool) (
	context.Context, func(route string, status int),
) {
	remote := trace.SpanContextFromContext(w3c.Extract(context.Background(), propagation.HeaderCarrier(header)))
	known := remote.IsValid() && remote.TraceID().String() == ID(ctx)
	switch {
	case known:
		ctx = trace.ContextWithRemoteSpanContext(ctx, remote)
	case quiet:
		return ctx, func(string, int) {}
	}
	ctx, span := provider.Tracer(scope).Start(ctx, method, trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("http.request.method", method)))
	return ctx, func(route string, status int) {
		span.SetName(method + " " + route)
		span.SetAttributes(attribute.String("http.route", route), attribute.Int("http.response.status_code", status))
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, http.StatusText(status))
		}
		span.End()
	}
}

// Propagate returns a round tripper that tells the other side the trace of a request, so that one id names what happened on
// both, and makes a span of the call where the request has one.
func Propagate(next http.RoundTripper) http.RoundTripper { return propagator{next} }

type propagator struct{ next http.RoundTripper }

// RoundTrip sends a copy of r with the header traceparent. The span of the call ends with the answer's body.
func (p propagator) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, end := r.Context(), endNothing
	if Recorded(ctx) {
		ctx, end = begin(ctx, r.Method, trace.WithSpanKind(trace.SpanKindClient), trace.WithLinks(linksOf(ctx)...),
			trace.WithAttributes(attribute.String("http.request.method", r.Method), attribute.String("server.address", r.URL.Hostname())))
	}
	if known, ok := ctx.Value(idKey{}).(identity); ok {
		r = r.Clone(ctx)
		if span := trace.SpanContextFromContext(ctx); span.IsValid() && span.TraceID().String() == known.id {
			w3c.Inject(ctx, propagation.HeaderCarrier(r.Header))
		} else {
			r.Header.Set(traceparent, known.parent())
		}
	}
	answer, err := p.next.RoundTrip(r)
	if err != nil {
		end(err)
		return nil, err
	}
	if !Recorded(r.Context()) || answer.StatusCode == http.StatusSwitchingProtocols {
		end(nil)
		return answer, nil
	}
	status := attribute.Int("http.response.status_code", answer.StatusCode)
	answer.Body = &body{ReadCloser: answer.Body, end: sync.OnceFunc(func() { end(nil, status) })}
	return answer, nil
}

// parent writes the header of a request that has no span.
func (i identity) parent() string {
	flags := i.flags
	if flags == "" {
		flags = "01" // whoever is asked decides
	}
	return fmt.Sprintf("00-%s-%016x-%s", i.id, rand.Uint64()|1, flags) //nolint:gosec // a name, not a secret
}

// body ends a span when it has been read or closed.
type body struct {
	io.ReadCloser
	end func()
}

// Read reads from the answer.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.end()
	}
	return n, err
}

// Close closes the answer.
func (b *body) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}

type linksKey struct{}

func linksOf(ctx context.Context) []trace.Link {
	links, _ := ctx.Value(linksKey{}).([]trace.Link)
	return links
}

// Carry returns a context for work that is done once for several requests and outlives each of them: it ends with lifetime. The
// work belongs to the trace of the first request that is recorded, or else of the first, and links to the others.
func Carry(lifetime context.Context, requests []context.Context) context.Context {
	if len(requests) == 0 {
		return lifetime
	}
	first, others := requests[max(0, slices.IndexFunc(requests, Recorded))], make([]trace.Link, 0, len(requests))
	for _, request := range requests {
		if span := trace.SpanContextFromContext(request); span.IsSampled() && request != first {
			others = append(others, trace.Link{SpanContext: span})
		}
	}
	known, _ := first.Value(idKey{}).(identity)
	ctx := withIdentity(lifetime, known.id, known.flags)
	if Recorded(first) {
		ctx = trace.ContextWithSpan(ctx, trace.SpanFromContext(first))
	}
	if len(others) > 0 {
		ctx = context.WithValue(ctx, linksKey{}, others)
	}
	return ctx
}
