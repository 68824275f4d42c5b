package dataplane_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/grant"
)

const form = "application/x-www-form-urlencoded"

// introspect asks about a key. Headers come in pairs.
func (p *plane) introspect(t *testing.T, asker, about string, headers ...string) answer {
	t.Helper()
	body := url.Values{"token": {about}, "token_type_hint": {"access_token"}}.Encode()
	return p.call(t, asker, http.MethodPost, "/oauth2/introspect", body, append([]string{"Content-Type", form}, headers...)...)
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func TestIntrospectionTellsWhatAKeyIsWorth(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		asker := p.admin(t)
		grants := over(t, "org/acme/*")
		grants[grant.MemoryRead] = grant.All()[grant.MemoryRead]
		key := p.authority.KeyOf(t, "acme", "acme-1", caller.Principal{ID: "planer ä%", DisplayName: "Planer", Kind: caller.Agent, Grants: grants})
		p.authority.Expire(t, key, time.Hour)
		got := p.introspect(t, asker, key)
		var told map[string]any
		decode(t, string(got.body), &told)
		exp, _ := told["exp"].(float64)
		if left := time.Until(time.Unix(int64(exp), 0)); left < time.Hour-5*time.Second || left > time.Hour {
			t.Errorf("exp is %v from now", left)
		}
		for _, name := range []string{"exp", "grants"} {
			delete(told, name)
		}
		parsed, err := apikey.Parse(key)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]any{
			"active": true, "client_id": parsed.ID(), "username": "planer ä%", "sub": "acme/planer ä%", "token_type": "Bearer",
			"context": "acme", "key_name": "planer ä%", "principal_kind": "agent", "principal_name": "Planer",
			"scope": "memory:read memory:write:org/acme/* memory:forget:org/acme/* scope:read:org/acme/* scope:create:org/acme/* " +
				"scope:delete:org/acme/* grant:manage:org/acme/*",
		}
		if diff := cmp.Diff(want, told); diff != "" || got.status != http.StatusOK {
			t.Errorf("%d (-want +got): %s", got.status, diff)
		}
		if got.header.Get("Cache-Control") != "no-store" || !strings.HasPrefix(got.header.Get("Content-Type"), "application/json") {
			t.Errorf("headers %v", got.header)
		}
		if strings.Contains(p.log.String(), key) {
			t.Error("the key is in the log")
		}
	})
}

func TestIntrospectionOfATokenTellsItsScopes(t *testing.T) {
	t.Parallel()
	p := start(t, dbtest.SQLite(t))
	account := p.authority.Account("acme", "acme-1", "grafana", "did:sync:svc:grafana")
	token := p.authority.Token(t, account, grant.RecordsRead, grant.ConfigRead)
	chosen := p.authority.ChosenToken(t, "acme", "acme-1", `s3cret"+&=%41\:padding`, "did:x")
	for name, header := range map[string]string{
		"a key": "Bearer " + p.admin(t), "the token itself": "Bearer " + token, "a chosen token": "Bearer " + chosen,
		"a chosen token, encoded": basic(apikey.BootstrapAccount, url.QueryEscape(chosen)),
	} {
		got := p.introspect(t, "", token, "Authorization", header)
		var told struct {
			Active                bool
			Scope, Username, Sub  string
			Actors                []string
			Grants                map[string][]string
			PrincipalKind, Issuer string
		}
		decode(t, string(got.body), &told)
		if !told.Active || told.Scope != "records:read config:read" || told.Username != account || told.Sub != "acme/"+account ||
			!cmp.Equal(told.Actors, []string{"did:sync:svc:grafana"}) {
			t.Errorf("%s asks: %d %+v", name, got.status, told)
		}
	}
}

// Whatever is not the asker's to know is one and the same answer.
func TestIntrospectionTellsNothingOfOthers(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		asker := p.admin(t)
		expired := p.agent(t, "late", "/*")
		p.authority.Expire(t, expired, 0)
		unknown, err := apikey.Mint(apikey.NewID())
		if err != nil {
			t.Fatal(err)
		}
		for name, about := range map[string]string{
			"another context's":       p.authority.Key(t, "other", "other-1", "admin", grant.All()),
			"of an earlier life":      p.authority.Key(t, "acme", "acme-0", "admin", grant.All()),
			"another context's token": p.authority.Token(t, p.authority.Account("other", "other-1", "x", "did:x"), grant.Admin),
			"dead":                    p.authority.DeadKey(t), "expired": expired, "unknown": unknown.Reveal(), "garbage": "garbage", "NUL": "\x00", "long": strings.Repeat("x", 100_000),
		} {
			if got := p.introspect(t, asker, about); got.status != http.StatusOK || strings.TrimSpace(string(got.body)) != `{"active":false}` {
				t.Errorf("%s: %d %s", name, got.status, got.body)
			}
		}
	})
}

