package acceptance_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

// splIDs are ids of nothing, by the names of path parameters.
func splIDs() map[string]string {
	return map[string]string{"id": "absent", "token_id": "absent", "kind": "absent", "action": "kick"}
}

// TestSplRefusals asks every operation of the face for what it must refuse, whatever it does.
func TestSplRefusals(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, store string) {
		w := splDeploy(t, store)
		_, mute := w.account(t, []string{}, []string{"admin"})
		for _, op := range splFace.operations {
			if op.route == "/.well-known/syncropel" {
				continue
			}
			expect := func(why string, status int, change func(r *request)) {
				t.Helper()
				r := sample(t, op, splIDs())
				r.key = w.admin
				change(&r)
				if a := w.send(t, r); a.status != status {
					t.Errorf("%s: %s: got %d, want %d: %s", op.name(), why, a.status, status, public(a))
				}
			}
			if !op.open() {
				expect("no token", http.StatusUnauthorized, func(r *request) { r.key = "" })
				expect("a bad token", http.StatusUnauthorized, func(r *request) { r.key = "x" })
				expect("no actors", http.StatusForbidden, func(r *request) { r.key = mute })
			}
			expect("a malformed query", http.StatusBadRequest, func(r *request) { r.path += "?x=%zz" })
			if strings.Contains(op.route, "{") {
				expect("a malformed id", http.StatusUnprocessableEntity, func(r *request) {
					for _, id := range []string{"/absent", "/kick"} {
						if head, tail, ok := strings.Cut(r.path, id); ok {
							r.path = head + "/%00" + tail
							return
						}
					}
				})
			}
			if op.RequestBody != nil {
				refuseBodies(expect)
			}
		}
	})
}

// TestSplWithoutTheKeyManager wants 503, and never 401, from whatever has to ask it.
func TestSplWithoutTheKeyManager(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, store string) {
		w := splDeploy(t, store)
		_, fresh := w.account(t, []string{operatorDID}, []string{"admin"}) // was never shown to the data plane, which so cannot remember it
		w.keymanager.CloseClientConnections()
		w.keymanager.Close()
		for _, op := range splFace.operations {
			if op.route == "/.well-known/syncropel" {
				continue
			}
			r := sample(t, op, splIDs())
			r.key = fresh
			if a := w.send(t, r); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
				t.Errorf("%s: got %d, want 503 and when to try again: %s", op.name(), a.status, public(a))
			}
		}
		w.must(t, request{method: http.MethodGet, path: "/.well-known/syncropel"}, http.StatusOK)
		w.must(t, request{method: http.MethodGet, path: "/health"}, http.StatusOK)
	})
}

// TestTheFacesAreApart wants no credential of one face to open the other.
func TestTheFacesAreApart(t *testing.T) {
	t.Parallel()
	w := splDeploy(t, dbtest.SQLite(t))
	tenant, token := w.newWorld(t, ""), w.admin
	for _, path := range []string{"/api/v1/" + splContext + "/me", "/api/v1/" + tenant.id + "/me", "/mcp", "/api/v1/contexts"} {
		if a := w.send(t, request{method: http.MethodGet, path: path, key: token}); a.status != http.StatusUnauthorized {
			t.Errorf("a token at %s: %d %s", path, a.status, public(a))
		}
	}
	for _, key := range []string{tenant.key(t, "admin"), w.operator} {
		for _, path := range []string{"/v1/threads", "/v1/tokens", "/v1/absent"} {
			refuses(t, "a key at "+path, w.send(t, request{method: http.MethodGet, path: path, key: key}), http.StatusUnauthorized, "AUTH_INVALID")
		}
	}
}
