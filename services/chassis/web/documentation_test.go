package web_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/spectron-hq/spectron/services/chassis/web"
)

func documented(t *testing.T, path string) *httptest.ResponseRecorder {
	t.Helper()
	engine := web.NewEngine(web.Options{Log: discard()})
	spec := &openapi3.T{OpenAPI: "3.0.3", Info: &openapi3.Info{Title: "test", Version: "1"}, Paths: openapi3.NewPaths()}
	if err := web.Documentation(engine, spec); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	web.Handler(engine).ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

func TestTheDocumentIsServedAsJSON(t *testing.T) {
	t.Parallel()
	w := documented(t, "/openapi.json")
	var got struct{ OpenAPI string }
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK || got.OpenAPI != "3.0.3" {
		t.Errorf("%d %s: %v", w.Code, w.Body, err)
	}
}

func TestThePageOfTheDocumentAsksNoOtherServer(t *testing.T) {
	t.Parallel()
	w := documented(t, "/docs")
	page := w.Body.String()
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") || strings.Contains(page, "//") {
		t.Errorf("%d %s", w.Code, page)
	}
	policy := w.Header().Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self';") || regexp.MustCompile(`https?:|\*|unsafe-eval`).MatchString(policy) {
		t.Errorf("policy %q", policy)
	}
	for _, match := range regexp.MustCompile(`(?:src|spec-url)="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		if got := documented(t, match[1]); got.Code != http.StatusOK || got.Body.Len() == 0 || got.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d", match[1], got.Code)
		}
	}
	script := documented(t, "/docs/redoc.standalone.js")
	if !strings.HasPrefix(script.Header().Get("Content-Type"), "text/javascript") || script.Body.Len() < 500_000 {
		t.Errorf("the script: %s, %d bytes", script.Header().Get("Content-Type"), script.Body.Len())
	}
	for _, path := range []string{"/docs/nothing.js", "/docs/..%2Fweb.go", "/docs/README.md"} {
		if got := documented(t, path); got.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, got.Code)
		}
	}
}
