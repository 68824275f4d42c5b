package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/fault"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// get serves one GET request to a route whose handler fails with err, and returns the answer and what was logged.
func get(t *testing.T, handler gin.HandlerFunc, edit func(*http.Request)) (*httptest.ResponseRecorder, string) {
	t.Helper()
	var log bytes.Buffer
	engine := web.NewEngine(web.Options{Name: "vault", Log: slog.New(slog.NewJSONHandler(&log, nil))})
	engine.GET("/things/:id", handler)
	r := httptest.NewRequest(http.MethodGet, "/things/a%2Fb+c%20d?secret=in-query", nil)
	r.Header.Set("Authorization", "Bearer in-header")
	if edit != nil {
		edit(r)
	}
	w := httptest.NewRecorder()
	web.Handler(engine).ServeHTTP(w, r)
	return w, log.String()
}

func TestFail(t *testing.T) {
	t.Parallel()
	cause := errors.New("private cause")
	tests := map[string]struct {
		err    error
		status int
		detail string
		header map[string]string
		logged bool
	}{
		"public":     {fault.New(fault.Conflict, "taken").Because(cause), 409, "taken", nil, false},
		"wrapped":    {fmt.Errorf("doing: %w", fault.InvalidField("name", "is odd")), 400, "name: is odd", nil, false},
		"unknown":    {cause, 500, "", nil, true},
		"credential": {fault.New(fault.Unauthenticated, "no"), 401, "no", map[string]string{"WWW-Authenticate": `Bearer realm="vault"`}, false},
		"forbidden":  {fault.New(fault.Forbidden, "no"), 403, "no", map[string]string{"WWW-Authenticate": ""}, false},
		"lacking": {&fault.Error{Kind: fault.Forbidden, Message: "no", RequiredScope: "a:b"}, 403, "no", map[string]string{
			"WWW-Authenticate": `Bearer realm="vault", error="insufficient_scope", scope="a:b"`,
		}, false},
		"unavailable":   {fault.New(fault.Unavailable, "later"), 503, "later", map[string]string{"Retry-After": "1"}, false},
		"rate":          {&fault.Error{Kind: fault.RateLimited, Message: "slow down", RetryAfter: 1500 * time.Millisecond}, 429, "slow down", map[string]string{"Retry-After": "2"}, false},
		"deadline":      {fmt.Errorf("asking: %w", context.DeadlineExceeded), 503, "the request took too long; try again", map[string]string{"Retry-After": "1"}, false},
		"body too long": {&http.MaxBytesError{Limit: 7}, 413, "the body may have at most 7 bytes", nil, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, log := get(t, func(c *gin.Context) { web.Fail(c, test.err) }, nil)
			var problem fault.Problem
			if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil {
				t.Fatal(err)
			}
			if w.Code != test.status || (test.detail != "" && problem.Detail != test.detail) {
				t.Errorf("got %d %q, want %d %q", w.Code, problem.Detail, test.status, test.detail)
			}
			if problem.Instance != "/things/a%2Fb+c%20d" {
				t.Errorf("instance %q", problem.Instance)
			}
			for name, want := range test.header {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if strings.Contains(w.Body.String(), "private") {
				t.Error("the answer tells the private cause")
			}
			if logged := strings.Contains(log, "private cause"); logged != test.logged {
				t.Errorf("cause logged: %v, want %v", logged, test.logged)
			}
			if test.logged && !strings.Contains(problem.Detail, w.Header().Get("X-Trace-Id")) {
				t.Errorf("detail %q does not lead to the log", problem.Detail)
			}
		})
	}
}

func TestFailClientGone(t *testing.T) {
	t.Parallel()
	w, log := get(t, func(c *gin.Context) { web.Fail(c, fmt.Errorf("reading: %w", c.Request.Context().Err())) },
		func(r *http.Request) {
			ctx, cancel := context.WithCancel(r.Context())
			cancel()
			*r = *r.WithContext(ctx)
		})
	if w.Body.Len() > 0 || strings.Contains(log, `"level":"ERROR"`) {
		t.Errorf("answered %q, logged %s", w.Body, log)
	}
}

func TestPanic(t *testing.T) {
	t.Parallel()
	w, log := get(t, func(*gin.Context) { panic("oh dear") }, nil)
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "dear") {
		t.Errorf("answer %d %s", w.Code, w.Body)
	}
	if !strings.Contains(log, "panic: oh dear") || !strings.Contains(log, "web_test.go") {
		t.Errorf("the log does not tell what panicked and where:\n%s", log)
	}
}

// A handler that fails after it began to answer cannot take its answer back.
func TestFailTooLate(t *testing.T) {
	t.Parallel()
	w, log := get(t, func(c *gin.Context) {
		c.String(http.StatusOK, "begun")
		web.Fail(c, errors.New("then broke"))
	}, nil)
	if w.Code != http.StatusOK || w.Body.String() != "begun" {
		t.Errorf("answer %d %q", w.Code, w.Body)
	}
	if !strings.Contains(log, "then broke") {
		t.Error("not logged")
	}
}

