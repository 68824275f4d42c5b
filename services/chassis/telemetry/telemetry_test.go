package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/telemetry"
)

const secret = "hush"

func redact(text string) string { return strings.ReplaceAll(text, secret, "REDACTED") }

// holder is a value of a type the logger knows nothing about.
type holder struct{ Inner string }

func TestLoggerRedacts(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			log, err := telemetry.NewLogger(&out, "debug", format, redact)
			if err != nil {
				t.Fatal(err)
			}
			log.With("with", secret).WithGroup("group").Info("message "+secret,
				"string", secret, "error", fmt.Errorf("wrapping: %w", errors.New(secret)), "struct", holder{secret},
				"pointer", &holder{secret}, "slice", []string{secret}, "map", map[string]string{"k": secret}, "bytes", []byte("x"),
				slog.Group("inner", "string", secret), "count", 7, "took", time.Second, "nil", nil)
			if strings.Contains(out.String(), secret) {
				t.Errorf("logged a secret:\n%s", redact(out.String()))
			}
			if n := strings.Count(out.String(), "REDACTED"); n < 8 {
				t.Errorf("%d of at least 8 values arrived:\n%s", n, out.String())
			}
		})
	}
}

func TestLoggerLevelsAndFormats(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		level, format string
		want          string // the start of what an error and a debug line look like; empty: refused
	}{
		"json by default": {"error", "", `{"time":`},
		"text":            {"error", "text", "time="},
		"bad level":       {"loud", "json", ""},
		"no level":        {"", "json", ""},
		"bad format":      {"info", "xml", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			log, err := telemetry.NewLogger(&out, test.level, test.format, redact)
			if test.want == "" {
				if err == nil {
					t.Error("accepted")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			log.Warn("too low")
			log.Error("high enough")
			if !strings.HasPrefix(out.String(), test.want) || strings.Count(out.String(), "\n") != 1 {
				t.Errorf("logged %q", out.String())
			}
		})
	}
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	failure := errors.New("the private reason")
	broken := func(context.Context) error { return failure }
	sound := func(context.Context) error { return nil }
	tests := map[string]struct {
		ready  func(context.Context) error
		path   string
		status int
		body   string // a part of it
	}{
		"alive":     {broken, "/livez", http.StatusOK, "alive"},
		"ready":     {sound, "/readyz", http.StatusOK, "ready"},
		"not ready": {broken, "/readyz", http.StatusServiceUnavailable, "not ready"},
		"version":   {sound, "/metrics", http.StatusOK, `program_build_info{version="v1"} 1`},
		"metrics":   {sound, "/metrics", http.StatusOK, "go_goroutines"},
		"pprof":     {sound, "/debug/pprof/", http.StatusOK, "goroutine"},
		"nothing":   {sound, "/", http.StatusNotFound, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			telemetry.Admin(telemetry.NewRegistry("program", "v1"), test.ready).ServeHTTP(w, httptest.NewRequest(http.MethodGet, test.path, nil))
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.body) || strings.Contains(w.Body.String(), "private") {
				t.Errorf("answer %d:\n%.200s", w.Code, w.Body)
			}
		})
	}
}
