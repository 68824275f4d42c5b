package dataplane_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane"
	"github.com/spectron-hq/spectron/services/dataplane/internal/authoritytest"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

// plane is a whole data plane on a real database, behind a real HTTP server, with a small key manager behind it.
type plane struct {
	authority *authoritytest.Authority
	service   *dataplane.Service
	server    *httptest.Server
	log       *logBuffer
}

// logBuffer collects a log that many goroutines write.
type logBuffer struct {
	mu   sync.Mutex // guards the following field
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func config(url string, authority *authoritytest.Authority) dataplane.Config {
	return dataplane.Config{
		Version:          "test",
		ConnectionString: settings.Secret(url),
		ManagementURL:    "http://keymanager.invalid:9091",
		ServiceSecret:    settings.Secret(strings.Repeat("s", 32)),
		Authority:        authority,
		Log:              slog.New(slog.DiscardHandler),
	}
}

func migrate(t *testing.T, url string) {
	t.Helper()
	db, err := database.Open(t.Context(), url, "data")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	m, err := dataplane.Migrations(db.Engine)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := database.Migrate(t.Context(), db, m); err != nil {
		t.Fatal(err)
	}
}

func start(t *testing.T, url string, change ...func(*dataplane.Config)) *plane {
	t.Helper()
	migrate(t, url)
	p := &plane{authority: authoritytest.New(), log: &logBuffer{}}
	cfg := config(url, p.authority)
	cfg.Log = slog.New(slog.NewJSONHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	for _, each := range change {
		each(&cfg)
	}
	var err error
	if p.service, err = dataplane.Open(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	p.server = httptest.NewServer(p.service.Handler())
	t.Cleanup(func() {
		p.server.Close()
		if err := p.service.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return p
}

// admin returns a key of the context acme that may do everything in it.
func (p *plane) admin(t *testing.T) string {
	t.Helper()
	return p.authority.Key(t, "acme", "acme-1", "admin", grant.All())
}

// agent returns a key of the context acme with every verb over the patterns.
func (p *plane) agent(t *testing.T, name string, patterns ...string) string {
	t.Helper()
	return p.authority.Key(t, "acme", "acme-1", name, over(t, patterns...))
}

func over(t *testing.T, patterns ...string) grant.Map {
	t.Helper()
	m := grant.Map{}
	for _, text := range patterns {
		pattern, err := scope.ParsePattern(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, verb := range grant.Verbs() {
			m[verb] = append(m[verb], pattern)
		}
	}
	return m.Normal()
}

// answer is what a request got.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// call sends body, a JSON text or nothing, with the key, or without one. Headers come in pairs.
func (p *plane) call(t *testing.T, key, method, path, body string, headers ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, p.server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := p.server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	out := answer{status: res.StatusCode, header: res.Header}
	if out.body, err = io.ReadAll(res.Body); err != nil {
		t.Fatal(err)
	}
	return out
}

// ok is call for what must succeed; the answer is decoded into out.
func (p *plane) ok(t *testing.T, out any, key, method, path, body string, headers ...string) answer {
	t.Helper()
	got := p.call(t, key, method, path, body, headers...)
	if got.status/100 != 2 {
		t.Fatalf("%s %s: %d %s", method, path, got.status, got.body)
	}
	if err := json.Unmarshal(got.body, out); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return got
}

func (a answer) problem(t *testing.T) fault.Problem {
	t.Helper()
	var problem fault.Problem
	if err := json.Unmarshal(a.body, &problem); err != nil {
		t.Fatalf("%d is no problem: %s", a.status, a.body)
	}
	if a.header.Get("Content-Type") != fault.ContentType || problem.Status != a.status || problem.Message != problem.Detail {
		t.Errorf("a malformed problem: %s %s", a.header.Get("Content-Type"), a.body)
	}
	return problem
}

// facts and query are the answers of those routes.
type facts struct {
	Mode, SessionID, TurnID, ChunkID string
	Preview                          bool
	Extraction                       map[string]any
}

type found struct {
	Tier, ClassificationKind string
	Hits                     []struct {
		ID, Text, Source string
		Score            float64
		OccurredAt       string
	}
	QueryMs      *int64
	SeedEntities []any
	Trace        struct {
		TraceID, ResolutionTier, TierReason string
		LatencyMs                           *int64
		RetrievedCount                      int
		TopScores                           []float64
	}
}

func (f found) texts() []string {
	out := []string{}
	for _, hit := range f.Hits {
		out = append(out, hit.Text)
	}
	return out
}

// remember stores body, which is POST /facts' request, in acme.
func (p *plane) remember(t *testing.T, key, body string, headers ...string) (out facts) {
	t.Helper()
	p.ok(t, &out, key, http.MethodPost, "/api/v1/acme/facts", body, headers...)
	return out
}

// recall asks acme.
func (p *plane) recall(t *testing.T, key, body string) (out found) {
	t.Helper()
	p.ok(t, &out, key, http.MethodPost, "/api/v1/acme/query", body)
	return out
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func decode(t *testing.T, text string, out any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), out); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}