func TestAccessLog(t *testing.T) {
	t.Parallel()
	var param string
	w, log := get(t, func(c *gin.Context) {
		param = c.Param("id")
		c.String(http.StatusOK, "hello")
	}, nil)
	if want := "a/b+c d"; param != want {
		t.Errorf("parameter %q, want %q", param, want)
	}
	var line struct {
		Msg, Level, Method, Route, Remote string
		TraceID                           string `json:"trace_id"`
		Status, Bytes                     int
		DurationMS                        *float64 `json:"duration_ms"`
	}
	if err := json.Unmarshal([]byte(log), &line); err != nil {
		t.Fatalf("want one line, got %q: %v", log, err)
	}
	if line.Msg != "request" || line.Level != "INFO" || line.Method != http.MethodGet || line.Route != "/things/:id" ||
		line.Remote != "192.0.2.1" || line.TraceID != w.Header().Get("X-Trace-Id") || line.Status != 200 ||
		line.Bytes != 5 || line.DurationMS == nil {
		t.Errorf("logged %s", log)
	}
	for _, private := range []string{"in-query", "in-header", "a%2Fb"} {
		if strings.Contains(log, private) {
			t.Errorf("the log holds %q", private)
		}
	}
}

// Services that ask each other all the time are not in the log, not even when one only learns that there is nothing yet; a refusal is.
func TestAccessLogOfServices(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		method string
		answer error
		logged bool
	}{
		"done":      {http.MethodGet, nil, false},
		"too early": {http.MethodGet, fault.New(fault.Conflict, "not yet"), false},
		"not there": {http.MethodGet, fault.New(fault.NotFound, "none"), false},
		"refused":   {http.MethodGet, fault.New(fault.Forbidden, "no"), true},
		"too late":  {http.MethodPost, fault.New(fault.AlreadyDone, "done before"), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			engine := web.NewEngine(web.Options{Log: slog.New(slog.NewJSONHandler(&log, nil))})
			engine.Handle(test.method, "/internal/things", func(c *gin.Context) {
				if test.answer != nil {
					web.Fail(c, test.answer)
				}
			})
			web.Handler(engine).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(test.method, "/internal/things", nil))
			if logged := log.Len() > 0; logged != test.logged {
				t.Errorf("logged: %v, want %v", logged, test.logged)
			}
		})
	}
}

func TestAccessLogUnmatched(t *testing.T) {
	t.Parallel()
	w, log := get(t, func(*gin.Context) {}, func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/oops-a-secret", "" })
	if w.Code != http.StatusNotFound || !strings.Contains(log, `"route":"unmatched"`) || strings.Contains(log, "oops") {
		t.Errorf("answer %d, logged %s", w.Code, log)
	}
}

func TestURLLimit(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/"+strings.Repeat("a", 9000), nil)
	status, _, message := answerTo(t, web.Handler(web.NewEngine(web.Options{Log: discard()})), r)
	if status != http.StatusRequestEntityTooLarge || message != "the URL may have at most 8192 bytes" {
		t.Errorf("answer %d %q", status, message)
	}
}

func TestBodyLimitWithoutLength(t *testing.T) {
	t.Parallel()
	engine := web.NewEngine(web.Options{BodyLimit: 10, Log: discard()})
	engine.POST("/", func(c *gin.Context) {
		if _, err := io.ReadAll(c.Request.Body); err != nil {
			web.Fail(c, err)
		}
	})
	r := httptest.NewRequest(http.MethodPost, "/", io.MultiReader(strings.NewReader("more than ten bytes")))
	r.ContentLength = -1
	if status, _, message := answerTo(t, web.Handler(engine), r); status != http.StatusRequestEntityTooLarge {
		t.Errorf("answer %d %q", status, message)
	}
}

func TestRefuseParameter(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]int{http.StatusBadRequest: http.StatusBadRequest, http.StatusInternalServerError: http.StatusInternalServerError} {
		w, _ := get(t, func(c *gin.Context) { web.RefuseParameter(c, errors.New("private"), status) }, nil)
		if w.Code != want || strings.Contains(w.Body.String(), "private") {
			t.Errorf("status %d was answered %d %s", status, w.Code, w.Body)
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	for range 2 { // two servers of one name share their metrics
		engine := web.NewEngine(web.Options{Name: "vault", Log: discard(), Metrics: registry})
		engine.GET("/things/:id", func(c *gin.Context) { c.Status(http.StatusNoContent) })
		web.Handler(engine).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/things/1", nil))
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var count uint64
	for _, family := range families {
		if family.GetName() != "http_request_duration_seconds" {
			continue
		}
		for _, metric := range family.GetMetric() {
			labels := map[string]string{}
			for _, label := range metric.GetLabel() {
				labels[label.GetName()] = label.GetValue()
			}
			if labels["route"] != "/things/:id" || labels["method"] != "GET" || labels["status"] != "204" || labels["server"] != "vault" {
				t.Errorf("labels %v", labels)
			}
			count += metric.GetHistogram().GetSampleCount()
		}
	}
	if count != 2 {
		t.Errorf("%d requests counted, want 2", count)
	}
}
