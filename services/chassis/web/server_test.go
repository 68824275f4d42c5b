package web_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/chassis/web"
)

// serve starts handler and returns its URL, what stops it, and what Serve returns then.
func serve(t *testing.T, handler http.Handler) (url string, stop context.CancelFunc, stopped <-chan error) {
	t.Helper()
	return serveDraining(t, handler, web.Drain{})
}

func serveDraining(t *testing.T, handler http.Handler, drain web.Drain) (url string, stop context.CancelFunc, stopped <-chan error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	done := make(chan error, 1)
	go func() { done <- web.Serve(ctx, listener, handler, drain, discard()) }()
	return "http://" + listener.Addr().String(), cancel, done
}

type reply struct {
	body string
	err  error
}

func fetch(ctx context.Context, url string) reply {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return reply{err: err}
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return reply{err: err}
	}
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	return reply{string(body), err}
}

func TestServeDrains(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	url, stop, stopped := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-release
		if r.Context().Err() != nil {
			t.Error("the request in flight was cancelled")
		}
		_, _ = io.WriteString(w, "whole")
	}))
	answer := make(chan reply, 1)
	go func() { answer <- fetch(t.Context(), url) }()
	<-entered
	stop()
	select {
	case err := <-stopped:
		t.Fatalf("Serve returned %v while a request was in flight", err)
	case <-time.After(50 * time.Millisecond): // long enough to see that it waits
	}
	close(release)
	if got := <-answer; got.err != nil || got.body != "whole" {
		t.Errorf("got %q, %v", got.body, got.err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Serve = %v", err)
	}
}

func TestServeEndsStreams(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	engine := web.NewEngine(web.Options{Log: discard()})
	engine.GET("/", func(c *gin.Context) {
		if err := web.Stream(c.Writer); err != nil {
			t.Error(err)
		}
		close(entered)
		select {
		case <-web.Draining(c):
			c.String(http.StatusOK, "bye")
		case <-c.Done():
		}
	})
	url, stop, stopped := serve(t, web.Handler(engine))
	answer := make(chan reply, 1)
	go func() { answer <- fetch(t.Context(), url) }()
	<-entered
	stop()
	if got := <-answer; got.err != nil || got.body != "bye" {
		t.Errorf("got %q, %v", got.body, got.err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Serve = %v", err)
	}
}

func TestServeCannot(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := web.Serve(t.Context(), listener, http.NotFoundHandler(), web.Drain{}, discard()); err == nil {
		t.Error("Serve on a closed listener returned nil")
	}
}

// A server that was told to stop says so to whoever asks for its health, goes on serving new connections meanwhile, and keeps none.
func TestServeLeaves(t *testing.T) {
	t.Parallel()
	engine := web.NewEngine(web.Options{Log: discard()})
	engine.GET("/health", func(c *gin.Context) {
		if err := web.Healthy(c); err != nil {
			web.Fail(c, err)
			return
		}
		c.Status(http.StatusOK)
	})
	draining := make(chan bool, 1)
	engine.GET("/", func(c *gin.Context) {
		select {
		case <-web.Draining(c):
			draining <- true
		default:
			draining <- false
		}
	})
	url, stop, stopped := serveDraining(t, web.Handler(engine), web.Drain{Delay: 5 * time.Second}) // for the requests below, on a machine that is busy
	if status, kept := head(t, url+"/health"); status != http.StatusOK || !kept {
		t.Fatalf("before: %d, kept %t", status, kept)
	}
	stop()
	told := func() bool { status, _ := head(t, url+"/health"); return status == http.StatusServiceUnavailable }
	for !told() { // a moment: the server runs beside us
	}
	if status, kept := head(t, url+"/health"); status != http.StatusServiceUnavailable || kept {
		t.Errorf("leaving: health %d, the connection kept %t", status, kept)
	}
	if status, kept := head(t, url+"/"); status != http.StatusOK || kept || <-draining {
		t.Errorf("leaving: %d, the connection kept %t, or streams were told to end", status, kept)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Serve = %v", err)
	}
	if got := fetch(t.Context(), url); got.err == nil {
		t.Error("served after the end")
	}
}

// head returns the status of an answer and whether the server keeps the connection.
func head(t *testing.T, url string) (status int, kept bool) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode, !answer.Close
}

func TestReadyUntil(t *testing.T) {
	t.Parallel()
	running, stop := context.WithCancel(t.Context())
	ready := web.ReadyUntil(running, func(context.Context) error { return nil })
	if err := ready(t.Context()); err != nil {
		t.Errorf("before: %v", err)
	}
	stop()
	if ready(t.Context()) == nil {
		t.Error("ready after it was told to end")
	}
}

// Probes may ask with HEAD, as RFC 9110 wants it: they get the headers of the answer and no body, and the connection goes on.
func TestHeadOfHealth(t *testing.T) {
	t.Parallel()
	engine := web.NewEngine(web.Options{Log: discard()})
	engine.GET("/api/v1/health", func(c *gin.Context) { c.JSON(http.StatusOK, "well") })
	engine.GET("/things", func(c *gin.Context) { c.JSON(http.StatusOK, "more") })
	server := httptest.NewServer(web.Handler(engine))
	t.Cleanup(server.Close)
	for _, test := range []struct {
		method, path string
		status       int
		length       int64
	}{
		{http.MethodHead, "/api/v1/health", http.StatusOK, 6},
		{http.MethodGet, "/api/v1/health", http.StatusOK, 6},
		{http.MethodHead, "/things", http.StatusMethodNotAllowed, -1},
		{http.MethodPost, "/api/v1/health", http.StatusMethodNotAllowed, -1},
	} {
		r, err := http.NewRequestWithContext(t.Context(), test.method, server.URL+test.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		if err := errors.Join(err, answer.Body.Close()); err != nil {
			t.Error(err)
		}
		if answer.StatusCode != test.status || (test.length >= 0 && answer.ContentLength != test.length) || (test.method == http.MethodHead && len(body) > 0) {
			t.Errorf("%s %s: %d, length %d, %q", test.method, test.path, answer.StatusCode, answer.ContentLength, body)
		}
	}
}
