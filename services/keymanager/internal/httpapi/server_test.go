package httpapi_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/spectron-hq/spectron/migrations"
	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/chassis/telemetry"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
	"github.com/spectron-hq/spectron/services/keymanager/internal/deployment"
	"github.com/spectron-hq/spectron/services/keymanager/internal/errand"
	"github.com/spectron-hq/spectron/services/keymanager/internal/hook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/httpapi"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
	"github.com/spectron-hq/spectron/services/keymanager/internal/serviceaccount"
	"github.com/spectron-hq/spectron/services/keymanager/internal/store"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

const (
	pepper        = "a pepper for tests that is long enough"
	serviceSecret = "a service secret that is long enough"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

// server is a key manager on an empty database.
type server struct {
	handler http.Handler
	parts   httpapi.Parts
	records *store.Store
	barrier *revision.Barrier
	db      *database.DB
	log     *lockedBuffer
	sealer  *audit.Sealer
	// management and first are the keys of the bootstrap, empty before one.
	management, first string
}

const (
	// lease is the length of leases. Verifiers of these tests come and go in a moment.
	lease = 2 * time.Second
	// pause is how long something is given to happen that must not.
	pause = 100 * time.Millisecond
)

// empty returns a server that has not been bootstrapped.
func empty(t *testing.T, url string) *server {
	t.Helper()
	return opened(t, url, false)
}

// opened returns a server that has not been bootstrapped. open turns authentication off.
func opened(t *testing.T, url string, open bool) *server {
	t.Helper()
	db, err := database.Open(t.Context(), url, "control")
	must(t, err)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	files, err := migrations.Control(db.Engine.String())
	must(t, err)
	_, err = database.Migrate(t.Context(), db, database.Migrations{FS: files, Schema: "control", Table: "control_migrations"})
	must(t, err)
	ring, err := secret.ParseKeyring(pepper)
	must(t, err)
	services, err := secret.NewServiceTokens([]byte(serviceSecret), time.Now)
	must(t, err)
	s := &server{db: db, log: &lockedBuffer{}}
	log, err := telemetry.NewLogger(s.log, "debug", "json", apikey.Redact)
	must(t, err)
	records := store.New(db, time.Now)
	feed := revision.NewFeed(records)
	barrier := revision.NewBarrier(records, lease, time.Now, feed, func(revision.Propagation) {})
	s.records, s.barrier = records, barrier
	s.parts = httpapi.Parts{
		Contexts: tenant.NewRegistry(records, barrier, time.Now), Purges: tenant.NewPurger(records),
		Jobs:       tenant.NewJobs(records),
		Principals: principal.NewRegistry(records, barrier),
		Keys:       key.NewRegistry(records, ring, barrier), Imports: key.NewImporter(records, ring, barrier), Judge: key.NewJudge(records, ring), Uses: key.NewUses(records),
		Leaks: key.NewLeaks(records, ring, barrier), Hooks: hook.NewRegistry(records, ring, hook.NewGuard(nil)),
		Leases: revision.NewLeases(records, lease, barrier), Feed: feed,
		Errands: errand.NewDesk(records, ring, barrier, open), Accounts: serviceaccount.NewFounder(records, ring, barrier, open), Founder: deployment.NewFounder(records, ring), Services: services, Log: log,
		Audit: records, Denials: audit.NewDenials(time.Now, func(audit.Reason) {}),
	}
	s.sealer = audit.NewSealer(records, s.parts.Denials, log, audit.Watch{Sealed: func(int) {}, Standing: func(audit.Standing) {}, Failed: func() {}})
	s.handler, err = httpapi.New(s.parts)
	must(t, err)
	return s
}

// founded returns a server that has been bootstrapped with the context "default".
func founded(t *testing.T, url string) *server {
	t.Helper()
	s := empty(t, url)
	management, first := newKey(t), newKey(t)
	must(t, s.parts.Founder.Bootstrap(t.Context(), introspection.Enrolment{
		Attempt: apikey.NewID(), ContextID: "default", Management: introspection.Enrol(management), Context: introspection.Enrol(first),
	}))
	s.management, s.first = management.Reveal(), first.Reveal()
	return s
}

func newKey(t *testing.T) apikey.Key {
	t.Helper()
	k, err := apikey.Mint(apikey.NewID())
	must(t, err)
	return k
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// answer is what a request got.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send sends a request with a bearer token, none where that is empty. A nil body sends none.
func (s *server) send(method, target, token string, body any) answer {
	return s.do(newRequest(method, target, token, body))
}

func newRequest(method, target, token string, body any) *http.Request {
	var content []byte
	switch body := body.(type) {
	case nil:
	case string:
		content = []byte(body)
	default:
		var err error
		if content, err = json.Marshal(body); err != nil {
			panic(err)
		}
	}
	r := httptest.NewRequest(method, target, bytes.NewReader(content))
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

func (s *server) do(r *http.Request) answer {
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.Bytes()}
}

// operate sends a request with the management key.
func (s *server) operate(method, target string, body any) answer {
	return s.send(method, target, s.management, body)
}

// into decodes an answer that must have the status want.
func into[T any](t fataler, a answer, want int) T {
	t.Helper()
	var out T
	if a.status != want {
		t.Fatalf("status %d, want %d: %s", a.status, want, apikey.Redact(string(a.body)))
	}
	if len(a.body) == 0 {
		return out
	}
	if err := json.Unmarshal(a.body, &out); err != nil {
		t.Fatalf("decoding an answer: %v", err)
	}
	return out
}

// refused checks that an answer is a problem of the given kind about field.
func refused(t *testing.T, a answer, kind fault.Kind, field string) {
	t.Helper()
	var problem fault.Problem
	if err := json.Unmarshal(a.body, &problem); err != nil {
		t.Errorf("the answer is no problem: status %d, %v", a.status, err)
		return
	}
	got := problem.Err(a.status)
	if a.status != kind.Status() || got.Kind != kind || problem.Field != field {
		t.Errorf("got %d %v about %q (%s), want %v about %q", a.status, got.Kind, problem.Field, problem.Detail, kind, field)
	}
	if a.header.Get("Content-Type") != fault.ContentType || a.header.Get("X-Trace-Id") == "" {
		t.Error("a problem lacks its content type or its trace id")
	}
}

// introspect asks about keys as a service does.
func (s *server) introspect(t fataler, keys ...string) introspection.Response {
	t.Helper()
	request := introspection.Request{Digests: make([]apikey.Digest, len(keys))}
	for i, text := range keys {
		parsed, err := apikey.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		request.Digests[i] = parsed.Digest()
	}
	response := into[introspection.Response](t, s.send("POST", introspection.Path, serviceToken(t), request), http.StatusOK)
	if len(response.Verdicts) != len(keys) {
		t.Fatalf("%d verdicts on %d keys", len(response.Verdicts), len(keys))
	}
	return response
}

func (s *server) active(t fataler, text string) bool {
	t.Helper()
	return s.introspect(t, text).Verdicts[0].Active
}

// serviceToken returns a token as the data plane makes one.
func serviceToken(t fataler) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Issuer: introspection.Issuer, Audience: jwt.ClaimStrings{introspection.Audience}, Subject: "replica-1",
		ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Minute)),
	}).SignedString([]byte(serviceSecret))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// lockedBuffer is a log that many requests write to.
type lockedBuffer struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

// Write appends to the log.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String returns the log so far.
func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// fataler is what *testing.T and *rapid.T have in common.
type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}
