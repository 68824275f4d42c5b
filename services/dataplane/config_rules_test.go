package dataplane_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/dataplane"
)

const (
	ada      = "did:sync:user:ada"
	bob      = "did:sync:user:bob"
	asActor  = "X-Syncropel-Actor"
	splSpace = "default-1"
)

// config is what GET /v1/config answers.
type engineConfig struct {
	Object             string         `json:"object"`
	AuthRequired       bool           `json:"auth_required"`
	PermissionsEnabled bool           `json:"permissions_enabled"`
	AuthCORSOrigins    []string       `json:"auth_cors_origins"`
	Rules              map[string]int `json:"rules"`
}

type ruleJSON struct {
	Object, Kind, Name, Action, Expression string
	Enabled, Removed                       bool
	Priority                               int
	Body                                   map[string]any
	RecordID                               string `json:"record_id"`
	SetBy                                  string `json:"set_by"`
}

// token returns a token with these scopes that may claim to be ada and bob.
func (p *plane) token(t *testing.T, scopes ...grant.Verb) string {
	t.Helper()
	return p.authority.Token(t, p.authority.Account("default", splSpace, "sa", ada, bob), scopes...)
}

func (p *plane) config(t *testing.T, token string) (out engineConfig) {
	t.Helper()
	p.ok(t, &out, token, http.MethodGet, "/v1/config", "", asActor, ada)
	return out
}

func (p *plane) rules(t *testing.T, token, kind string) (names []string) {
	t.Helper()
	var out struct{ Data []ruleJSON }
	p.ok(t, &out, token, http.MethodGet, "/v1/config/"+kind, "", asActor, ada)
	for _, each := range out.Data {
		names = append(names, each.Name)
	}
	return names
}

func (p *plane) setRule(t *testing.T, token, kind, body string) (out ruleJSON) {
	t.Helper()
	p.ok(t, &out, token, http.MethodPost, "/v1/config/"+kind, body, asActor, ada)
	return out
}

func TestRulesAreConfiguredOverHTTP(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.token(t, grant.Admin)
		none := engineConfig{Object: "engine_config", AuthRequired: true, AuthCORSOrigins: []string{}, Rules: map[string]int{
			"rules": 0, "permission-rules": 0, "fold-rules": 0, "health-checks": 0, "decision-policies": 0,
		}}
		if diff := cmp.Diff(none, p.config(t, admin)); diff != "" {
			t.Error(diff)
		}
		made := p.setRule(t, admin, "health-checks", `{"name":"disk","priority":3,"body":{"over":90},"nobody":"knows this"}`)
		want := ruleJSON{
			Object: "rule", Kind: "health-checks", Name: "disk", Enabled: true, Priority: 3, Body: map[string]any{"over": 90.0}, RecordID: made.RecordID, SetBy: ada,
		}
		if diff := cmp.Diff(want, made); diff != "" || len(made.RecordID) != 64 {
			t.Error(diff)
		}
		if again := p.setRule(t, admin, "health-checks", `{"priority":3,"name":"disk","enabled":true,"body":{"over":90}}`); cmp.Diff(made, again) != "" {
			t.Errorf("the same again is %+v", again)
		}
		p.setRule(t, admin, "health-checks", `{"name":"cpu","priority":3}`)
		p.setRule(t, admin, "health-checks", `{"name":"later","priority":-3}`)
		p.setRule(t, admin, "health-checks", `{"name":"first","priority":4}`)
		if diff := cmp.Diff([]string{"first", "cpu", "disk", "later"}, p.rules(t, admin, "health-checks")); diff != "" {
			t.Error(diff)
		}
		gone := p.setRule(t, admin, "health-checks", `{"name":"cpu","remove":true,"priority":9}`)
		if !gone.Removed || cmp.Diff(gone, p.setRule(t, admin, "health-checks", `{"name":"cpu","remove":true}`)) != "" {
			t.Errorf("removed: %+v", gone)
		}
		if got := p.config(t, admin).Rules["health-checks"]; got != 3 {
			t.Errorf("%d rules of 3", got)
		}
	})
}

