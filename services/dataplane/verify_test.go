package dataplane_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/dataplane"
)

// identityHeaders returns those of an answer that tell who asks.
func identityHeaders(a answer) map[string]string {
	out := map[string]string{}
	for name, values := range a.header {
		if strings.HasPrefix(name, "X-Spectron-") {
			out[name] = strings.Join(values, " and ")
		}
	}
	return out
}

func TestAProxyIsToldWhoAsks(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		key := p.authority.KeyOf(t, "acme", "acme-1", caller.Principal{
			ID: `plän"er %`, Kind: caller.Supervisor, Grants: grant.Map{grant.MemoryRead: over(t, "org/ä/*")[grant.MemoryRead]},
		})
		parsed, err := apikey.Parse(key)
		if err != nil {
			t.Fatal(err)
		}
		got := p.call(t, key, http.MethodGet, "/verify?verb=memory:read&path=org/%C3%A4/x&context=acme", "")
		want := map[string]string{
			"X-Spectron-Context": "acme", "X-Spectron-Principal": "pl%C3%A4n%22er%20%25", "X-Spectron-Principal-Kind": "supervisor",
			"X-Spectron-On-Behalf-Of": "", "X-Spectron-Key-Id": parsed.ID(), "X-Spectron-Key-Name": "pl%C3%A4n%22er%20%25",
			"X-Spectron-Scopes": "memory:read:org/%C3%A4/*", "X-Spectron-Scopes-Cut": "false", "X-Spectron-Verdict": "authority",
			"X-Spectron-As-Of": "0", "X-Spectron-Assertion": "",
		}
		if diff := cmp.Diff(want, identityHeaders(got)); diff != "" || got.status != http.StatusOK || len(got.body) > 0 {
			t.Errorf("%d %s (-want +got): %s", got.status, got.body, diff)
		}
		if got.header.Get("Cache-Control") != "no-store" {
			t.Error("the answer may be kept")
		}
	})
}

