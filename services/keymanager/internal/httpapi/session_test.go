package httpapi_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/keymanager/internal/httpapi"
)

const keys = "/api/v1/contexts/default/keys"

func TestRoutesAreTheDocument(t *testing.T) {
	t.Parallel()
	spec, err := httpapi.GetSpec()
	must(t, err)
	want := []string{
		"POST " + introspection.Path, "POST " + introspection.BootstrapPath, "GET " + introspection.PurgesPath,
		"DELETE " + introspection.PurgesPath + "/{incarnation}",
		"POST " + introspection.JobsPath, "DELETE " + introspection.JobsPath + "/{id}",
		"POST " + introspection.LeasesPath, "GET " + introspection.WatchPath, "POST " + introspection.UsesPath,
		"GET " + introspection.StandingPath, "POST " + introspection.FirstAccountPath,
	}
	for _, path := range web.DocumentationRoutes {
		want = append(want, "GET "+path)
	}
	for _, path := range slices.Concat(errandPaths, accountPaths) {
		want = append(want, "POST "+path)
	}
	for path, item := range spec.Paths.Map() {
		for method := range item.Operations() {
			want = append(want, method+" "+path)
		}
	}
	engine, err := httpapi.NewEngine(httpapi.Parts{})
	must(t, err)
	var got []string
	for _, route := range engine.Routes() {
		segments := strings.Split(route.Path, "/")
		for i, segment := range segments {
			if name, ok := strings.CutPrefix(segment, ":"); ok {
				segments[i] = "{" + name + "}"
			}
		}
		got = append(got, route.Method+" "+strings.Join(segments, "/"))
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the routes are not those of the document (-document +routes):\n%s", diff)
	}
}

func TestASession(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		if !s.active(t, s.first) || s.active(t, s.management) {
			t.Error("the first keys are not worth what they should be")
		}
		minted := into[httpapi.MintedKey](t, s.operate("POST", keys+"/ci?ttl_seconds=3600",
			`{"principal":"agent","scope_floor":{"org":"acme","agent":"planner"}}`), http.StatusCreated)
		if minted.Name != "ci" || minted.Revision != 1 || minted.ValidUntil == nil {
			t.Errorf("minted %s at revision %d until %v", minted.Name, minted.Revision, minted.ValidUntil)
		}
		verdict := s.introspect(t, minted.Key).Verdicts[0]
		region, err := scope.ParsePattern("org/acme/agent/planner/*")
		must(t, err)
		want := grant.Over(region, grant.MemoryRead, grant.MemoryWrite, grant.MemoryForget, grant.ScopeRead, grant.ScopeCreate)
		if diff := cmp.Diff(want, verdict.Principal.Grants, cmp.Comparer(scope.Region.Equal)); diff != "" {
			t.Errorf("grants (-want +got):\n%s", diff)
		}
		if verdict.KeyID != minted.Id || verdict.KeyName != "ci" || verdict.Principal.ID != minted.PrincipalId ||
			verdict.Context != "default" || verdict.KeyGrants != nil ||
			!strings.HasPrefix(verdict.Incarnation, "default.") || len(verdict.Incarnation) != len("default.")+12 {
			t.Errorf("verdict %+v", verdict)
		}
		left := time.Duration(verdict.ExpiresInMicros) * time.Microsecond
		if left > time.Hour || left < 50*time.Minute {
			t.Errorf("the key has %v left of an hour", left)
		}

		rotated := into[httpapi.MintedKey](t, s.operate("POST", keys+"/ci/rotate", nil), http.StatusOK)
		if rotated.Id != minted.Id || rotated.PrincipalId != minted.PrincipalId || rotated.Revision != 2 ||
			!rotated.ValidUntil.Equal(*minted.ValidUntil) || rotated.Key == minted.Key {
			t.Error("a rotation changed more than the secret")
		}
		if s.active(t, minted.Key) || !s.active(t, rotated.Key) {
			t.Error("the old secret lives or the new one does not")
		}
		again := into[httpapi.MintedKey](t, s.operate("POST", keys+"/ci/rotate?ttl_seconds=60", nil), http.StatusOK)
		if until := time.Until(*again.ValidUntil); until > time.Minute || until < 50*time.Second {
			t.Errorf("with ttl_seconds=60 it ends in %v", until)
		}

		list := into[[]httpapi.Key](t, s.operate("GET", keys, nil), http.StatusOK)
		if len(list) != 2 || list[0].Name != "ci" || list[0].Id != minted.Id || list[0].Principal != "agent" ||
			list[1].Name != "default" || list[1].Principal != "human" || list[1].PrincipalId != "admin" {
			t.Errorf("list: %+v", list)
		}
		into[struct{}](t, s.operate("DELETE", keys+"/ci", nil), http.StatusNoContent)
		refused(t, s.operate("DELETE", keys+"/ci", nil), fault.NotFound, "")
		refused(t, s.operate("POST", keys+"/ci/rotate", nil), fault.NotFound, "")
		if s.active(t, again.Key) {
			t.Error("a deleted key lives")
		}
	})
}

