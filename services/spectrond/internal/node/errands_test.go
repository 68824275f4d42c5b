package node_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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

// both are the two planes in one process, as a node wires them, with the context acme.
type both struct {
	t             *testing.T
	data, control http.Handler
	management    string
	// admin is the first key of acme: of the principal that may do everything.
	admin string
	// away makes the key manager unreachable.
	away bool
}

// link carries a request from the data plane to the key manager, unless that is away.
type link struct {
	b    *both
	next http.RoundTripper
}

func (l link) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.b.away && strings.Contains(r.URL.Path, "/errands/") {
		return nil, fmt.Errorf("dialling %s: refused", r.URL.Host)
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
func onBoth(t *testing.T, test func(t *testing.T, b *both)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) { test(t, open(t, url)) })
}

func TestAnOrdinaryKeySeesAndManagesOnlyItself(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *both) {
		agent, other := b.flat("agent", ""), b.flat("other", "")
		if diff := cmp.Diff([]string{"agent"}, b.names(agent.Key)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		for _, name := range []string{"other", "nothing"} {
			var a, c any
			b.call(http.StatusNotFound, &a, agent.Key, http.MethodPost, "/keys/"+name+"/rotate", "")
			b.call(http.StatusNotFound, &c, agent.Key, http.MethodDelete, "/keys/"+name, "")
		}
		b.call(http.StatusOK, nil, other.Key, http.MethodGet, "/me", "")
		var rotated issued
		b.call(http.StatusOK, &rotated, agent.Key, http.MethodPost, "/keys/agent/rotate?ttlSeconds=60", "")
		if rotated.ID != agent.ID || rotated.Name != "agent" || rotated.PrincipalID != agent.PrincipalID || rotated.ValidUntil == nil ||
			rotated.Revision == nil || rotated.Propagation == nil {
			t.Error("a rotation answers without the id, name, principal, end, revision or propagation")
		}
		b.call(http.StatusUnauthorized, nil, agent.Key, http.MethodGet, "/me", "")
		b.call(http.StatusOK, nil, rotated.Key, http.MethodGet, "/me", "")
		b.call(http.StatusNoContent, nil, rotated.Key, http.MethodDelete, "/keys/agent", "")
		b.call(http.StatusUnauthorized, nil, rotated.Key, http.MethodGet, "/me", "")
	})
}

