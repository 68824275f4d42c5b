package telemetry

import (
	"context"
	"log/slog"
	"slices"

	"github.com/spectron-hq/spectron/services/chassis/tracing"
)

// traceKey is what the trace id is called in the log.
const traceKey = "trace_id"

// traceHandler adds the trace id of the context to each line that does not have it, whoever writes the line.
type traceHandler struct {
	slog.Handler
	named bool // the lines of this logger have it already
}

// Handle writes one line.
func (h traceHandler) Handle(ctx context.Context, record slog.Record) error {
	if id := tracing.ID(ctx); id != "" && !h.named {
		record = record.Clone()
		record.AddAttrs(slog.String(traceKey, id))
	}
	return h.Handler.Handle(ctx, record)
}

// WithAttrs returns a handler whose lines have attrs.
func (h traceHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	named := h.named || slices.ContainsFunc(attrs, func(attr slog.Attr) bool { return attr.Key == traceKey })
	return traceHandler{h.Handler.WithAttrs(attrs), named}
}

// WithGroup returns a handler whose lines have what follows in a group.
func (h traceHandler) WithGroup(name string) slog.Handler {
	return traceHandler{h.Handler.WithGroup(name), h.named}
}
