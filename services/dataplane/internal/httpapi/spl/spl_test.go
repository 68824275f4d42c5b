package spl_test

import (
	"bytes"
	"cmp"
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

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/dataplane/internal/engineconfig"
	"github.com/spectron-hq/spectron/services/dataplane/internal/httpapi/spl"
	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
	"github.com/spectron-hq/spectron/services/verifier"
)

// verifiers are tokens and whom they stand for.
type verifiers map[string]*caller.Caller

var errDown = fault.New(fault.AuthorityUnavailable, "the key manager cannot be reached")

func (v verifiers) Check(_ context.Context, token string) (verifier.Verdict, error) {
	who, known := v[token]
	switch {
	case !known:
		return verifier.Verdict{}, fault.BadCredential()
	case who == nil:
		return verifier.Verdict{}, errDown
	default:
		return verifier.Verdict{Caller: who}, nil
	}
}

func (v verifiers) Recheck(ctx context.Context, token, _ string) (verifier.Verdict, error) {
	return v.Check(ctx, token)
}

// accounts answers what the tests here ask of service accounts.
type accounts struct{ spl.Accounts }

func (accounts) Standing(_ context.Context, contextID string) (introspection.Standing, error) {
	return introspection.Standing{Context: contextID, Incarnation: contextID + "-1", Accounts: 2, Active: 1}, nil
}

func (accounts) MintToken(
	_ context.Context, _ introspection.Identity, draft introspection.TokenDraft,
) (introspection.IssuedToken, error) {
	return introspection.IssuedToken{Token: introspection.Token{ID: "t1", AccountID: draft.AccountID}, Text: "the secret"}, nil
}

// rules refuse whoever claims to be this.
type rules string

func (r rules) Allow(_ context.Context, ask engineconfig.Ask) error {
	if ask.Actor == string(r) {
		return &fault.Error{Kind: fault.Forbidden, Code: "PERMISSION_DENIED", Message: "no rule allows " + string(ask.Resource)}
	}
	return nil
}

// full is a store of records that takes none.
type full struct {
	record.Store
	refused []string
}

func (f *full) AppendRecord(_ context.Context, space string, a record.Addition) (record.Record, bool, error) {
	f.refused = append(f.refused, fmt.Sprintf("%s %s %s %s", space, a.Thread, a.Act, a.Body))
	return record.Record{}, false, errors.New("the disk is full")
}

// face is the face with a store behind it that is made of nothing.
type face struct {
	http.Handler
	verifiers verifiers
	full      *full
	log       *bytes.Buffer
}

func newFace(t *testing.T, change ...func(*spl.Parts)) *face {
	t.Helper()
	f := &face{verifiers: verifiers{}, full: &full{}, log: &bytes.Buffer{}}
	log := slog.New(slog.NewTextHandler(f.log, nil))
	parts := spl.Parts{
		Context: "default", Verifier: f.verifiers, Accounts: accounts{}, Log: log,
		Records: record.New(f.full, time.Now, "default"),
	}
	for _, each := range change {
		each(&parts)
	}
	engine := web.NewEngine(web.Options{Name: "test", Log: log, Codes: spl.Codes})
	if err := spl.Mount(engine, parts); err != nil {
		t.Fatal(err)
	}
	f.Handler = web.Handler(engine)
	return f
}

// token returns a token of the context with these scopes, which may claim these actors.
func (f *face) token(t *testing.T, contextID string, actors []string, scopes ...grant.Verb) string {
	t.Helper()
	token, err := apikey.MintToken(apikey.DefaultEnv, apikey.NewAccountID())
	if err != nil {
		t.Fatal(err)
	}
	f.verifiers[token.Reveal()] = &caller.Caller{
		Context: contextID, Incarnation: contextID + "-1",
		Principal: &caller.Principal{ID: token.Account(), ServiceAccount: &caller.ServiceAccount{Actors: actors}},
		Effective: grant.Snapshot(grant.OfScopes(scopes...)),
	}
	return token.Reveal()
}

type answer struct {
	status int
	header http.Header
	body   string
	fault.Problem
}

// send sends a request. Headers come in pairs.
func (f *face) send(t *testing.T, method, path, body string, headers ...string) answer {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Host = "127.0.0.1:9100"
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	a := answer{status: w.Code, header: w.Header(), body: w.Body.String()}
	if a.status >= http.StatusBadRequest {
		if err := json.Unmarshal(w.Body.Bytes(), &a.Problem); err != nil {
			t.Fatalf("%s %s: %d %s", method, path, w.Code, a.body)
		}
		if a.Object != "error" || a.Code == "" || a.Message == "" {
			t.Errorf("%s %s: not an error of this face: %s", method, path, a.body)
		}
	}
	return a
}

