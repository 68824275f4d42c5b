package dataplane_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/dataplane"
)

func TestOnlyPagesOfTheListMayCallFromABrowser(t *testing.T) {
	t.Parallel()
	url := dbtest.SQLite(t)
	p := start(t, url, func(cfg *dataplane.Config) { cfg.CORSAllowedOrigins = []string{"https://*.example.com"} })
	p.authority.Management = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "https://ops.example.org")
		w.WriteHeader(http.StatusNoContent)
	})
	const app = "https://app.example.com"
	for _, tt := range []struct {
		method, path, origin, want string
		status                     int
	}{
		{http.MethodOptions, factsPath, app, app, http.StatusNoContent}, // without credentials
		{http.MethodOptions, "/mcp", app, app, http.StatusNoContent},
		{http.MethodOptions, factsPath, "https://app.example.org", "", http.StatusNoContent},
		{http.MethodPost, factsPath, app, app, http.StatusUnauthorized},
		{http.MethodPost, factsPath, "https://app.example.org", "", http.StatusUnauthorized},
		{http.MethodGet, "/api/v1/health", app, app, http.StatusOK},
		// The key manager has a list of its own.
		{http.MethodOptions, "/api/v1/contexts/x", app, "https://ops.example.org", http.StatusNoContent},
		{http.MethodGet, "/api/v1/verbs", app, "https://ops.example.org", http.StatusNoContent},
	} {
		got := p.call(t, "", tt.method, tt.path, "", "Origin", tt.origin, "Access-Control-Request-Method", "POST")
		if allowed := strings.Join(got.header.Values("Access-Control-Allow-Origin"), " "); allowed != tt.want || got.status != tt.status {
			t.Errorf("%s %s from %s: %d, allows %q", tt.method, tt.path, tt.origin, got.status, allowed)
		}
	}
	quiet := start(t, dbtest.SQLite(t))
	if got := quiet.call(t, "", http.MethodGet, "/api/v1/health", "", "Origin", app); got.header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("a page may call by default")
	}
}

func TestAListThatLetsEveryPageInIsRefusedAtStart(t *testing.T) {
	t.Parallel()
	p := start(t, dbtest.SQLite(t))
	cfg := config("sqlite:///nowhere", p.authority)
	cfg.CORSAllowedOrigins = []string{"https://app.example.com", "*"}
	if err := cfg.Verify(); err == nil || !strings.Contains(err.Error(), "SPECTRON_CORS_ALLOWED_ORIGINS") {
		t.Errorf("verified: %v", err)
	}
}

func TestTheAPIDocumentIsServedToEverybody(t *testing.T) {
	t.Parallel()
	p := start(t, dbtest.SQLite(t))
	var document struct {
		OpenAPI string
		Paths   map[string]any
	}
	got := p.call(t, "", http.MethodGet, "/openapi.json", "")
	if err := json.Unmarshal(got.body, &document); err != nil || document.Paths["/api/v1/{context_id}/query"] == nil {
		t.Errorf("%d %.100s: %v", got.status, got.body, err)
	}
	if got = p.call(t, "", http.MethodGet, "/docs", ""); got.status != http.StatusOK || got.header.Get("Content-Security-Policy") == "" {
		t.Errorf("%d %v", got.status, got.header)
	}
}