func TestShapesOfMint(t *testing.T) {
	t.Parallel()
	everything := scope.Everything
	exact, err := scope.ParsePattern("org/acme")
	must(t, err)
	team, err := scope.ParsePattern("org/acme/team/red/user/bob/*")
	must(t, err)
	agent := []grant.Verb{grant.MemoryRead, grant.MemoryWrite, grant.MemoryForget, grant.ScopeRead, grant.ScopeCreate}
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		for i, test := range []struct {
			body any
			kind string
			want grant.Map
		}{
			{nil, "agent", grant.Over(everything, agent...)},
			{`{}`, "agent", grant.Over(everything, agent...)},
			{`{"scope_floor":{}}`, "agent", grant.Over(everything, agent...)},
			{`{"principal":"supervisor"}`, "supervisor", grant.Over(everything, grant.MemoryRead, grant.ScopeRead)},
			{`{"scope_floor":{"user":"bob","team":"red","org":"acme"}}`, "agent", grant.Over(team, agent...)},
			{`{"grants":{}}`, "agent", grant.Map{}},
			{
				`{"grants":{"grant:manage":["*"],"memory:read":["org/acme","org/acme/"]},"principal":"supervisor"}`, "supervisor",
				grant.Map{grant.GrantManage: {everything}, grant.MemoryRead: {exact}},
			},
		} {
			minted := into[httpapi.MintedKey](t, s.operate("POST", fmt.Sprintf("%s/k%d", keys, i), test.body), http.StatusCreated)
			principal := s.introspect(t, minted.Key).Verdicts[0].Principal
			if string(principal.Kind) != test.kind || principal.DisplayName != minted.Name {
				t.Errorf("%v: principal %s %q", test.body, principal.Kind, principal.DisplayName)
			}
			if diff := cmp.Diff(test.want, principal.Grants, cmp.Comparer(scope.Region.Equal)); diff != "" {
				t.Errorf("%v: grants (-want +got):\n%s", test.body, diff)
			}
		}
	})
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		minted := into[httpapi.MintedKey](t, s.operate("POST", keys+"/k?ttl_seconds=1000", nil), http.StatusCreated)
		for _, name := range []string{"k", "default"} {
			must(t, s.db.Exec("UPDATE keys SET expires_at = ? WHERE name = ?", time.Now().Add(-time.Second), name).Error)
		}
		if s.active(t, minted.Key) {
			t.Error("an expired key is active")
		}
		refused(t, s.operate("POST", keys+"/k/rotate", nil), fault.Conflict, "")
		if !strings.Contains(string(s.operate("POST", keys+"/k/rotate", nil).body), "ttl_seconds") {
			t.Error("the refusal does not say what to pass")
		}
		// An expired key of a context is no longer told from garbage.
		refused(t, s.send("GET", "/api/v1/verbs", s.first, nil), fault.Unauthenticated, "")
		rotated := into[httpapi.MintedKey](t, s.operate("POST", keys+"/k/rotate?ttl_seconds=5", nil), http.StatusOK)
		if !s.active(t, rotated.Key) || s.active(t, minted.Key) {
			t.Error("a rotation with ttl_seconds did not revive the key alone")
		}
		must(t, s.db.Exec("UPDATE keys SET expires_at = ? WHERE kind = 'management'", time.Now().Add(-time.Second)).Error)
		refused(t, s.operate("GET", "/api/v1/verbs", nil), fault.Unauthenticated, "")
	})
}

