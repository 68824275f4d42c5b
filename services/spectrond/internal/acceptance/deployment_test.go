package acceptance_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/dataplane"
	"github.com/spectron-hq/spectron/services/keymanager"
	"github.com/spectron-hq/spectron/services/spectrond/internal/bootstrap"
	"github.com/spectron-hq/spectron/services/spectrond/internal/migration"
)

// splContext is the context that the spl face is of. It is there from the start.
const splContext = "first"

// deployment is both planes, each on an address of its own, with nothing but the network between them.
type deployment struct {
	store    string
	data     string // URL of the data plane, which is the one that clients know
	control  string // URL of the key manager
	operator string // a management key
	client   *http.Client
	worlds   atomic.Int64

	keymanager, front *httptest.Server
}

// deploy starts both planes on an empty store and bootstraps them.
func deploy(tb testing.TB, store string) *deployment {
	tb.Helper()
	return deployLeased(tb, store, 0)
}

// deployLeased is deploy with leases of this length, or of the usual one.
func deployLeased(tb testing.TB, store string, lease time.Duration) *deployment {
	tb.Helper()
	return deployFaced(tb, store, lease, dataplane.Spl{SealSecret: settings.Secret(strings.Repeat("z", introspection.MinServiceSecret))})
}

// deployFaced is deployLeased with the spl face set up in this way.
func deployFaced(tb testing.TB, store string, lease time.Duration, face dataplane.Spl) *deployment {
	tb.Helper()
	return deployDoors(tb, store, lease, face, dataplane.Doors{})
}