const auth = "Authorization"

func TestBearer(t *testing.T) {
	t.Parallel()
	f := newFace(t)
	good := f.token(t, "default", []string{"did:a"})
	down := f.token(t, "default", []string{"did:a"})
	f.verifiers[down] = nil
	chosen, err := apikey.ChosenToken(`any,"printable"=[text]\`)
	if err != nil {
		t.Fatal(err)
	}
	f.verifiers[chosen.Reveal()] = f.verifiers[good]
	key, err := apikey.Mint(apikey.NewID())
	if err != nil {
		t.Fatal(err)
	}
	f.verifiers[key.Reveal()] = &caller.Caller{Context: "default", Principal: &caller.Principal{ID: "p"}, Effective: grant.All()}
	unknown := f.token(t, "default", nil)
	delete(f.verifiers, unknown)

	const none = `Bearer realm="spl"`
	const invalid = none + `, error="invalid_token"`
	bodies := map[string]bool{}
	for name, test := range map[string]struct {
		headers   []string
		status    int
		code      string
		challenge string
	}{
		"good":             {[]string{auth, "Bearer " + good}, 200, "", ""},
		"other case":       {[]string{auth, "bEARER   " + good}, 200, "", ""},
		"chosen":           {[]string{auth, "Bearer " + chosen.Reveal()}, 200, "", ""},
		"none":             {nil, 401, "AUTH_REQUIRED", none},
		"empty":            {[]string{auth, ""}, 401, "AUTH_REQUIRED", none},
		"another scheme":   {[]string{auth, "Basic " + good}, 401, "AUTH_REQUIRED", none},
		"no scheme":        {[]string{auth, good}, 401, "AUTH_REQUIRED", none},
		"scheme alone":     {[]string{auth, "Bearer"}, 401, "AUTH_INVALID", invalid},
		"two":              {[]string{auth, "Bearer " + good, auth, "Bearer " + good}, 401, "AUTH_INVALID", invalid},
		"malformed":        {[]string{auth, "Bearer " + good + "x"}, 401, "AUTH_INVALID", invalid},
		"wrong checksum":   {[]string{auth, "Bearer " + good[:len(good)-1] + "!"}, 401, "AUTH_INVALID", invalid},
		"two tokens":       {[]string{auth, "Bearer " + good + " " + good}, 401, "AUTH_INVALID", invalid},
		"unknown":          {[]string{auth, "Bearer " + unknown}, 401, "AUTH_INVALID", invalid},
		"a key":            {[]string{auth, "Bearer " + key.Reveal()}, 401, "AUTH_INVALID", invalid},
		"another context":  {[]string{auth, "Bearer " + f.token(t, "other", []string{"did:a"}, grant.Admin)}, 401, "AUTH_INVALID", invalid},
		"nobody can tell":  {[]string{auth, "Bearer " + down}, 503, "UNAVAILABLE", ""},
		"in another place": {[]string{"X-Api-Key", good}, 401, "AUTH_REQUIRED", none},
	} {
		a := f.send(t, http.MethodGet, "/v1/capabilities", "", test.headers...)
		if a.status != test.status || a.Code != test.code || a.header.Get("WWW-Authenticate") != test.challenge {
			t.Errorf("%s: %d %s, %q", name, a.status, a.Code, a.header.Get("WWW-Authenticate"))
		}
		if test.code == "AUTH_INVALID" {
			bodies[a.body] = true
		}
		if (a.header.Get("Retry-After") != "") != (test.status == http.StatusServiceUnavailable) {
			t.Errorf("%s: Retry-After %q", name, a.header.Get("Retry-After"))
		}
	}
	if len(bodies) != 1 {
		t.Errorf("AUTH_INVALID has %d bodies", len(bodies))
	}
}

// A page of somebody else's, in a browser on this machine, gets nothing where no token is asked for.
func TestPages(t *testing.T) {
	t.Parallel()
	origins, err := web.ParseOrigins([]string{"http://localhost:*", "https://app.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	off := newFace(t, func(p *spl.Parts) { p.AuthenticationOff, p.Origins = true, origins })
	shut := newFace(t, func(p *spl.Parts) { p.AuthenticationOff, p.Origins, p.BootstrapClosed = true, origins, true })
	on := newFace(t, func(p *spl.Parts) { p.Origins, p.BootstrapClosed = origins, true })
	for name, test := range map[string]struct {
		headers []string
		off, on string // codes; nothing where the request is let in
	}{
		"no browser":          {nil, "", "BOOTSTRAP_CLOSED"},
		"a page of ours":      {[]string{"Origin", "http://localhost:3000"}, "", "BOOTSTRAP_CLOSED"},
		"a page that may":     {[]string{"Origin", "https://app.example.com"}, "", "BOOTSTRAP_CLOSED"},
		"another page":        {[]string{"Origin", "https://evil.example"}, "ORIGIN_REJECTED", "ORIGIN_REJECTED"},
		"a page of nowhere":   {[]string{"Origin", "null"}, "ORIGIN_REJECTED", "ORIGIN_REJECTED"},
		"a name made for us":  {[]string{"Host", "evil.example:9100", "Origin", "http://evil.example:9100"}, "ORIGIN_REJECTED", "ORIGIN_REJECTED"},
		"the same, no origin": {[]string{"Host", "evil.example:9100"}, "ORIGIN_REJECTED", "BOOTSTRAP_CLOSED"},
		"localhost":           {[]string{"Host", "localhost"}, "", "BOOTSTRAP_CLOSED"},
		"another loopback":    {[]string{"Host", "[::1]:9100"}, "", "BOOTSTRAP_CLOSED"},
	} {
		if a := off.send(t, http.MethodGet, "/v1/capabilities", "", test.headers...); a.Code != test.off {
			t.Errorf("%s: authentication off: %d %s, want %s", name, a.status, a.Code, test.off)
		}
		if a := shut.send(t, http.MethodPost, "/v1/bootstrap/service-account", `{"name":"x"}`, test.headers...); a.Code != cmp.Or(test.off, "BOOTSTRAP_CLOSED") {
			t.Errorf("%s: bootstrap, authentication off: %d %s", name, a.status, a.Code)
		}
		if a := on.send(t, http.MethodPost, "/v1/bootstrap/service-account", `{"name":"x"}`, test.headers...); a.Code != test.on {
			t.Errorf("%s: bootstrap: %d %s, want %s", name, a.status, a.Code, test.on)
		}
	}
}

// What is wrong in every stage fails at the first; each further step mends one.
func TestTheOrderOfThePipeline(t *testing.T) {
	t.Parallel()
	f := newFace(t, func(p *spl.Parts) { p.Rules = rules("did:ruled-out") })
	actors := []string{"did:a", "did:ruled-out"}
	unscoped, scoped := f.token(t, "default", actors, grant.ConfigRead), f.token(t, "default", actors, grant.Admin)
	const actor = "X-Syncropel-Actor"
	for _, route := range []struct{ method, path, invalid string }{
		{http.MethodPost, "/v1/records", "INVALID_RECORD"},
		{http.MethodPost, "/v1/records/query", "INVALID_QUERY"},
		{http.MethodPost, "/v1/service-accounts", "INVALID_REQUEST"},
		{http.MethodPatch, "/v1/service-accounts/sa_x", "INVALID_REQUEST"},
		{http.MethodPost, "/v1/threads", "INVALID_REQUEST"},
		{http.MethodPost, "/v1/config/rules", "INVALID_REQUEST"},
		{http.MethodPost, "/v1/sync/pairs", "INVALID_REQUEST"},
		{http.MethodPost, "/v1/federation/sync/pairs", "INVALID_REQUEST"},
	} {
		for _, step := range []struct {
			code    string
			headers []string
		}{
			{"AUTH_REQUIRED", []string{actor, "did:stranger"}},
			{"AUTH_INVALID", []string{auth, "Bearer x", actor, "did:stranger"}},
			{"SCOPE_FORBIDDEN", []string{auth, "Bearer " + unscoped, actor, "did:stranger"}},
			{"DID_CLAIM_DENIED", []string{auth, "Bearer " + scoped, actor, "did:stranger"}},
			{"PERMISSION_DENIED", []string{auth, "Bearer " + scoped, actor, "did:ruled-out"}},
			{route.invalid, []string{auth, "Bearer " + scoped, actor, "did:a"}},
		} {
			for _, body := range []string{"[", `[]`} {
				if a := f.send(t, route.method, route.path, body, step.headers...); a.Code != step.code {
					t.Errorf("%s %s: %d %s, want %s", route.method, route.path, a.status, a.Code, step.code)
				}
			}
		}
	}
}

// slow is a body during which something happens.
type slow struct {
	io.Reader
	meanwhile func()
}

func (s *slow) Read(p []byte) (int, error) {
	s.meanwhile()
	return s.Reader.Read(p)
}

// Whoever has sent the head of a request before a revocation, and its body after it, is refused.
func TestABodyThatOutlivesItsToken(t *testing.T) {
	t.Parallel()
	f := newFace(t)
	for what, change := range map[string]struct {
		code   string
		change func(token string)
	}{
		"revoked":        {"AUTH_INVALID", func(token string) { delete(f.verifiers, token) }},
		"lost its scope": {"SCOPE_FORBIDDEN", func(token string) { f.verifiers[token].Effective = grant.Snapshot(grant.OfScopes(grant.ConfigRead)) }},
		"lost its actor": {"DID_CLAIM_DENIED", func(token string) { f.verifiers[token].Principal.ServiceAccount.Actors = []string{"did:b"} }},
	} {
		for path, body := range map[string]string{
			"/v1/records":                      `{"thread":"th_t","act":"DO","actor":"did:a"}`,
			"/v1/threads":                      `{"id":"th_t"}`,
			"/v1/config/rules":                 `{"name":"r"}`,
			"/v1/sync/records":                 `{"records":[]}`,
			"/v1/service-accounts/sa_x/tokens": `{}`,
		} {
			token := f.token(t, "default", []string{"did:a"}, grant.Admin)
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, &slow{strings.NewReader(body), func() { change.change(token) }})
			r.Header.Set(auth, "Bearer "+token)
			w := httptest.NewRecorder()
			f.ServeHTTP(w, r)
			if !strings.Contains(w.Body.String(), `"code":"`+change.code+`"`) {
				t.Errorf("%s, %s: %d %s", what, path, w.Code, w.Body)
			}
		}
	}
}

func TestWhatIsNotThere(t *testing.T) {
	t.Parallel()
	f := newFace(t)
	token := f.token(t, "default", []string{"did:a"}, grant.RecordsRead)
	for _, test := range []struct {
		method, path string
		status       int
		code         string
	}{
		{http.MethodGet, "/v1/absent", 404, "NOT_FOUND"},
		{http.MethodGet, "/v1", 404, "NOT_FOUND"},
		{http.MethodPost, "/v1/federation/sync/absent", 404, "NOT_FOUND"},
		{http.MethodPut, "/v1/records", 405, "METHOD_NOT_ALLOWED"},
		{http.MethodGet, "/v1/service-accounts/sa_x/tokens/rotate", 405, "METHOD_NOT_ALLOWED"},
	} {
		if a := f.send(t, test.method, test.path, ""); a.Code != "AUTH_REQUIRED" {
			t.Errorf("%s %s without a token: %d %s", test.method, test.path, a.status, a.Code)
		}
		if a := f.send(t, test.method, test.path, "", auth, "Bearer "+token); a.status != test.status || a.Code != test.code {
			t.Errorf("%s %s: %d %s", test.method, test.path, a.status, a.Code)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/elsewhere", http.NoBody)
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	if w.Code != http.StatusNotFound || strings.Contains(w.Body.String(), `"code"`) {
		t.Errorf("elsewhere: %d %s", w.Code, w.Body)
	}
}

func TestAnAuditThatFailsLosesNoToken(t *testing.T) {
	t.Parallel()
	f := newFace(t)
	token := f.token(t, "default", []string{"did:a"}, grant.Admin)
	a := f.send(t, http.MethodPost, "/v1/service-accounts/sa_x/tokens", `{"reason":"new phone"}`, auth, "Bearer "+token)
	if a.status != http.StatusCreated || !strings.Contains(a.body, `"token":"the secret"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	audited := f.full.refused
	if len(audited) != 1 || !strings.HasPrefix(audited[0], "default-1 th_audit_tokens LEARN ") || strings.Contains(audited[0], "the secret") ||
		!strings.Contains(audited[0], `"kind":"core.token_lifecycle_event.v1"`) || !strings.Contains(audited[0], `"reason":"new phone"`) ||
		!strings.Contains(audited[0], `"actor":"did:a"`) {
		t.Errorf("audited %q", audited)
	}
	if log := f.log.String(); !strings.Contains(log, "the disk is full") || strings.Contains(log, "the secret") {
		t.Errorf("log: %s", log)
	}
}