func TestTheCapOnTimeToLive(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		endless := into[httpapi.MintedKey](t, s.operate("POST", keys+"/endless", nil), http.StatusCreated)
		if endless.ValidUntil != nil {
			t.Error("a key without a time to live ends")
		}
		into[httpapi.Context](t, s.operate("PATCH", "/api/v1/contexts/default", `{"config":{"max_token_ttl_seconds":600}}`), http.StatusOK)
		for _, test := range []struct {
			target string
			status int
			want   time.Duration
		}{
			{"/a", http.StatusCreated, 10 * time.Minute},
			{"/b?ttl_seconds=601", http.StatusCreated, 10 * time.Minute},
			{"/c?ttl_seconds=300", http.StatusCreated, 5 * time.Minute},
			{"/c/rotate", http.StatusOK, 5 * time.Minute},
			{"/c/rotate?ttl_seconds=3153600000", http.StatusOK, 10 * time.Minute},
			{"/endless/rotate", http.StatusOK, 10 * time.Minute},
		} {
			minted := into[httpapi.MintedKey](t, s.operate("POST", keys+test.target, nil), test.status)
			if minted.ValidUntil == nil {
				t.Errorf("%s: no end", test.target)
				continue
			}
			if left := time.Until(*minted.ValidUntil); left > test.want || left < test.want-time.Minute {
				t.Errorf("%s: ends in %v, want %v", test.target, left, test.want)
			}
		}
	})
}

func TestContexts(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		const acme = "/api/v1/contexts/acme"
		created := into[httpapi.Context](t, s.operate("POST", acme, `{"description":"d","admin_external_id":"idp:1","admin_display_name":"Ann",
			"config":{"models":{"a":{"x":1,"y":2}},"providers":{"openai":{"api_key":"hidden-credential"}},"trace_retention":{"x_days":3}}}`), http.StatusCreated)
		if created.Namespace != "acme" || created.Database != "acme" || *created.Description != "d" || created.CreatedAt.IsZero() {
			t.Errorf("created %+v", created)
		}
		refused(t, s.operate("POST", acme, nil), fault.Conflict, "")
		named := into[httpapi.Context](t, s.operate("POST", "/api/v1/contexts", `{"id":"b","namespace":"n","database":"d","display_name":"B"}`), http.StatusCreated)
		if named.Id != "b" || named.Namespace != "n" || named.Database != "d" || *named.DisplayName != "B" {
			t.Errorf("created %+v", named)
		}
		patched := s.operate("PATCH", acme, `{"enforcement_blocked":true,
			"config":{"models":{"a":{"x":null,"z":3}},"providers":{"other":{"k":"hidden-credential"}},"token_limit":7,"max_token_ttl_seconds":9}}`)
		got := into[httpapi.Context](t, patched, http.StatusOK)
		nine, seven := int64(9), int64(7)
		want := httpapi.ContextConfig{
			AllowSelfServiceKeys: true, MaxTokenTtlSeconds: &nine, TokenLimit: &seven, TraceRetention: map[string]int64{"x_days": 3},
			Models: map[string]any{"a": map[string]any{"y": 2.0, "z": 3.0}}, ProvidersConfigured: []string{"openai", "other"},
		}
		if diff := cmp.Diff(want, got.Config); diff != "" || !got.EnforcementBlocked {
			t.Errorf("patched (-want +got), blocked %v:\n%s", got.EnforcementBlocked, diff)
		}
		reset := into[httpapi.Context](t, s.operate("PATCH", acme,
			`{"config":{"models":null,"providers":{"openai":null},"token_limit":null,"max_token_ttl_seconds":null,"trace_retention":{"x_days":null}}}`), http.StatusOK)
		want = httpapi.ContextConfig{
			AllowSelfServiceKeys: true, TraceRetention: map[string]int64{}, Models: map[string]any{}, ProvidersConfigured: []string{"other"},
		}
		if diff := cmp.Diff(want, reset.Config); diff != "" || !reset.EnforcementBlocked {
			t.Errorf("reset (-want +got), blocked %v:\n%s", reset.EnforcementBlocked, diff)
		}
		if diff := cmp.Diff(reset, into[httpapi.Context](t, s.operate("GET", acme, nil), http.StatusOK)); diff != "" {
			t.Errorf("read otherwise than patched:\n%s", diff)
		}
		minted := into[httpapi.MintedKey](t, s.operate("POST", acme+"/keys/k", nil), http.StatusCreated)
		into[struct{}](t, s.operate("DELETE", acme, nil), http.StatusNoContent)
		for _, method := range []string{"GET", "DELETE"} {
			refused(t, s.operate(method, acme, nil), fault.NotFound, "")
		}
		refused(t, s.operate("GET", acme+"/keys", nil), fault.NotFound, "")
		into[httpapi.Context](t, s.operate("POST", acme, nil), http.StatusCreated)
		if s.active(t, minted.Key) {
			t.Error("a key survived its context")
		}
		if n := strings.Count(s.dump(t), "hidden-credential"); n != 0 {
			t.Errorf("the settings of a provider are stored %d times", n)
		}
	})
}