// deployDoors is deployFaced with the doors set up in this way.
func deployDoors(tb testing.TB, store string, lease time.Duration, face dataplane.Spl, doors dataplane.Doors) *deployment {
	tb.Helper()
	face.Context = splContext
	log := slog.New(slog.DiscardHandler)
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	target := migration.Target{ConnectionString: store, Planes: migration.Planes(), Log: log}
	must(target.Up(tb.Context(), func(migration.Plane, int) error { return nil }))
	secret := settings.Secret(strings.Repeat("s", introspection.MinServiceSecret))
	control, err := keymanager.Open(tb.Context(), keymanager.Config{
		ConnectionString: settings.Secret(store), Pepper: "a pepper for tests that is long enough", ServiceSecret: secret, LeaseTTL: lease, Log: log,
	})
	must(err)
	d := &deployment{store: store, client: &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	d.keymanager = httptest.NewServer(control.Handler())
	d.control = d.keymanager.URL
	data, err := dataplane.Open(tb.Context(), dataplane.Config{
		ConnectionString: settings.Secret(store), ManagementURL: d.control, ServiceSecret: secret, Log: log, Version: "test",
		Spl: face, Doors: doors,
	})
	must(err)
	d.front = httptest.NewServer(data.Handler())
	d.data = d.front.URL
	tb.Cleanup(func() {
		d.client.CloseIdleConnections()
		d.front.Close()
		if err := data.Close(); err != nil {
			tb.Error(err)
		}
		d.keymanager.CloseClientConnections() // what verifiers watch never ends by itself
		d.keymanager.Close()
		if err := control.Close(); err != nil {
			tb.Error(err)
		}
	})
	first, err := bootstrap.Credentials{ContextID: splContext}.Complete()
	must(err)
	must(first.Enrol(tb.Context(), control.Bootstrap))
	d.operator = first.Management.Reveal()
	return d
}

// request is what a client sends.
type request struct {
	method, path string
	key          string // empty: no Authorization
	header       map[string]string
	body         string // empty: no body and no Content-Type
	direct       bool   // to the key manager, not by way of the data plane
	chunked      bool   // the body's length is not told
}

// answer is what comes back.
type answer struct {
	status int
	header http.Header
	body   []byte
	took   time.Duration
}

// json returns the body as JSON.
func (a answer) json(tb testing.TB) any {
	tb.Helper()
	var out any
	if err := json.Unmarshal(a.body, &out); err != nil {
		tb.Fatalf("status %d: the body is not JSON: %v", a.status, err)
	}
	return out
}

// text returns a field of the body, which must be there, as text.
func (a answer) text(tb testing.TB, name string) string {
	tb.Helper()
	object, _ := a.json(tb).(map[string]any)
	value, ok := object[name]
	if !ok {
		tb.Fatalf("status %d: the body has no %s", a.status, name)
	}
	return fmt.Sprint(value)
}

// send sends r, takes down what was answered, and holds the answer against the document of the plane that gave it.
func (d *deployment) send(tb testing.TB, r request) answer {
	tb.Helper()
	a := d.sendOff(tb, r)
	conform(tb, r, a)
	return a
}

// sendOff sends r and nothing more.
func (d *deployment) sendOff(tb testing.TB, r request) answer {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	var body io.Reader = http.NoBody
	if r.body != "" {
		body = strings.NewReader(r.body)
	}
	if r.chunked {
		body = struct{ io.Reader }{body}
	}
	base := d.data
	if r.direct {
		base = d.control
	}
	req, err := http.NewRequestWithContext(ctx, r.method, base+r.path, body)
	if err != nil {
		tb.Fatal(err)
	}
	if r.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.key != "" {
		req.Header.Set("Authorization", "Bearer "+r.key)
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	began := time.Now()
	resp, err := d.client.Do(req)
	if err != nil {
		tb.Fatalf("%s %s: %v", r.method, r.path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatalf("%s %s: %v", r.method, r.path, err)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: bytes.TrimSpace(text), took: time.Since(began)}
}

// world is a context of its own in a deployment, with keys by name.
type world struct {
	*deployment
	id    string
	vars  map[string]string // what was saved of answers, for <name> in what is sent
	roles map[string]string
}

// roles are the bodies with which the keys of a world are minted, when they are first used.
var roles = map[string]string{
	"admin":      `{"grants":{` + every("/*") + `}}`,
	"agent":      ``,
	"planner":    `{"scope_floor":{"org":"acme","agent":"planner"}}`,
	"supervisor": `{"principal":"supervisor"}`,
	"overseer":   `{"principal":"supervisor","scope_floor":{"org":"acme"}}`,
	"reader":     `{"grants":{"memory:read":["/*"]}}`,
	"writer":     `{"grants":{"memory:write":["org/acme/*"]}}`,
	"grantless":  `{"grants":{}}`,
	"acme":       `{"grants":{` + every("org/acme/*") + `}}`,
}

var verbs = []string{"memory:read", "memory:write", "memory:forget", "scope:read", "scope:create", "scope:delete", "grant:manage"}

// every is the inside of a grant map of every verb over one pattern.
func every(pattern string) string {
	each := make([]string, len(verbs))
	for i, verb := range verbs {
		each[i] = fmt.Sprintf("%q:[%q]", verb, pattern)
	}
	return strings.Join(each, ",")
}

// newWorld creates a context.
func (d *deployment) newWorld(tb testing.TB, config string) *world {
	tb.Helper()
	w := &world{deployment: d, id: fmt.Sprintf("w%d", d.worlds.Add(1)), vars: map[string]string{}, roles: map[string]string{}}
	w.vars["ctx"] = w.id
	w.must(tb, request{method: http.MethodPost, path: "/api/v1/contexts/" + w.id, key: d.operator, body: config}, http.StatusCreated)
	return w
}

// must sends r and returns the answer, which must have this status.
func (d *deployment) must(tb testing.TB, r request, status int) answer {
	tb.Helper()
	a := d.send(tb, r)
	if a.status != status {
		tb.Fatalf("%s %s: got %d, want %d: %s", r.method, r.path, a.status, status, public(a))
	}
	return a
}

// key returns the key of a role, which is minted when it is first asked for.
func (w *world) key(tb testing.TB, role string) string {
	tb.Helper()
	switch role {
	case "nobody":
		return ""
	case "operator":
		return w.operator
	}
	if w.roles[role] == "" {
		body, ok := roles[role]
		if !ok {
			tb.Fatalf("there is no role %s", role)
		}
		w.mint(tb, role, body)
	}
	return w.roles[role]
}

// mint makes the key of a role. Its id and its principal can be used as <role.id> and <role.principal>.
func (w *world) mint(tb testing.TB, role, body string) {
	tb.Helper()
	a := w.must(tb, request{method: http.MethodPost, path: "/api/v1/contexts/" + w.id + "/keys/" + role, key: w.operator, body: body}, http.StatusCreated)
	w.roles[role] = a.text(tb, "key")
	w.vars[role+".id"], w.vars[role+".principal"] = a.text(tb, "id"), a.text(tb, "principalId")
}

// path makes what is relative absolute in the world's context.
func (w *world) path(relative string) string {
	if strings.HasPrefix(relative, "/") {
		return relative
	}
	return "/api/v1/" + w.id + "/" + relative
}

// public is an answer as it may be shown: errors hold no secrets, other answers might.
func public(a answer) string {
	if a.status < http.StatusBadRequest {
		return "(the body is not shown)"
	}
	return string(a.body)
}
