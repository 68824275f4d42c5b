package node_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/spectron-hq/spectron/services/spectrond/internal/node"
)

func request(ctx context.Context, t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestHandlerSeesWhatAServerWouldShowIt(t *testing.T) {
	t.Parallel()
	type key struct{}
	var seen *http.Request
	var got []byte
	transport := node.NewTransport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r
		got, _ = io.ReadAll(r.Body)
		r.Header.Set("X-Changed", "yes")
		w.Header().Set("X-Answer", "42")
		w.WriteHeader(http.StatusTeapot)
		w.Header().Set("X-Late", "dropped")
		_, _ = io.WriteString(w, "short and stout")
	}))
	r := request(context.WithValue(t.Context(), key{}, "secret"), t, http.MethodPost, "http://authority/a%2Fb?q=1", strings.NewReader("ask"))
	resp, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	transport.Wait()

	if resp.StatusCode != http.StatusTeapot || string(text) != "short and stout" {
		t.Errorf("answer: %d %q", resp.StatusCode, text)
	}
	if resp.Header.Get("X-Answer") != "42" || resp.Header.Get("X-Late") != "" {
		t.Errorf("answer's header: %v", resp.Header)
	}
	if string(got) != "ask" || seen.ContentLength != 3 {
		t.Errorf("request: body %q, length %d", got, seen.ContentLength)
	}
	if seen.RequestURI != "/a%2Fb?q=1" || seen.URL.Host != "" || seen.URL.EscapedPath() != "/a%2Fb" || seen.Host != "authority" {
		t.Errorf("request: uri %q, url %v, host %q", seen.RequestURI, seen.URL, seen.Host)
	}
	if seen.Context().Value(key{}) != nil {
		t.Error("the caller's context values crossed over")
	}
	if r.Header.Get("X-Changed") != "" {
		t.Error("the handler changed the caller's header")
	}
}

func TestAnswersStream(t *testing.T) {
	t.Parallel()
	more := make(chan struct{})
	transport := node.NewTransport(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "first")
		<-more
		_, _ = io.WriteString(w, " second")
	}))
	resp, err := transport.RoundTrip(request(t.Context(), t, http.MethodGet, "http://authority/", http.NoBody))
	if err != nil {
		t.Fatal(err)
	}
	first := make([]byte, len("first"))
	if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "first" {
		t.Fatalf("got %q, %v before the handler was done", first, err)
	}
	close(more)
	rest, err := io.ReadAll(resp.Body)
	if err != nil || string(rest) != " second" {
		t.Errorf("got %q, %v", rest, err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	transport.Wait()
}

func TestAnswersWithoutABody(t *testing.T) {
	t.Parallel()
	transport := node.NewTransport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/none" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if r.URL.Path == "/implicit" {
			return
		}
		w.Header().Set("Content-Length", "5")
		_, _ = io.WriteString(w, "hello")
	}))
	tests := []struct {
		method, path string
		status       int
		length       int64
	}{
		{http.MethodHead, "/", http.StatusOK, 5},
		{http.MethodDelete, "/none", http.StatusNoContent, -1},
		{http.MethodGet, "/implicit", http.StatusOK, -1},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			t.Parallel()
			resp, err := transport.RoundTrip(request(t.Context(), t, tt.method, "http://authority"+tt.path, http.NoBody))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = resp.Body.Close() })
			text, err := io.ReadAll(resp.Body)
			if err != nil || len(text) != 0 || resp.StatusCode != tt.status || resp.ContentLength != tt.length {
				t.Errorf("got %d, length %d, body %q, %v", resp.StatusCode, resp.ContentLength, text, err)
			}
		})
	}
}

func TestEndingTheCallersContextEndsTheHandler(t *testing.T) {
	t.Parallel()
	for _, begun := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		waiting := make(chan struct{})
		transport := node.NewTransport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if begun {
				w.WriteHeader(http.StatusOK)
			} else {
				close(waiting)
			}
			<-r.Context().Done()
		}))
		if !begun {
			go func() { <-waiting; cancel() }()
		}
		resp, err := transport.RoundTrip(request(ctx, t, http.MethodGet, "http://authority/", http.NoBody))
		if begun {
			if err != nil {
				t.Fatal(err)
			}
			cancel()
			_, err = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("begun %t: got %v, want context.Canceled", begun, err)
		}
		transport.Wait()
		cancel()
	}
}

func TestClosingTheBodyEndsTheHandler(t *testing.T) {
	t.Parallel()
	failed := make(chan error, 1)
	transport := node.NewTransport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		<-r.Context().Done()
		_, err := io.WriteString(w, "too late")
		failed <- err
	}))
	resp, err := transport.RoundTrip(request(t.Context(), t, http.MethodGet, "http://authority/", http.NoBody))
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err == nil {
		t.Error("a write to nobody succeeded")
	}
	transport.Wait()
}

func TestAPanicLooksLikeADroppedConnection(t *testing.T) {
	t.Parallel()
	for _, begun := range []bool{false, true} {
		transport := node.NewTransport(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if begun {
				_, _ = io.WriteString(w, "half")
			}
			panic(http.ErrAbortHandler)
		}))
		resp, err := transport.RoundTrip(request(t.Context(), t, http.MethodGet, "http://authority/", http.NoBody))
		if begun {
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
		}
		if err == nil {
			t.Errorf("begun %t: no error", begun)
		}
		transport.Wait()
	}
}

func TestACanceledRequestIsNotStarted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	transport := node.NewTransport(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("called") }))
	resp, err := transport.RoundTrip(request(ctx, t, http.MethodGet, "http://authority/", http.NoBody))
	if !errors.Is(err, context.Canceled) {
		_ = resp.Body.Close()
		t.Errorf("got %v", err)
	}
}