// A context whose calls to language models are stopped says so of every key, on the next question: the change takes a
// revision, as whatever verifiers remember does.
func TestABlockedContextIsTold(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		before := s.introspect(t, s.first)
		if before.Verdicts[0].Blocked {
			t.Error("blocked from the beginning")
		}
		revised := before.AsOf
		for _, test := range []struct {
			patch   string
			blocked bool
			revises bool
		}{
			{`{"enforcement_blocked":true}`, true, true},
			{`{"enforcement_blocked":true}`, true, false},
			{`{"config":{"token_limit":1}}`, true, false},
			{`{"enforcement_blocked":false}`, false, true},
		} {
			into[httpapi.Context](t, s.operate("PATCH", "/api/v1/contexts/default", test.patch), http.StatusOK)
			if test.revises {
				revised++
			}
			got := s.introspect(t, s.first)
			if got.Verdicts[0].Blocked != test.blocked || got.AsOf != revised {
				t.Errorf("after %s: blocked %t as of %d, want %t as of %d", test.patch, got.Verdicts[0].Blocked, got.AsOf, test.blocked, revised)
			}
		}
	})
}

func TestPages(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, database string) {
		s := founded(t, database)
		want := []string{"a%b", "a/?&=é", "default"} // a name may hold anything printable
		for _, name := range want {
			if name != "default" {
				into[httpapi.MintedKey](t, s.operate("POST", keys+"/"+url.PathEscape(name), nil), http.StatusCreated)
			}
		}
		var got []string
		for next := keys + "?limit=1"; next != ""; {
			a := s.operate("GET", next, nil)
			for _, k := range into[[]httpapi.Key](t, a, http.StatusOK) {
				got = append(got, k.Name)
			}
			link := a.header.Get("Link")
			next, _ = strings.CutPrefix(strings.TrimSuffix(link, `>; rel="next"`), "<")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pages of one (-want +got):\n%s", diff)
		}
		if link := s.operate("GET", keys+"?limit=3", nil).header.Get("Link"); link != "" {
			t.Errorf("the last page leads on to %s", link)
		}
		into[httpapi.Context](t, s.operate("POST", "/api/v1/contexts/other", nil), http.StatusCreated)
		page := s.operate("GET", "/api/v1/contexts?limit=1", nil)
		if list := into[[]httpapi.Context](t, page, http.StatusOK); len(list) != 1 || list[0].Id != "default" {
			t.Errorf("first page: %+v", list)
		}
		if link := page.header.Get("Link"); !strings.HasPrefix(link, "</api/v1/contexts?cursor=") || !strings.HasSuffix(link, `&limit=1>; rel="next"`) {
			t.Errorf("link %s", link)
		}
	})
}

func TestVerbsAndHealth(t *testing.T) {
	t.Parallel()
	s := founded(t, dbtest.SQLite(t))
	verbs := into[[]httpapi.Verb](t, s.operate("GET", "/api/v1/verbs", nil), http.StatusOK)
	if len(verbs) != len(grant.Verbs()) || verbs[0].Verb != "memory:read" || verbs[0].Description == "" {
		t.Errorf("verbs: %+v", verbs)
	}
	for _, path := range []string{"/health", "/api/v1/health"} {
		for _, token := range []string{"", "garbage", s.first} {
			health := into[httpapi.Health](t, s.send("GET", path, token, nil), http.StatusOK)
			if health.Status != "ok" {
				t.Errorf("%s: %+v", path, health)
			}
		}
	}
}