func TestGrantManageOverTheRootManagesAllKeys(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *both) {
		b.flat("a%20b", "")
		exact := b.flat("exact", `{"grants":{"grant:manage":["/"]}}`)
		below := b.flat("below", `{"grants":{"grant:manage":["org/*"]}}`)
		all := []string{"a b", "below", "default", "exact"}
		for _, key := range []string{b.admin, exact.Key} {
			if diff := cmp.Diff(all, b.names(key)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
		if diff := cmp.Diff([]string{"below"}, b.names(below.Key)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		// On behalf of one who does not manage, nobody does.
		if diff := cmp.Diff([]string{"default"}, b.names(b.admin, "X-Spectron-On-Behalf-Of", below.PrincipalID)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		b.call(http.StatusOK, nil, exact.Key, http.MethodPost, "/keys/a%20b/rotate", "")
		b.call(http.StatusNoContent, nil, exact.Key, http.MethodDelete, "/keys/below", "")
		b.call(http.StatusUnauthorized, nil, below.Key, http.MethodGet, "/me", "")
		b.call(http.StatusUnprocessableEntity, nil, b.admin, http.MethodDelete, "/keys/a%2Fb", "")
		var page []ownKey
		b.call(http.StatusOK, &page, b.admin, http.MethodGet, "/keys?limit=1&cursor=ZGVmYXVsdA", "")
		if len(page) != 1 || page[0].Name != "exact" {
			t.Errorf("the page behind default is %+v", page)
		}
		b.call(http.StatusBadRequest, nil, b.admin, http.MethodGet, "/keys?cursor=%21", "")
	})
}

func TestAMintedKeyMayDoNoMoreThanTheCaller(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *both) {
		agent := b.flat("agent", `{"grants":{"memory:read":["org/*"],"memory:write":["org/acme"]}}`)
		me := func(key string) (out struct {
			PrincipalID                  string
			TokenGrants, EffectiveGrants map[string][]string
		}) {
			t.Helper()
			b.call(http.StatusOK, &out, key, http.MethodGet, "/me", "")
			return out
		}
		var inherits, narrow, same issued
		b.call(http.StatusCreated, &inherits, agent.Key, http.MethodPost, "/keys", "")
		if inherits.Name != inherits.ID || inherits.PrincipalID != agent.PrincipalID || inherits.ValidUntil != nil {
			t.Errorf("minted %q of %q", inherits.Name, inherits.PrincipalID)
		}
		if got := me(inherits.Key); got.TokenGrants != nil {
			t.Errorf("a key of one that inherits has grants of its own: %v", got.TokenGrants)
		}
		want := map[string][]string{"memory:read": {"org/acme/*"}}
		b.call(http.StatusCreated, &narrow, agent.Key, http.MethodPost, "/keys", `{"name":"narrow","grants":{"memory:read":["org/acme/*"]}}`)
		// A narrow key passes on no more than it has, be it asked or not.
		b.call(http.StatusCreated, &same, narrow.Key, http.MethodPost, "/keys", `{}`)
		for _, key := range []string{narrow.Key, same.Key} {
			got := me(key)
			if diff := cmp.Diff(want, got.TokenGrants) + cmp.Diff(want, got.EffectiveGrants); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
		for _, body := range []string{
			`{"grants":{"memory:read":["org"]}}`, `{"grants":{"memory:read":["/*"]}}`, `{"grants":{"memory:write":["org/acme"]}}`,
			`{"grants":{"memory:read":["org/acme/*","org/beta"]}}`, `{"grants":{"read":["org/acme"]}}`, `{"grants":{"memory:read":["a/*/b"]}}`,
		} {
			b.call(http.StatusBadRequest, nil, narrow.Key, http.MethodPost, "/keys", body)
		}
		b.call(http.StatusConflict, nil, agent.Key, http.MethodPost, "/keys", `{"name":"default"}`)
		b.call(http.StatusConflict, nil, agent.Key, http.MethodPost, "/keys", `{"name":"narrow"}`)
		b.call(http.StatusUnprocessableEntity, nil, agent.Key, http.MethodPost, "/keys", `{"name":" x"}`)
		for _, ttl := range []string{"0", "-1", "x", "3153600001"} {
			b.call(http.StatusBadRequest, nil, agent.Key, http.MethodPost, "/keys?ttlSeconds="+ttl, "")
			b.call(http.StatusBadRequest, nil, agent.Key, http.MethodPost, "/keys/agent/rotate?ttlSeconds="+ttl, "")
		}
		b.operate(http.StatusOK, nil, http.MethodPatch, "", `{"config":{"max_token_ttl_seconds":60}}`)
		for _, query := range []string{"", "?ttlSeconds=3600", "?ttlSeconds=60"} {
			var capped issued
			b.call(http.StatusCreated, &capped, agent.Key, http.MethodPost, "/keys"+query, "")
			if capped.ValidUntil == nil || time.Until(*capped.ValidUntil) > 61*time.Second {
				t.Errorf("%s: ends %v with a cap of a minute", query, capped.ValidUntil)
			}
		}
	})
}

func TestSelfServiceCanBeTurnedOff(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *both) {
		agent := b.flat("agent", "")
		routes := []struct{ method, path string }{
			{http.MethodGet, "/keys"}, {http.MethodPost, "/keys"}, {http.MethodPost, "/keys/agent/rotate"}, {http.MethodDelete, "/keys/agent"},
		}
		b.operate(http.StatusOK, nil, http.MethodPatch, "", `{"config":{"allow_self_service_keys":false}}`)
		for _, key := range []string{agent.Key, b.admin} {
			for _, route := range routes {
				b.call(http.StatusForbidden, nil, key, route.method, route.path, "")
			}
		}
		b.operate(http.StatusOK, nil, http.MethodPatch, "", `{"config":{"allow_self_service_keys":true}}`)
		for _, route := range routes[1:] { // nobody changes keys on behalf of another
			b.call(http.StatusForbidden, nil, agent.Key, route.method, route.path, "", "X-Spectron-On-Behalf-Of", "admin")
			b.call(http.StatusForbidden, nil, agent.Key, route.method, route.path, "", "X-Memory-On-Behalf-Of", agent.PrincipalID)
		}
		b.away = true
		for _, route := range routes {
			var problem struct{ Type string }
			b.call(http.StatusServiceUnavailable, &problem, agent.Key, route.method, route.path, "")
			if problem.Type != "urn:spectron:problem:authority-unavailable" {
				t.Errorf("%s %s without a key manager: %s", route.method, route.path, problem.Type)
			}
		}
		b.away = false
		b.call(http.StatusOK, nil, agent.Key, http.MethodGet, "/keys", "")
	})
}

