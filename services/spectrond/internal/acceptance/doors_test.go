package acceptance_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/dataplane"
)

// about is a question what a key is worth.
func about(asker, key string) request {
	return request{
		method: http.MethodPost, path: "/oauth2/introspect", key: asker, body: url.Values{"token": {key}}.Encode(),
		header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"},
	}
}

func verify(key, query string) request {
	return request{method: http.MethodGet, path: "/verify" + query, key: key}
}

// worth is what the caller is told: whether the key is active.
func (w *world) worth(t *testing.T, key string) bool {
	t.Helper()
	return w.must(t, about(w.key(t, "admin"), key), http.StatusOK).text(t, "active") == "true"
}

// TestTheDoors is the whole life of a key, seen by those who ask about it: minted, rotated, narrowed, revoked, each seen by the very
// next question; and of those that are nobody's to ask about.
func TestTheDoors(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, store string) {
		d := deploy(t, store)
		w, other := d.newWorld(t, ""), d.newWorld(t, "")
		old := w.key(t, "acme")
		for range 3 { // the second time from memory
			if !w.worth(t, old) {
				t.Fatal("a good key is not active")
			}
			w.must(t, verify(old, "?verb=memory:read&path=org/acme&context="+w.id), http.StatusOK)
		}
		w.must(t, verify(old, "/if;verb=memory:read;path=org%2Facme/api/things?x=y"), http.StatusOK)
		w.must(t, verify(old, "?verb=memory:read&path=org/other"), http.StatusForbidden)
		w.must(t, verify(old, "/if;verb=memory:read/x"), http.StatusForbidden)
		for name, key := range map[string]string{"another context's": other.key(t, "admin"), "the operator's": d.operator, "garbage": "x"} {
			if w.worth(t, key) {
				t.Errorf("%s key is active", name)
			}
		}
		w.must(t, verify(d.operator, ""), http.StatusUnauthorized)
		w.must(t, verify(other.key(t, "admin"), "?context="+w.id), http.StatusUnauthorized)
		keys := "/api/v1/contexts/" + w.id + "/keys/acme"
		rotated := w.must(t, request{method: http.MethodPost, path: keys + "/rotate", key: d.operator}, http.StatusOK).text(t, "key")
		if w.worth(t, old) || !w.worth(t, rotated) {
			t.Error("a rotation is not seen by the next question")
		}
		w.must(t, verify(old, ""), http.StatusUnauthorized)
		w.must(t, verify(rotated, ""), http.StatusOK)
		w.must(t, request{method: http.MethodDelete, path: keys, key: d.operator}, http.StatusNoContent)
		w.must(t, verify(rotated, ""), http.StatusUnauthorized)
		if w.worth(t, rotated) {
			t.Error("a revocation is not seen by the next question")
		}
		brief := w.must(t, request{method: http.MethodPost, path: keys + "?ttl_seconds=3600", key: d.operator}, http.StatusCreated)
		for range 2 {
			told := w.must(t, about(w.key(t, "admin"), brief.text(t, "key")), http.StatusOK).json(t)
			if err := match("answer", map[string]any{"exp": "$any", "sub": w.id + "/" + brief.text(t, "principalId")}, told); err != nil {
				t.Error(err)
			}
		}
		w.must(t, request{method: http.MethodGet, path: "/.well-known/jwks.json"}, http.StatusOK)
	})
}

// TestTheDoorsRefuse asks for what must be refused.
func TestTheDoorsRefuse(t *testing.T) {
	t.Parallel()
	d := deploy(t, dbtest.SQLite(t))
	w := d.newWorld(t, "")
	key := w.key(t, "admin")
	for _, path := range []string{"", "/x"} {
		w.must(t, verify("", path), http.StatusUnauthorized)
		two := verify(key, path)
		two.header = map[string]string{"X-Spectron-On-Behalf-Of": "a", "X-Memory-On-Behalf-Of": "b"}
		w.must(t, two, http.StatusBadRequest)
		nobody := verify(key, path)
		nobody.header = map[string]string{"X-Spectron-On-Behalf-Of": "absent"}
		w.must(t, nobody, http.StatusForbidden)
	}
	ask := about(key, key)
	ask.header["X-Spectron-On-Behalf-Of"] = "absent"
	w.must(t, ask, http.StatusForbidden)
	w.must(t, about("", key), http.StatusUnauthorized)
	w.must(t, about(key, ""), http.StatusBadRequest)
	w.must(t, about(key, strings.Repeat("x", 2<<20)), http.StatusRequestEntityTooLarge)
	fresh := w.key(t, "reader") // was never shown to the data plane, which so cannot remember it
	d.keymanager.CloseClientConnections()
	d.keymanager.Close()
	for _, r := range []request{verify(fresh, ""), verify(fresh, "/x"), about(fresh, fresh)} {
		if a := w.must(t, r, http.StatusServiceUnavailable); a.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", r.path)
		}
	}
}

// signing is how the doors are set up for services that want more than a proxy's word. Keys rotate every eight seconds, for which a
// deployment takes a month.
var signing = dataplane.Doors{Issuer: "spectron", Assertions: "on", Audience: []string{"app"}, TTL: 30 * time.Second, KeyLifetime: 8 * time.Second}

func deploySigning(t *testing.T, store string) *deployment {
	t.Helper()
	face := dataplane.Spl{SealSecret: settings.Secret(strings.Repeat("z", introspection.MinServiceSecret))}
	return deployDoors(t, store, 0, face, signing)
}