// TestWhoMayPass is a table of requests and what a proxy is told, by every way to ask.
func TestWhoMayPass(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, store string) {
		p := start(t, store)
		keys := map[string]string{
			"none": "", "dead": p.authority.DeadKey(t), "garbage": "garbage", "planner": p.agent(t, "planner", "org/acme/*"), "admin": p.admin(t),
			"token":  p.authority.Token(t, p.authority.Account("acme", "acme-1", "x", "did:x"), grant.RecordsRead),
			"chosen": p.authority.ChosenToken(t, "acme", "acme-1", `s3cret!,"\padding`, "did:x"),
			"other":  p.authority.Key(t, "other", "other-1", "admin", grant.All()),
		}
		for _, test := range []struct {
			key, query string
			status     int
		}{
			{"none", "", 401},
			{"dead", "", 401},
			{"garbage", "", 401},
			{"none", "verb=nonsense", 401},
			{"planner", "", 200},
			{"token", "", 200},
			{"chosen", "", 200},
			{"planner", "verb=memory:read&path=org/acme/x", 200},
			{"planner", "verb=memory:read&path=/org/acme/", 200},
			{"planner", "verb=memory:read&path=org/other", 403},
			{"planner", "verb=memory:read", 403}, // over the root
			{"admin", "verb=memory:read", 200},
			{"admin", "verb=records:read", 403}, // that a key holds every verb makes it no service account
			{"planner", "verb=admin&path=org/acme", 403},
			{"token", "verb=records:read", 200},
			{"token", "verb=records:read&path=org/acme", 200},
			{"token", "verb=records:write", 403},
			{"token", "verb=memory:read", 403},
			{"chosen", "verb=records:write", 200},
			{"planner", "context=acme", 200},
			{"other", "context=acme", 401},
			{"planner", "context=nobodys", 401},
			{"planner", "verb=", 400},
			{"planner", "context=", 400},
			{"planner", "path=org/acme", 400},
			{"planner", "verb=memory:read&verb=memory:read&path=org/acme", 400},
			{"planner", "verb=memory:read&path=org/acme&path=org/other", 400},
			{"planner", "verb=nonsense", 400},
			{"planner", "verb=memory:read&path=org//acme", 400},
			{"planner", "verb=memory:read&path=org/../acme", 400},
			{"planner", "verb=memory:read&path=", 400},
			{"planner", "verbs=memory:read", 400},
			{"planner", "audience=app", 400}, // assertions are off
			{"planner", "verb=%zz", 400},
		} {
			paths := []string{"/verify?" + test.query}
			if test.query == "" {
				paths = append(paths, "/verify/", "/verify/api/v1//x?q=1", "/verify/a%2Fb?path=/etc&verb=nonsense&%zz", "/verify/ifs;verb=x/y")
			}
			if !strings.Contains(test.query, "/") && test.query != "" {
				given := "if;" + strings.ReplaceAll(test.query, "&", ";")
				paths = append(paths, "/verify/"+given, "/verify/"+given+"/", "/verify/"+given+"/api/x?verb=nonsense")
			} else if test.query != "" {
				given := "if;" + strings.ReplaceAll(strings.ReplaceAll(test.query, "&", ";"), "/", "%2F")
				paths = append(paths, "/verify/"+given+"/api/x?path=y")
			}
			for _, path := range paths {
				if strings.Contains(path, "/verify/if") && strings.Contains(path, "%zz") {
					continue // net/http refuses it before anybody sees it
				}
				got := p.call(t, keys[test.key], http.MethodGet, path, "")
				if got.status != test.status {
					t.Errorf("%s asks %s: %d, want %d: %s", test.key, path, got.status, test.status, got.body)
				}
				if headers := identityHeaders(got); got.status != http.StatusOK && len(headers) > 0 {
					t.Errorf("%s asks %s: refused, but told %v", test.key, path, headers)
				}
				if challenge := got.header.Get("WWW-Authenticate"); (got.status == 401) != (challenge == `Bearer realm="spectron"`) && got.status != 403 {
					t.Errorf("%s asks %s: %d with the challenge %q", test.key, path, got.status, challenge)
				}
			}
		}
		if got := p.call(t, keys["admin"], http.MethodGet, "/verify/?verb=memory:read", ""); got.status != http.StatusBadRequest {
			t.Errorf("with a slash too many the conditions are not looked at: %d", got.status)
		}
		p.authority.SetDown(true)
		if got := p.call(t, keys["admin"], http.MethodGet, "/verify", ""); got.status != 503 || got.header.Get("Retry-After") == "" {
			t.Errorf("without an authority: %d", got.status)
		}
	})
}

// Every method asks the same. OPTIONS above all: an answer of 2xx to a preflight would be leave to pass without a key.
func TestAProxyMayAskByAnyMethod(t *testing.T) {
	t.Parallel()
	p := start(t, dbtest.SQLite(t), func(cfg *dataplane.Config) { cfg.CORSAllowedOrigins = []string{"https://app.example.com"} })
	key := p.admin(t)
	headers := []string{"Origin", "https://app.example.com", "Access-Control-Request-Method", "POST"}
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "QUERY"} {
		for _, path := range []string{"/verify", "/verify/api/things"} {
			if got := p.call(t, "", method, path, "", headers...); got.status != http.StatusUnauthorized {
				t.Errorf("%s %s without a key: %d", method, path, got.status)
			}
			got := p.call(t, key, method, path, "", headers...)
			if got.status != http.StatusOK || got.header.Get("X-Spectron-Context") != "acme" || got.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s %s: %d %v", method, path, got.status, got.header)
			}
		}
	}
	if got := p.call(t, key, "INVENTED", "/verify", ""); got.status != http.StatusMethodNotAllowed {
		t.Errorf("a method that nobody knows: %d", got.status)
	}
	two := p.call(t, "", http.MethodGet, "/verify", "", "Authorization", "Basic "+key)
	if two.status != http.StatusUnauthorized {
		t.Errorf("another scheme: %d", two.status)
	}
}

