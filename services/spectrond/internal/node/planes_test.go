package node_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/dataplane"
	"github.com/spectron-hq/spectron/services/keymanager"
	"github.com/spectron-hq/spectron/services/spectrond/internal/migration"
	"github.com/spectron-hq/spectron/services/spectrond/internal/node"
	"github.com/spectron-hq/spectron/services/verifier/servicetoken"
)

// both is the two planes in one process, as a node wires them, with the context acme.
type both struct {
	t             *testing.T
	data, control http.Handler
	management    string
	// admin is the first key of acme: of the principal that may do everything.
	admin string
	// away makes the key manager unreachable.
	away bool
	// traces are those that the key manager was told of with errands.
	traces []string
}

// link carries a request from the data plane to the key manager, unless that is away.
type link struct {
	b    *both
	next http.RoundTripper
}

func (l link) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.Contains(r.URL.Path, "/errands/") {
		if l.b.away {
			return nil, fmt.Errorf("dialling %s: refused", r.URL.Host)
		}
		l.b.traces = append(l.b.traces, r.Header.Get("Traceparent"))
	}
	return l.next.RoundTrip(r)
}

func open(t *testing.T, url string) *both {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	target := migration.Target{ConnectionString: url, Planes: migration.Planes(), Log: log}
	must(target.Up(t.Context(), func(migration.Plane, int) error { return nil }))
	secret := settings.Secret(strings.Repeat("s", introspection.MinServiceSecret))
	control, err := keymanager.Open(t.Context(), keymanager.Config{
		ConnectionString: settings.Secret(url), Pepper: "a pepper for tests that is long enough", ServiceSecret: secret,
		LeaseTTL: time.Second, Log: log,
	})
	must(err)
	b := &both{t: t, control: control.Handler()}
	transport := node.NewTransport(control.Handler())
	data, err := dataplane.Open(t.Context(), dataplane.Config{
		ConnectionString: settings.Secret(url), ManagementURL: "http://keymanager", ServiceSecret: secret, Log: log, Version: "test",
		Authority: link{b, transport},
	})
	must(err)
	b.data = data.Handler()
	t.Cleanup(func() {
		if err := data.Close(); err != nil {
			t.Error(err)
		}
		transport.Wait()
		if err := control.Close(); err != nil {
			t.Error(err)
		}
	})
	var first [2]apikey.Key
	for i := range first {
		first[i], err = apikey.Mint(apikey.NewID())
		must(err)
	}
	must(control.Bootstrap(t.Context(), introspection.Enrolment{
		Attempt: apikey.NewID(), ContextID: "acme", Management: introspection.Enrol(first[0]), Context: introspection.Enrol(first[1]),
	}))
	b.management, b.admin = first[0].Reveal(), first[1].Reveal()
	return b
}

// reply is what a request got.
type reply struct {
	status int
	body   []byte
}

func ask(handler http.Handler, method, target, key, body string, headers ...string) reply {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return reply{w.Code, w.Body.Bytes()}
}

// call asks the data plane about acme and wants the status; the answer is decoded into out, unless that is nil.
func (b *both) call(status int, out any, key, method, path, body string, headers ...string) {
	b.t.Helper()
	b.want(ask(b.data, method, "/api/v1/acme"+path, key, body, headers...), status, method+" "+path, out)
}

// operate does the same as an operator, at the key manager.
func (b *both) operate(status int, out any, method, path, body string) {
	b.t.Helper()
	b.want(ask(b.control, method, "/api/v1/contexts/acme"+path, b.management, body), status, method+" "+path, out)
}

func (b *both) want(got reply, status int, what string, out any) {
	b.t.Helper()
	if got.status != status {
		b.t.Errorf("%s: %d, want %d: %s", what, got.status, status, apikey.Redact(string(got.body)))
		return
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(got.body, out); err != nil {
		b.t.Errorf("%s: %v", what, err)
	}
}

// issued is a key right after it was minted or rotated.
type issued struct {
	ID, Name, Key, PrincipalID string
	ValidUntil                 *time.Time
	Revision                   *int64
	Propagation                *struct{ Acknowledged, Lapsed int }
}

// flat mints a key with a principal of its own, as an operator.
func (b *both) flat(name, body string) (out issued) {
	b.t.Helper()
	b.operate(http.StatusCreated, &out, http.MethodPost, "/keys/"+name, body)
	return out
}

// ownKey is a key as its holder sees it.
type ownKey struct {
	ID, Name, PrincipalID string
	CreatedAt             time.Time
	Grants                map[string][]string
	LastUsedAt            *time.Time
	ValidUntil            *time.Time
}

func (b *both) names(key string, headers ...string) []string {
	b.t.Helper()
	var keys []ownKey
	b.call(http.StatusOK, &keys, key, http.MethodGet, "/keys", "", headers...)
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.Name
	}
	return names
}

// onBoth runs test on both engines.
func onBoth(t *testing.T, test func(b *both)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) { test(open(t, url)) })
}

// serviceToken returns a token as a service of this deployment makes one.
func serviceToken(t *testing.T) string {
	t.Helper()
	signer, err := servicetoken.New([]byte(strings.Repeat("s", introspection.MinServiceSecret)), "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signer.Token()
	if err != nil {
		t.Fatal(err)
	}
	return token
}
