// Package tracing follows a request: a trace id that names it in answers, logs and spans, and spans, in OpenTelemetry's
// terms, of what it takes part in. Spans are made only where the request has one that is recorded, so a process that traces
// nothing pays a look into a context. It promises that no span holds more than what its maker says of it: no header, body,
// path, query string or parameter of a statement is taken from anywhere.
package tracing

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

// scope names the code that makes spans.
const scope = "github.com/spectron-hq/spectron/services/chassis/tracing"

type idKey struct{}

// identity is what a context knows of its trace beside spans.
type identity struct {
	id    string
	flags string // of the caller's traceparent, or empty
}

// ID returns the trace id in ctx: 32 hexadecimal digits, or nothing outside a request.
func ID(ctx context.Context) string {
	known, _ := ctx.Value(idKey{}).(identity)
	return known.id
}

// WithID returns a context in which id is the trace id. An id that is not one of W3C Trace Context is left out.
func WithID(ctx context.Context, id string) context.Context { return withIdentity(ctx, id, "") }

func withIdentity(ctx context.Context, id, flags string) context.Context {
	if !isHex(id, 32) {
		return ctx
	}
	return context.WithValue(ctx, idKey{}, identity{id, flags})
}

// NewID returns a random trace id. It is a name, not a secret.
func NewID() string {
	return fmt.Sprintf("%016x%016x", rand.Uint64()|1, rand.Uint64()) //nolint:gosec // see above; never all zero
}

// isHex reports whether s is an identifier of Trace Context: size lower-case hexadecimal digits that are not all zero.
func isHex(s string, size int) bool {
	return len(s) == size && hexDigits(s) && strings.Trim(s, "0") != ""
}

func hexDigits(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

// Begin begins a span within the one in ctx, if that is recorded, and returns the function that ends it, with what went wrong or
// nil, and with what there is to say. That must hold nothing secret.
func Begin(ctx context.Context, name string) (context.Context, func(error, ...attribute.KeyValue)) {
	if !Recorded(ctx) {
		return ctx, endNothing
	}
	return begin(ctx, name)
}

func begin(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, func(error, ...attribute.KeyValue)) {
	ctx, span := trace.SpanFromContext(ctx).TracerProvider().Tracer(scope).Start(ctx, name, options...)
	return ctx, func(err error, more ...attribute.KeyValue) {
		span.SetAttributes(more...)
		fail(span, err)
		span.End()
	}
}

func endNothing(error, ...attribute.KeyValue) {}

// fail says what kind of error ended a span. Its text stays in the log: it may quote what nobody else is to see.
func fail(span trace.Span, err error) {
	if err == nil {
		return
	}
	kind := fault.KindOf(err).String()
	span.SetAttributes(attribute.String("error.type", kind))
	span.SetStatus(codes.Error, kind)
}

// Recorded reports whether the request in ctx has a span that is recorded: whether it is worth finding out what to say in one.
func Recorded(ctx context.Context) bool { return trace.SpanFromContext(ctx).IsRecording() }

// Untraced returns ctx without its span, for work that goes on for others when the request is over.
func Untraced(ctx context.Context) context.Context { return trace.ContextWithSpan(ctx, nil) }
