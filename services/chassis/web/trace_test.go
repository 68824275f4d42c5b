package web_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/chassis/tracing"
	"github.com/spectron-hq/spectron/services/chassis/web"
)

func TestTrace(t *testing.T) {
	t.Parallel()
	const id = "0af7651916cd43dd8448eb211c80319c"
	tests := map[string]struct {
		header string
		taken  bool
	}{
		"valid":         {"00-" + id + "-b7ad6b7169203331-01", true},
		"later version": {"cc-" + id + "-b7ad6b7169203331-01-more", true},
		"none":          {"", false},
		"upper case":    {"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", false},
		"zero trace":    {"00-00000000000000000000000000000000-b7ad6b7169203331-01", false},
		"zero parent":   {"00-" + id + "-0000000000000000-01", false},
		"version ff":    {"ff-" + id + "-b7ad6b7169203331-01", false},
		"more parts":    {"00-" + id + "-b7ad6b7169203331-01-more", false},
		"too short":     {"00-" + id[1:] + "-b7ad6b7169203331-01", false},
		"no hex":        {"00-zzf7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false},
		"injection":     {"00-" + id + "\nx-b7ad6b7169203331-01", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var seen string
			w, _ := get(t, func(c *gin.Context) { seen = web.TraceID(c) }, func(r *http.Request) {
				r.Header.Set("Traceparent", test.header)
			})
			if (seen == id) != test.taken {
				t.Errorf("trace id %q from %q", seen, test.header)
			}
			if answered := w.Header().Get("X-Trace-Id"); answered != seen || !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(seen) {
				t.Errorf("answered %q, the handler saw %q", answered, seen)
			}
		})
	}
}

func TestPropagate(t *testing.T) {
	t.Parallel()
	var seen string
	far := web.NewEngine(web.Options{Log: discard()})
	far.GET("/", func(c *gin.Context) { seen = web.TraceID(c.Request.Context()) })
	server := httptest.NewServer(web.Handler(far))
	t.Cleanup(server.Close)

	id := tracing.NewID()
	r, err := http.NewRequestWithContext(tracing.WithID(t.Context(), id), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: web.Propagate(http.DefaultTransport)}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if seen != id {
		t.Errorf("the other side saw %q, want %q", seen, id)
	}
	if r.Header.Get("Traceparent") != "" {
		t.Error("the caller's request was changed")
	}
}
