package telemetry

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"
)

// NewLogger returns a logger that writes to w. level is debug, info, warn or error; format is text, json, or nothing for
// text on a terminal and json elsewhere. Every message and every value passes redact before it is written. A line that is written
// with the context of a request has its trace id.
func NewLogger(w io.Writer, level, format string, redact func(string) string) (*slog.Logger, error) {
	var least slog.Level
	switch level {
	case "debug":
		least = slog.LevelDebug
	case "info":
		least = slog.LevelInfo
	case "warn":
		least = slog.LevelWarn
	case "error":
		least = slog.LevelError
	default:
		return nil, fmt.Errorf("log level %q: want debug, info, warn or error", level)
	}
	options := &slog.HandlerOptions{Level: least, ReplaceAttr: replacer(redact)}
	switch {
	case format == "text", format == "" && isTerminal(w):
		return slog.New(traceHandler{Handler: slog.NewTextHandler(w, options)}), nil
	case format == "json", format == "":
		return slog.New(traceHandler{Handler: slog.NewJSONHandler(w, options)}), nil
	default:
		return nil, fmt.Errorf("log format %q: want text or json", format)
	}
}

// replacer redacts whatever could hold text. Values of unknown types are written as text, too, so that none is missed.
func replacer(redact func(string) string) func([]string, slog.Attr) slog.Attr {
	return func(_ []string, attr slog.Attr) slog.Attr {
		switch attr.Value.Kind() {
		case slog.KindString:
			attr.Value = slog.StringValue(redact(attr.Value.String()))
		case slog.KindAny:
			switch value := attr.Value.Any().(type) {
			case slog.Level, nil:
			case error:
				attr.Value = slog.StringValue(redact(value.Error()))
			default:
				attr.Value = slog.StringValue(redact(fmt.Sprint(value)))
			}
		case slog.KindBool, slog.KindDuration, slog.KindFloat64, slog.KindInt64, slog.KindTime, slog.KindUint64,
			slog.KindGroup, slog.KindLogValuer: // numbers; the last two never come here unresolved
		}
		return attr
	}
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