// A principal with more grants than a proxy takes in a header: those that do not fit are not told, and none is cut in two.
func TestTooManyScopesAreLeftOut(t *testing.T) {
	t.Parallel()
	p := start(t, dbtest.SQLite(t))
	var patterns []string
	for i := range 200 {
		patterns = append(patterns, "org/"+strings.Repeat("x", 20)+string(rune('a'+i%26))+strings.Repeat("y", i/26)+"/*")
	}
	got := p.call(t, p.agent(t, "many", patterns...), http.MethodGet, "/verify", "")
	scopes := got.header.Get("X-Spectron-Scopes")
	if got.header.Get("X-Spectron-Scopes-Cut") != "true" || len(scopes) > 2048 || len(scopes) < 1900 {
		t.Errorf("%d bytes of scopes", len(scopes))
	}
	for each := range strings.FieldsSeq(scopes) {
		if !strings.HasPrefix(each, "memory:read:org/xxxxx") || !strings.HasSuffix(each, "/*") {
			t.Errorf("a scope: %q", each)
		}
	}
}

func TestActingForAnother(t *testing.T) {
	t.Parallel()
	p := start(t, dbtest.SQLite(t))
	admin := p.admin(t)
	p.agent(t, "planner", "org/acme/*")
	got := p.call(t, admin, http.MethodGet, "/verify?verb=memory:read&path=org/acme", "", "X-Spectron-On-Behalf-Of", "planner")
	if got.status != http.StatusOK || got.header.Get("X-Spectron-On-Behalf-Of") != "planner" || got.header.Get("X-Spectron-Principal") != "admin" {
		t.Errorf("%d %v", got.status, got.header)
	}
	if got := p.call(t, admin, http.MethodGet, "/verify?verb=memory:read", "", "X-Spectron-On-Behalf-Of", "planner"); got.status != http.StatusForbidden {
		t.Errorf("beyond the other's: %d", got.status)
	}
	if got := p.call(t, admin, http.MethodGet, "/verify", "", "X-Spectron-On-Behalf-Of", "nobody"); got.status != http.StatusForbidden {
		t.Errorf("for nobody: %d", got.status)
	}
}

// signing turns assertions on.
func signing(cfg *dataplane.Config) {
	cfg.Doors = dataplane.Doors{Issuer: "spectron", Assertions: "on", Audience: []string{"app", "other"}, TTL: 20 * time.Second}
	cfg.Spl.SealSecret = settings.Secret(strings.Repeat("z", 32))
}

func TestWithAssertionsAProxyHandsOnASignedOne(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, store string) {
		metrics := prometheus.NewRegistry()
		p := start(t, store, signing, func(cfg *dataplane.Config) { cfg.Metrics = metrics })
		key := p.agent(t, "planner", "org/acme/*")
		p.authority.Expire(t, key, 10*time.Second)
		got := p.call(t, key, http.MethodGet, "/verify?"+url.Values{"verb": {"memory:write"}, "path": {"org/acme/x"}, "audience": {"other"}}.Encode(), "")
		claims := p.assertion(t, got.header.Get("X-Spectron-Assertion"))
		exp, err := claims.GetExpirationTime()
		if err != nil || time.Until(exp.Time) > 10*time.Second {
			t.Errorf("it outlives its key: %v, %v", exp, err)
		}
		for name, want := range map[string]any{
			"iss": "spectron", "sub": "acme/planner", "context": "acme", "principal": "planner", "verb": "memory:write", "path": "org/acme/x/",
			"key_id": got.header.Get("X-Spectron-Key-Id"), "scope": got.header.Get("X-Spectron-Scopes"), "aud": []any{"other"},
		} {
			if diff := cmp.Diff(want, claims[name]); diff != "" {
				t.Errorf("%s (-want +got): %s", name, diff)
			}
		}
		if got := p.call(t, key, http.MethodGet, "/verify?audience=strangers", ""); got.status != http.StatusBadRequest {
			t.Errorf("for a service that is not configured: %d", got.status)
		}
		families, err := metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		counts := map[string]float64{}
		for _, family := range families {
			for _, metric := range family.GetMetric() {
				name := family.GetName()
				for _, label := range metric.GetLabel() {
					name += " " + label.GetValue()
				}
				counts[name] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
			}
		}
		for name, want := range map[string]float64{
			"spectron_door_requests_total verify allowed": 1, "spectron_door_requests_total verify validation-error": 1, "spectron_assertion_keys": 1,
		} {
			if counts[name] != want {
				t.Errorf("%s is %v, want %v", name, counts[name], want)
			}
		}
	})
}