func TestIntrospectionIsForWhoHasAKey(t *testing.T) {
	t.Parallel()
	p := start(t, dbtest.SQLite(t))
	asker := p.admin(t)
	parsed, err := apikey.Parse(asker)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		header string
		status int
	}{
		"Bearer":                   {"Bearer " + asker, http.StatusOK},
		"Basic with the key's id":  {basic(parsed.ID(), asker), http.StatusOK},
		"Basic with its name":      {basic("admin", asker), http.StatusOK},
		"Basic, encoded":           {basic("ad%6Din", url.QueryEscape(asker)), http.StatusOK},
		"Basic with another name":  {basic("nobody", asker), http.StatusUnauthorized},
		"Basic without a name":     {basic("", asker), http.StatusUnauthorized},
		"Basic without a password": {basic("admin", ""), http.StatusUnauthorized},
		"Basic, badly encoded":     {basic("admin", asker+"%zz"), http.StatusUnauthorized},
		"Basic with a dead key":    {basic("admin", p.authority.DeadKey(t)), http.StatusUnauthorized},
		"Bearer with a dead key":   {"Bearer " + p.authority.DeadKey(t), http.StatusUnauthorized},
		"garbage":                  {"Bearer garbage", http.StatusUnauthorized},
		"another scheme":           {"Digest " + asker, http.StatusUnauthorized},
		"nothing":                  {"", http.StatusUnauthorized},
	} {
		got := p.introspect(t, "", asker, "Authorization", test.header)
		if got.status != test.status {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
		if got.status != http.StatusUnauthorized {
			continue
		}
		challenges := got.header.Values("WWW-Authenticate")
		if code := oauthError(t, got); code != "invalid_client" || len(challenges) != 2 {
			t.Errorf("%s: %s, challenges %q", name, code, challenges)
		}
	}
	if got := p.call(t, asker, http.MethodGet, "/oauth2/introspect?token="+asker, ""); got.status != http.StatusMethodNotAllowed {
		t.Errorf("by GET: %d", got.status)
	}
	p.authority.SetDown(true)
	if got := p.introspect(t, asker, asker); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("without an authority: %d %s", got.status, got.body)
	}
}

func oauthError(t *testing.T, a answer) string {
	t.Helper()
	var told map[string]string
	if err := json.Unmarshal(a.body, &told); err != nil || told["error_description"] == "" || len(told) != 2 {
		t.Errorf("%d: %s, %v", a.status, a.body, err)
	}
	return told["error"]
}

func TestIntrospectionRefusesWhatIsNoQuestion(t *testing.T) {
	t.Parallel()
	p := start(t, dbtest.SQLite(t))
	key := p.admin(t)
	for name, test := range map[string]struct {
		kind, body string
		status     int
	}{
		"JSON":               {"application/json", `{"token":"` + key + `"}`, http.StatusBadRequest},
		"no type":            {"nonsense", "token=" + key, http.StatusBadRequest},
		"no token":           {form, "token_type_hint=x", http.StatusBadRequest},
		"an empty token":     {form, "token=", http.StatusBadRequest},
		"two tokens":         {form, "token=" + key + "&token=" + key, http.StatusBadRequest},
		"bad encoding":       {form, "token=%zz", http.StatusBadRequest},
		"a token in the URL": {form, "", http.StatusBadRequest},
		"with a charset":     {form + "; charset=utf-8", "token=" + key, http.StatusOK},
		"too large":          {form, "token=" + key + "&pad=" + strings.Repeat("x", 2<<20), http.StatusRequestEntityTooLarge},
	} {
		got := p.call(t, key, http.MethodPost, "/oauth2/introspect?token="+key, test.body, "Content-Type", test.kind)
		if got.status != test.status {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
		if got.status == http.StatusBadRequest && oauthError(t, got) != "invalid_request" {
			t.Errorf("%s: %s", name, got.body)
		}
	}
}
