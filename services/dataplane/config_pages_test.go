package dataplane_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/dataplane"
)

const (
	pagesPath = "/v1/config/auth-cors-origins"
	appPage   = "https://app.example.com"
)

// allowed returns the page that the answer to a preflight, and that to a request, let call; they must say the same.
func (p *plane) allowed(t *testing.T, path, page string) string {
	t.Helper()
	const header = "Access-Control-Allow-Origin"
	asked := p.call(t, "", http.MethodOptions, path, "", "Origin", page, "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization")
	sent := p.call(t, "", http.MethodGet, path, "", "Origin", page)
	if got := sent.header.Get(header); got != asked.header.Get(header) {
		t.Errorf("%s from %s: a preflight lets %q call, a request %q", path, page, asked.header.Get(header), got)
	}
	return sent.header.Get(header)
}

func TestTheConfigurationSaysWhichPagesMayCall(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.token(t, grant.ConfigWrite, grant.ConfigRead)
		if got := p.config(t, admin); len(got.AuthCORSOrigins) != 0 || p.allowed(t, "/v1/identity", appPage) != "" {
			t.Errorf("a page may call by default: %v", got.AuthCORSOrigins)
		}
		if got := p.call(t, "", http.MethodOptions, "/v1/identity", "", "Origin", appPage, "Access-Control-Request-Method", "GET"); got.status != http.StatusUnauthorized {
			t.Errorf("a preflight without any pages: %d", got.status)
		}
		var set engineConfig
		p.ok(t, &set, admin, http.MethodPost, pagesPath, `{"origins":["https://app.example.com","https://*.example.org"]}`, asActor, ada)
		if diff := cmp.Diff([]string{appPage, "https://*.example.org"}, set.AuthCORSOrigins); diff != "" {
			t.Error(diff)
		}
		for path, faced := range map[string]bool{
			"/v1/identity": true, "/v1/absent": true, "/v1/openapi.json": true, "/.well-known/syncropel": true, "/health": true,
			// The list of the one face is not that of the other.
			"/api/v1/health": false, "/api/v1/default/me": false, "/mcp": false, "/openapi.json": false,
		} {
			for page, listed := range map[string]bool{appPage: true, "https://a.example.org": true, "https://app.example.com.evil.example": false, "null": false} {
				want := ""
				if faced && listed {
					want = page
				}
				if got := p.allowed(t, path, page); got != want {
					t.Errorf("%s from %s: %q may call", path, page, got)
				}
			}
		}
		p.ok(t, &set, admin, http.MethodPost, pagesPath, `{"origins":[]}`, asActor, ada)
		if got := p.config(t, admin); len(got.AuthCORSOrigins) != 0 || p.allowed(t, "/v1/identity", appPage) != "" {
			t.Errorf("a page may call that was taken off the list: %v", got.AuthCORSOrigins)
		}
	})
}

func TestPagesAreSaidByAnyRecordOfTheConfigurationAndHeededByEveryReplica(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		admin := p.token(t, grant.Admin)
		record := `{"thread":"th_engine_config","actor":"` + ada + `","act":"LEARN","body":{"topic":"auth_cors_origins","origins":["` + appPage + `"]}}`
		var written struct{ ID string }
		p.ok(t, &written, admin, http.MethodPost, "/v1/records", record, asActor, ada)
		if got := p.allowed(t, "/v1/identity", appPage); got != appPage {
			t.Errorf("%q may call", got)
		}
		// One that begins now has read nothing before.
		if got := start(t, url).allowed(t, "/v1/identity", appPage); got != appPage {
			t.Errorf("elsewhere %q may call", got)
		}
		history := p.call(t, admin, http.MethodGet, "/v1/records?thread=th_engine_config", "", asActor, ada)
		var set engineConfig
		p.ok(t, &set, admin, http.MethodPost, pagesPath, `{"origins":["`+appPage+`"]}`, asActor, ada)
		if again := p.call(t, admin, http.MethodGet, "/v1/records?thread=th_engine_config", "", asActor, ada); string(again.body) != string(history.body) {
			t.Errorf("the same again was written down: %s", again.body)
		}
	})
}

func TestWhoMaySayWhichPagesMayCall(t *testing.T) {
	t.Parallel()
	p := start(t, dbtest.SQLite(t))
	for _, verb := range grant.Scopes() {
		got := p.call(t, p.token(t, verb), http.MethodPost, pagesPath, `{"origins":[]}`, asActor, ada)
		if want := verb == grant.ConfigWrite || verb == grant.Admin; (got.status == http.StatusOK) != want {
			t.Errorf("%s: %d", verb, got.status)
		}
	}
	admin := p.token(t, grant.Admin)
	for body, says := range map[string]string{
		`{}`:                                     "origins: is required",
		`{"origins":"https://app.example.com"}`:  "origins: must be an array",
		`{"origins":["*"]}`:                      "would let every page in",
		`{"origins":["https://*"]}`:              "is not an origin",
		`{"origins":["app.example.com"]}`:        "is not an origin",
		`{"origins":["https://a.example/path"]}`: "is not an origin",
		`{"origins":[""]}`:                       "must not be empty",
		`{"origins":[" "]}`:                      "each must have 1 to 256",
		`{"origins":[` + strings.Repeat(`"https://a.example",`, 64) + `"https://b.example"]}`: "at most 64",
	} {
		got := p.call(t, admin, http.MethodPost, pagesPath, body, asActor, ada)
		if problem := got.problem(t); got.status != http.StatusBadRequest || problem.Code != "INVALID_REQUEST" || !strings.Contains(problem.Message, says) {
			t.Errorf("%.60s: %d %s", body, got.status, got.body)
		}
	}
}

func TestWhileAuthenticationIsOffOnlyTheOperatorsPagesMayCall(t *testing.T) {
	t.Parallel()
	p := start(t, dbtest.SQLite(t), func(cfg *dataplane.Config) { cfg.Spl.AuthenticationOff = true })
	var set engineConfig
	p.ok(t, &set, "", http.MethodPost, pagesPath, `{"origins":["`+appPage+`"]}`, "Origin", "http://localhost:3000")
	got := p.call(t, "", http.MethodGet, "/v1/identity", "", "Origin", appPage)
	if got.header.Get("Access-Control-Allow-Origin") != "" || got.status != http.StatusForbidden {
		t.Errorf("a page of the list may call without a token: %d", got.status)
	}
}