func TestLastUseIsShownToTheMinute(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *both) {
		agent := b.flat("agent", "")
		var before, after []ownKey
		b.call(http.StatusOK, &before, agent.Key, http.MethodGet, "/keys", "")
		if len(before) != 1 || before[0].LastUsedAt != nil || before[0].CreatedAt.IsZero() || before[0].ID != agent.ID {
			t.Errorf("before any report: %+v", before)
		}
		token := serviceToken(t)
		for _, ago := range []time.Duration{0, 10 * time.Minute} {
			uses := fmt.Sprintf(`{"uses":[{"key_id":%q,"ago_us":%d}]}`, agent.ID, ago.Microseconds())
			if got := ask(b.control, http.MethodPost, introspection.UsesPath, token, uses); got.status != http.StatusNoContent {
				t.Fatalf("reporting: %d", got.status)
			}
		}
		b.call(http.StatusOK, &after, agent.Key, http.MethodGet, "/keys", "")
		used := after[0].LastUsedAt
		if used == nil || !used.Equal(used.Truncate(time.Minute)) || time.Since(*used) > 2*time.Minute {
			t.Errorf("last used at %v", used)
		}
	})
}

func TestPrincipalsAreShownToWhoManagesGrants(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *both) {
		agent := b.flat("agent", `{"grants":{"memory:read":["org/acme/*"]}}`)
		steward := b.flat("steward", `{"grants":{"grant:manage":["org/acme/*"],"memory:read":["org/acme/*"]}}`)
		for _, path := range []string{"/principals", "/principals/admin", "/principals/nobody", "/principals/admin/effective?path=org/acme"} {
			b.call(http.StatusForbidden, nil, agent.Key, http.MethodGet, path, "")
		}
		var list []map[string]any
		b.call(http.StatusOK, &list, steward.Key, http.MethodGet, "/principals", "")
		if len(list) != 4 {
			t.Errorf("%d principals", len(list))
		}
		for _, p := range list {
			keys := []string{}
			for name := range p {
				keys = append(keys, name)
			}
			slices.Sort(keys)
			if diff := cmp.Diff([]string{"displayName", "grants", "id", "kind"}, keys); diff != "" {
				t.Errorf("a principal is shown with (-want +got):\n%s", diff)
			}
		}
		var one struct{ ID, Kind, DisplayName string }
		for _, id := range []string{agent.PrincipalID, "principal:" + agent.PrincipalID, "principal%3A" + agent.PrincipalID} {
			b.call(http.StatusOK, &one, steward.Key, http.MethodGet, "/principals/"+id, "")
			if one.ID != agent.PrincipalID || one.Kind != "agent" || one.DisplayName != "agent" {
				t.Errorf("%s: %+v", id, one)
			}
		}
		b.call(http.StatusNotFound, nil, steward.Key, http.MethodGet, "/principals/nobody", "")
	})
}

func TestEffectiveTellsWhatGrantsHoldNowAndThen(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *both) {
		early := time.Now().Add(-time.Hour)
		agent := b.flat("agent", `{"grants":{"memory:read":["org/acme/*"]}}`)
		effective := func(status int, query string) (out struct {
			Path  string
			Verbs []string
			AsOf  *time.Time
		}) {
			t.Helper()
			b.call(status, &out, b.admin, http.MethodGet, "/principals/"+agent.PrincipalID+"/effective?"+query, "")
			return out
		}
		if got := effective(http.StatusOK, "path=org/acme/user"); got.Path != "org/acme/user/" || fmt.Sprint(got.Verbs) != "[memory:read]" || got.AsOf != nil {
			t.Errorf("%+v", got)
		}
		if got := effective(http.StatusOK, "path=org"); got.Verbs == nil || len(got.Verbs) != 0 {
			t.Errorf("%+v", got)
		}
		between := time.Now().UTC()
		b.call(http.StatusOK, nil, b.admin, http.MethodPost, "/principals/"+agent.PrincipalID+"/grants", `{"path":"org","verbs":["memory:write","memory:read"]}`)
		if got := effective(http.StatusOK, "path=org"); fmt.Sprint(got.Verbs) != "[memory:read memory:write]" {
			t.Errorf("now: %+v", got)
		}
		if got := effective(http.StatusOK, "path=org&asOf="+between.Format(time.RFC3339Nano)); len(got.Verbs) != 0 || got.AsOf == nil || !got.AsOf.Equal(between) {
			t.Errorf("before the change: %+v", got)
		}
		effective(http.StatusNotFound, "path=org&asOf="+early.UTC().Format(time.RFC3339))
		effective(http.StatusBadRequest, "path=org&asOf="+time.Now().UTC().Add(time.Hour).Format(time.RFC3339))
		for _, query := range []string{"", "path=", "path=a//b", "path=*", "path=org&asOf=yesterday"} {
			effective(http.StatusBadRequest, query)
		}
		b.call(http.StatusNotFound, nil, b.admin, http.MethodGet, "/principals/nobody/effective?path=org", "")
		steward := b.flat("steward", `{"grants":{"grant:manage":["org/acme/*"]}}`)
		b.call(http.StatusOK, nil, steward.Key, http.MethodGet, "/principals/admin/effective?path=org/acme", "")
		b.call(http.StatusForbidden, nil, steward.Key, http.MethodGet, "/principals/admin/effective?path=org", "")
		b.call(http.StatusForbidden, nil, steward.Key, http.MethodGet, "/principals/nobody/effective?path=org", "")
	})
}