func TestWhatIsWrongWithAConfigurationIsRefused(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.token(t, grant.Admin)
		for _, c := range []struct {
			method, path, body string
			status             int
			code, says         string
		}{
			{"GET", "/v1/config/permissions", "", 404, "NOT_FOUND", "rules, permission-rules, fold-rules, health-checks and decision-policies"},
			{"POST", "/v1/config/Rules", `{"name":"x"}`, 404, "NOT_FOUND", "decision-policies"},
			{"POST", "/v1/config/rules", `{"name":"x","remove":true}`, 404, "NOT_FOUND", "no rule of this name"},
			{"POST", "/v1/config/rules", `{}`, 400, "INVALID_REQUEST", "name"},
			{"POST", "/v1/config/rules", `{"name":"x","priority":1000001}`, 400, "INVALID_REQUEST", "priority"},
			{"POST", "/v1/config/rules", `{"name":"x","expression":"true"}`, 400, "INVALID_REQUEST", "only permission rules"},
			{"POST", "/v1/config/permission-rules", `{"name":"x","action":"maybe","expression":"true"}`, 400, "INVALID_REQUEST", "action"},
			{"POST", "/v1/config/permission-rules", `{"name":"x","action":"deny","expression":"actor == 1"}`, 400, "INVALID_REQUEST", "line 1, column 1"},
			{"POST", "/v1/config/permission-rules", `{"name":"x","action":"deny"}`, 400, "INVALID_REQUEST", "expression"},
			{"POST", "/v1/config/permissions", `{"enabled":"yes"}`, 400, "INVALID_REQUEST", "enabled"},
			{"POST", "/v1/config/permissions", `{}`, 400, "INVALID_REQUEST", "enabled"},
			{"POST", "/v1/config/permissions", `{"enabled":true}`, 409, "PERMISSIONS_LOCKOUT", "record_write (no rule allows it)"},
		} {
			got := p.call(t, admin, c.method, c.path, c.body, asActor, ada)
			if problem := got.problem(t); got.status != c.status || problem.Code != c.code || !strings.Contains(problem.Message, c.says) {
				t.Errorf("%s %s %s: %d %s", c.method, c.path, c.body, got.status, got.body)
			}
		}
		if got := p.config(t, admin); got.PermissionsEnabled || got.Rules["rules"]+got.Rules["permission-rules"] != 0 {
			t.Errorf("something was configured: %+v", got)
		}
	})
}

func TestPermissionRulesNarrowWhatTokensMayDo(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin, reader := p.token(t, grant.Admin), p.token(t, grant.ConfigRead)
		p.setRule(t, admin, "permission-rules", `{"name":"ada may all","priority":1,"action":"allow","expression":"current_actor() == 'did:sync:user:ada'"}`)
		p.setRule(t, admin, "permission-rules", `{"name":"no accounts","priority":5,"action":"deny","expression":"resource.startsWith('account_')"}`)
		as := func(token, actor, method, path string) (int, string) {
			t.Helper()
			got := p.call(t, token, method, path, "", asActor, actor)
			if got.status/100 == 2 {
				return got.status, ""
			}
			return got.status, got.problem(t).Code
		}
		if status, _ := as(admin, bob, "GET", "/v1/config"); status != http.StatusOK {
			t.Errorf("the rules hold although they are off: %d", status)
		}
		var out engineConfig
		p.ok(t, &out, admin, "POST", "/v1/config/permissions", `{"enabled":true}`, asActor, ada)
		if !out.PermissionsEnabled {
			t.Error("they are not on")
		}
		for _, c := range []struct {
			token, actor, method, path string
			status                     int
			code                       string
		}{
			{admin, ada, "GET", "/v1/config", 200, ""},
			{admin, bob, "GET", "/v1/config", 403, "PERMISSION_DENIED"},
			{reader, ada, "GET", "/v1/config/rules", 200, ""},
			{reader, bob, "GET", "/v1/config/rules", 403, "PERMISSION_DENIED"},
			// They come behind token, scope and claim, and cannot widen.
			{reader, ada, "POST", "/v1/config/permissions", 403, "SCOPE_FORBIDDEN"},
			{reader, "did:sync:user:eve", "GET", "/v1/config", 403, "DID_CLAIM_DENIED"},
			{"", ada, "GET", "/v1/config", 401, "AUTH_REQUIRED"},
			{admin, ada, "GET", "/v1/service-accounts", 403, "PERMISSION_DENIED"},
			{admin, bob, "GET", "/v1/identity", 403, "PERMISSION_DENIED"},
			// And before parameters and bodies.
			{admin, bob, "POST", "/v1/config/nothing", 403, "PERMISSION_DENIED"},
			{"", bob, "GET", "/health", 200, ""},
			{"", bob, "GET", "/.well-known/syncropel", 200, ""},
		} {
			if status, code := as(c.token, c.actor, c.method, c.path); status != c.status || code != c.code {
				t.Errorf("%s %s as %s: %d %s, want %d %s", c.method, c.path, c.actor, status, code, c.status, c.code)
			}
		}
		logged := p.log.String()
		if !strings.Contains(logged, `"msg":"PERMISSION DENIED"`) || !strings.Contains(logged, `"rule":"no accounts"`) {
			t.Error("denials are not in the log")
		}
	})
}

