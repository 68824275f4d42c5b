package httpapi_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager/internal/httpapi"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
)

var errandPaths = []string{
	introspection.ListKeysPath, introspection.MintKeyPath, introspection.RotateKeyPath, introspection.DeleteKeyPath,
	introspection.ListPrincipalPath, introspection.GetPrincipalPath, introspection.EffectivePath, introspection.AddGrantsPath,
	introspection.RemoveGrantsPath,
}

// callerToken returns a token as the data plane makes one for a caller's errand.
func callerToken(t *testing.T, who introspection.Identity, errand string) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss": introspection.Issuer, "aud": introspection.Audience, "sub": "replica-1", "exp": time.Now().Add(time.Minute).Unix(),
		introspection.IdentityClaim: who, introspection.ErrandClaim: errand,
	}).SignedString([]byte(serviceSecret))
	must(t, err)
	return token
}

// identity is who a key is to the data plane that has just verified it.
func (s *server) identity(t *testing.T, text string) introspection.Identity {
	t.Helper()
	parsed, err := apikey.Parse(text)
	must(t, err)
	return introspection.IdentityOf(s.introspect(t, text).Verdicts[0].Caller(), parsed.Digest())
}

// run asks for an errand that whoever has every right may have done.
func (s *server) run(t *testing.T, who introspection.Identity, path string) answer {
	t.Helper()
	body := map[string]string{
		introspection.ListKeysPath: `{"limit":10}`, introspection.MintKeyPath: `{"grants":null}`,
		introspection.RotateKeyPath: `{"name":"other"}`, introspection.DeleteKeyPath: `{"name":"other"}`,
		introspection.ListPrincipalPath: `{"limit":10}`, introspection.GetPrincipalPath: `{"id":"admin"}`,
		introspection.EffectivePath: `{"id":"admin","path":"/"}`,
	}[path]
	if body == "" {
		body = `{"id":"admin","path":"/*","verbs":["memory:read"]}`
	}
	return s.send("POST", path, callerToken(t, who, path), body)
}

func TestErrandsNeedAServiceThatSpeaksForACaller(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		first := s.identity(t, s.first)
		paths := slices.Concat(errandPaths, accountPaths)
		for i, path := range paths {
			another := callerToken(t, first, paths[(i+1)%len(paths)])
			for _, token := range []string{"", "x", s.management, s.first, serviceToken(t), callerToken(t, first, ""), another} {
				refused(t, s.send("POST", path, token, "{}"), fault.Unauthenticated, "")
			}
			refused(t, s.send("POST", path, callerToken(t, first, path), `{"more":1}`), fault.Invalid, "more")
		}
		// Nor is a caller's token good for what services do for themselves.
		for _, path := range []string{introspection.Path, introspection.LeasesPath, introspection.UsesPath, introspection.BootstrapPath, introspection.JobsPath} {
			refused(t, s.send("POST", path, callerToken(t, first, path), "{}"), fault.Unauthenticated, "")
		}
	})
}

// The key manager looks the key up again: whatever the data plane has verified, what is gone since is refused.
func TestErrandsAreDecidedByWhatIsTrueNow(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		mint := func(name, body string) httpapi.MintedKey {
			t.Helper()
			var request any
			if body != "" {
				request = body
			}
			return into[httpapi.MintedKey](t, s.operate("POST", keys+"/"+name, request), http.StatusCreated)
		}
		const everything = `{"grants":{"grant:manage":["/*"],"memory:read":["/*"]}}`
		mint("other", "")
		rotated, deleted, narrowed := mint("rotated", everything), mint("deleted", everything), mint("narrowed", everything)
		gone := map[string]introspection.Identity{"rotated": s.identity(t, rotated.Key), "deleted": s.identity(t, deleted.Key)}
		weak, first := s.identity(t, narrowed.Key), s.identity(t, s.first)
		into[httpapi.MintedKey](t, s.operate("POST", keys+"/rotated/rotate", nil), http.StatusOK)
		into[struct{}](t, s.operate("DELETE", keys+"/deleted", nil), http.StatusNoContent)
		for name, change := range map[string]func(*introspection.Identity){
			"another context":     func(who *introspection.Identity) { who.Context = "x" },
			"another incarnation": func(who *introspection.Identity) { who.Incarnation = "x" },
			"another key":         func(who *introspection.Identity) { who.KeyID = narrowed.Id },
			"another principal":   func(who *introspection.Identity) { who.PrincipalID = "system" },
			"no secret":           func(who *introspection.Identity) { who.Digest = apikey.Digest{} },
		} {
			who := first
			change(&who)
			gone[name] = who
		}
		for name, who := range gone {
			for _, path := range errandPaths {
				if a := s.run(t, who, path); a.status != http.StatusUnauthorized {
					t.Errorf("%s: %s answers %d", name, path, a.status)
				}
				refused(t, s.run(t, who, path), fault.Unauthenticated, introspection.CallerField)
			}
		}
		into[struct{}](t, s.operate("DELETE", "/api/v1/contexts/default/principals/"+narrowed.PrincipalId+"/grants",
			`{"path":"/*","verbs":["grant:manage","memory:read"]}`), http.StatusOK)
		for _, path := range errandPaths[2:4] {
			refused(t, s.run(t, weak, path), fault.NotFound, "")
		}
		for _, path := range errandPaths[4:] {
			refused(t, s.run(t, weak, path), fault.Forbidden, "")
		}
		// So is whom the caller acts for.
		onBehalf := first
		onBehalf.OnBehalfOf = narrowed.PrincipalId
		for _, path := range errandPaths[1:] {
			refused(t, s.run(t, onBehalf, path), fault.Forbidden, "")
		}
		onBehalf.OnBehalfOf = "nobody"
		for _, path := range errandPaths {
			refused(t, s.run(t, onBehalf, path), fault.Forbidden, "")
		}
		for _, path := range errandPaths {
			if a := s.run(t, first, path); a.status != http.StatusOK {
				t.Errorf("%s as one who may: %d", path, a.status)
			}
		}
	})
}

// A deletion whose answer was lost is repeated: what is not there is no news before the verifiers know.
func TestARepeatedErrandWaitsForVerifiers(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		into[httpapi.MintedKey](t, s.operate("POST", keys+"/other", nil), http.StatusCreated)
		first := s.identity(t, s.first)
		into[struct{}](t, s.run(t, first, introspection.DeleteKeyPath), http.StatusOK)
		leases := revision.NewLeases(s.records, time.Minute, s.barrier)
		identity := s.renew(t, introspection.Renewal{Verifier: "v"}).Authority
		acknowledge := func(revision int64) {
			t.Helper()
			_, err := leases.Renew(t.Context(), introspection.Renewal{Verifier: "v", Authority: identity, Acknowledged: revision})
			must(t, err)
		}
		newest, err := s.records.Newest(t.Context())
		must(t, err)
		acknowledge(newest - 1)
		answered := make(chan answer, 1)
		go func() { answered <- s.run(t, first, introspection.DeleteKeyPath) }()
		select {
		case a := <-answered:
			t.Fatalf("answered %d while a verifier did not know", a.status)
		case <-time.After(pause):
		}
		acknowledge(newest)
		refused(t, <-answered, fault.NotFound, "")
	})
}