// assertion checks a signed assertion by the keys that the plane publishes.
func (p *plane) assertion(t *testing.T, token string) jwt.MapClaims {
	t.Helper()
	set := p.call(t, "", http.MethodGet, "/.well-known/jwks.json", "")
	if age := set.header.Get("Cache-Control"); set.status != http.StatusOK || age != "public, max-age=300" {
		t.Errorf("the keys: %d, %q", set.status, age)
	}
	var keys struct{ Keys []struct{ Kid, X string } }
	decode(t, string(set.body), &keys)
	claims := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(token, claims, func(token *jwt.Token) (any, error) {
		for _, key := range keys.Keys {
			if key.Kid == token.Header["kid"] {
				return publicKey(key.X)
			}
		}
		return nil, jwt.ErrTokenUnverifiable
	}, jwt.WithValidMethods([]string{"EdDSA"}))
	if err != nil {
		t.Fatal(err)
	}
	return claims
}

func publicKey(x string) (ed25519.PublicKey, error) { return base64.RawURLEncoding.DecodeString(x) }

func tokenKid(t *testing.T, token string) string {
	t.Helper()
	parsed, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
	if err != nil {
		t.Fatal(err)
	}
	kid, _ := parsed.Header["kid"].(string)
	return kid
}

// Two planes on one store sign with the same key: what one has signed the other one's set checks, and a third with another sealing secret
// does not take part.
func TestReplicasShareTheirKeys(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, store string) {
		one, two := start(t, store, signing), start(t, store, signing)
		token := one.call(t, one.admin(t), http.MethodGet, "/verify", "").header.Get("X-Spectron-Assertion")
		if claims := two.assertion(t, token); claims["principal"] != "admin" {
			t.Errorf("%v", claims)
		}
		other := start(t, store, signing, func(cfg *dataplane.Config) { cfg.Spl.SealSecret = settings.Secret(strings.Repeat("y", 32)) })
		if set := other.call(t, "", http.MethodGet, "/.well-known/jwks.json", ""); strings.Contains(string(set.body), tokenKid(t, token)) {
			t.Error("a plane publishes a key that it cannot have checked")
		}
	})
}

func TestWithoutAssertionsThereAreNoKeys(t *testing.T) {
	t.Parallel()
	p := start(t, dbtest.SQLite(t))
	set := p.call(t, "", http.MethodGet, "/.well-known/jwks.json", "")
	if set.status != http.StatusOK || string(set.body) != `{"keys":[]}` {
		t.Errorf("%d %s", set.status, set.body)
	}
}

func TestAssertionsAreConfiguredOrRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]struct{ variable, value, wants string }{
		"no audience":       {"SPECTRON_ASSERTION_AUDIENCE", "", "SPECTRON_ASSERTION_AUDIENCE"},
		"no secret":         {"SPECTRON_SPL_SEAL_SECRET", "", "SPECTRON_SPL_SEAL_SECRET"},
		"too long":          {"SPECTRON_ASSERTION_TTL", "61s", "SPECTRON_ASSERTION_TTL"},
		"neither on or off": {"SPECTRON_ASSERTIONS", "yes", "SPECTRON_ASSERTIONS"},
		"keys that fly by":  {"SPECTRON_ASSERTION_KEY_LIFETIME", "1m", "SPECTRON_ASSERTION_KEY_LIFETIME"},
		"nothing":           {"SPECTRON_ASSERTIONS", "on", ""},
	} {
		environ := settings.Environ{
			"SPECTRON_CONNECTION_STRING": "sqlite:x", "SPECTRON_SERVICE_SECRET": strings.Repeat("s", 32), "SPECTRON_ASSERTIONS": "on",
			"SPECTRON_ASSERTION_AUDIENCE": "app", "SPECTRON_SPL_SEAL_SECRET": strings.Repeat("z", 32),
		}
		environ[change.variable] = change.value
		var cfg dataplane.Config
		err := settings.Load(&cfg, environ, nil)
		if (err == nil) != (change.wants == "") || err != nil && !strings.Contains(err.Error(), change.wants) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