func TestALockedOutOperatorUnlocksTheRules(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.token(t, grant.Admin)
		offline := config(url, p.authority)
		offline.Spl.Actor = ada
		if err := dataplane.UnlockPermissions(t.Context(), offline); fault.KindOf(err) != fault.AlreadyDone {
			t.Errorf("they are off, and are unlocked: %v", err)
		}
		p.setRule(t, admin, "permission-rules", `{"name":"bob","action":"allow","expression":"current_actor() == 'did:sync:user:bob'"}`)
		p.ok(t, &engineConfig{}, admin, "POST", "/v1/config/permissions", `{"enabled":true}`, asActor, bob)
		if got := p.call(t, admin, "POST", "/v1/config/permissions", `{"enabled":false}`, asActor, ada); got.status != http.StatusForbidden {
			t.Fatalf("ada is not locked out: %d", got.status)
		}
		if err := dataplane.UnlockPermissions(t.Context(), offline); err != nil {
			t.Fatal(err)
		}
		// Written behind the back of what serves, as by another process.
		deadline := time.Now().Add(10 * time.Second)
		for p.call(t, admin, "GET", "/v1/config", "", asActor, ada).status != http.StatusOK {
			if time.Now().After(deadline) {
				t.Fatal("the rules hold still")
			}
			time.Sleep(50 * time.Millisecond)
		}
		if got := p.config(t, admin); got.PermissionsEnabled || got.Rules["permission-rules"] != 1 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestWhileAuthenticationIsOffTheRulesKeepNobodyOut(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url, func(c *dataplane.Config) { c.Spl.AuthenticationOff = true })
		p.setRule(t, "", "permission-rules", `{"name":"ada","action":"allow","expression":"current_actor() == 'did:sync:user:ada'"}`)
		p.ok(t, &engineConfig{}, "", "POST", "/v1/config/permissions", `{"enabled":true}`, asActor, ada)
		var out engineConfig
		p.ok(t, &out, "", "GET", "/v1/config", "", asActor, bob)
		if out.AuthRequired || !out.PermissionsEnabled {
			t.Errorf("got %+v", out)
		}
	})
}

func TestManySettersEachSeeTheirOwnRule(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.token(t, grant.Admin)
		p.setRule(t, admin, "permission-rules", `{"name":"all","priority":-1,"action":"allow","expression":"true"}`)
		p.ok(t, &engineConfig{}, admin, "POST", "/v1/config/permissions", `{"enabled":true}`, asActor, ada)
		var all sync.WaitGroup
		for _, name := range []string{"one", "two", "three", "four"} {
			actor := "did:sync:user:" + name
			token := p.authority.Token(t, p.authority.Account("default", splSpace, name, actor), grant.ConfigWrite, grant.ConfigRead)
			all.Go(func() {
				for range 10 {
					body := `{"name":"` + name + `","priority":5,"action":"deny","expression":"resource == 'config_read' && current_actor() == '` + actor + `'"}`
					if got := p.call(t, token, "POST", "/v1/config/permission-rules", body); got.status != http.StatusOK {
						t.Errorf("setting: %d %s", got.status, got.body)
					}
					if got := p.call(t, token, "GET", "/v1/config", ""); got.status != http.StatusForbidden {
						t.Errorf("the rule is not seen: %d", got.status)
					}
					if got := p.call(t, token, "POST", "/v1/config/permission-rules", `{"name":"`+name+`","remove":true}`); got.status != http.StatusOK {
						t.Errorf("removing: %d %s", got.status, got.body)
					}
					if got := p.call(t, token, "GET", "/v1/config", ""); got.status != http.StatusOK {
						t.Errorf("the rule is seen still: %d", got.status)
					}
				}
			})
		}
		all.Wait()
	})
}