func TestNobodyPassesOnWhatTheyDoNotHold(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *both) {
		agent := b.flat("agent", `{"grants":{"memory:read":["org/acme"]}}`)
		steward := b.flat("steward", `{"grants":{"grant:manage":["org/acme/*"],"memory:read":["org/acme/user/*"]}}`)
		grants := "/principals/" + agent.PrincipalID + "/grants"
		for _, test := range []struct {
			body         string
			post, remove int
		}{
			{`{"path":"org/acme/user/bob","verbs":["memory:read"]}`, 200, 200},
			{`{"path":"org/acme/user/*","verbs":["memory:read","grant:manage"]}`, 200, 200},
			{`{"path":"org/acme/*","verbs":["memory:read"]}`, 403, 200},
			{`{"path":"org/acme/user/*","verbs":["memory:read","memory:write"]}`, 403, 200},
			{`{"path":"org/*","verbs":["memory:read"]}`, 403, 403},
			{`{"path":"org/beta","verbs":["memory:read"]}`, 403, 403},
			{`{"path":"org/*/x","verbs":["memory:read"]}`, 400, 400},
			{`{"path":"","verbs":["memory:read"]}`, 400, 400},
			{`{"path":"org/acme","verbs":["read"]}`, 400, 400},
			{`{"path":"org/acme","verbs":[]}`, 400, 400},
			{`{"path":"org/acme"}`, 400, 400},
		} {
			b.call(test.post, nil, steward.Key, http.MethodPost, grants, test.body)
			b.call(test.remove, nil, steward.Key, http.MethodDelete, grants, test.body)
		}
		const body = `{"path":"org/acme/user/*","verbs":["memory:read"]}`
		for _, method := range []string{http.MethodPost, http.MethodDelete} {
			b.call(http.StatusForbidden, nil, agent.Key, method, grants, body)
			b.call(http.StatusForbidden, nil, b.admin, method, "/principals/system/grants", body)
			b.call(http.StatusNotFound, nil, b.admin, method, "/principals/nobody/grants", body)
			// What the two may do together is what counts.
			b.call(http.StatusForbidden, nil, b.admin, method, grants, body, "X-Spectron-On-Behalf-Of", agent.PrincipalID)
		}
		var changed struct {
			ID     string
			Grants map[string][]string
		}
		b.call(http.StatusOK, &changed, b.admin, http.MethodPost, grants, `{"path":"/*","verbs":["memory:write"]}`)
		if diff := cmp.Diff(map[string][]string{"memory:write": {"/*"}}, changed.Grants); diff != "" || changed.ID != agent.PrincipalID {
			t.Errorf("%s (-want +got):\n%s", changed.ID, diff)
		}
	})
}

// A change of what the target may do acts on the very next request on its behalf, whichever plane made it.
func TestTheNextRequestOnBehalfGoesByTheNewGrants(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, b *both) {
		agent := b.flat("agent", `{"grants":{"memory:read":["/*"],"memory:write":["/*"]}}`)
		target := b.flat("target", `{"grants":{}}`)
		const body = `{"path":"org/*","verbs":["memory:read","memory:write"]}`
		reads := func() int {
			t.Helper()
			var me struct{ EffectiveGrants map[string][]string }
			b.call(http.StatusOK, &me, agent.Key, http.MethodGet, "/me", "", "X-Spectron-On-Behalf-Of", target.PrincipalID)
			return len(me.EffectiveGrants["memory:read"])
		}
		for round := range 5 {
			reads() // it is remembered
			b.call(http.StatusOK, nil, b.admin, http.MethodPost, "/principals/"+target.PrincipalID+"/grants", body)
			if got := reads(); got != 1 {
				t.Errorf("round %d: after a grant it reads %d regions", round, got)
			}
			reads()
			if round%2 == 0 {
				b.call(http.StatusOK, nil, b.admin, http.MethodDelete, "/principals/"+target.PrincipalID+"/grants", body)
			} else {
				b.operate(http.StatusOK, nil, http.MethodDelete, "/principals/"+target.PrincipalID+"/grants", body)
			}
			if got := reads(); got != 0 {
				t.Errorf("round %d: after the grant was taken away it reads %d regions", round, got)
			}
		}
		reads()
		// The principal goes with its only key.
		b.operate(http.StatusNoContent, nil, http.MethodDelete, "/keys/target", "")
		b.call(http.StatusForbidden, nil, agent.Key, http.MethodGet, "/me", "", "X-Spectron-On-Behalf-Of", target.PrincipalID)
	})
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
