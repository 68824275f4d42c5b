package acceptance_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/dataplane"
	"github.com/spectron-hq/spectron/services/dataplane/identity"
)

// surface is a step on one of the surfaces behind the scopes.
type surface struct {
	what, method, path, body string
	status                   int
	code                     string
}

func (w *splWorld) walk(t *testing.T, steps []surface) {
	t.Helper()
	for _, step := range steps {
		a := w.send(t, as(w.admin, "", step.method, step.path, step.body))
		if a.status != step.status || code(t, a) != step.code {
			t.Errorf("%s: got %d, want %d %s: %s", step.what, a.status, step.status, step.code, public(a))
		}
	}
}

// TestSplSurfaces walks over records, threads and configuration: what they refuse beside what every route does.
func TestSplSurfaces(t *testing.T) {
	t.Parallel()
	record := func(thread string, clock int) string {
		return fmt.Sprintf(`{"thread":%q,"act":"DO","actor":%q,"clock":%d}`, thread, operatorDID, clock)
	}
	dbtest.Each(t, func(t *testing.T, store string) {
		w := splDeploy(t, store)
		made := w.must(t, as(w.admin, "", http.MethodPost, "/v1/records", record("th_walk", 7)), http.StatusCreated)
		steps := []surface{
			{"a record", "GET", "/v1/records/" + made.text(t, "id"), "", 200, ""},
			{"a clock that falls", "POST", "/v1/records", record("th_walk", 3), 409, "CLOCK_REGRESSION"},
			{"hide a thread", "DELETE", "/v1/threads/th_walk", "", 200, ""},
			{"hide it again", "DELETE", "/v1/threads/th_walk", "", 200, ""},
			{"write to it", "POST", "/v1/records", record("th_walk", 8), 409, "THREAD_DELETED"},
			{"make it anew", "POST", "/v1/threads", `{"id":"th_walk"}`, 409, "THREAD_DELETED"},
			{"bring it a record", "POST", "/v1/sync/records", `{"records":[{"record":` + record("th_walk", 9) + `}]}`, 409, "THREAD_DELETED"},
			{"rules of no kind", "GET", "/v1/config/absent", "", 404, "NOT_FOUND"},
			{"a rule of no kind", "POST", "/v1/config/absent", `{"name":"x"}`, 404, "NOT_FOUND"},
			{"permissions that lock out", "POST", "/v1/config/permissions", `{"enabled":true}`, 409, "PERMISSIONS_LOCKOUT"},
		}
		for _, path := range []string{"", "/records", "/state", "/project", "/participants"} {
			steps = append(steps, surface{"a hidden thread" + path, "GET", "/v1/threads/th_walk" + path, "", 404, "NOT_FOUND"})
		}
		w.walk(t, steps)
	})
}

// TestSplPermissions wants the permission rules asked after the claim and before the body, and nothing to be more than they leave.
func TestSplPermissions(t *testing.T) {
	t.Parallel()
	w := splDeploy(t, dbtest.SQLite(t))
	_, token := w.account(t, []string{bob}, []string{"records:read", "records:write"})
	w.walk(t, []surface{
		{"a rule", "POST", "/v1/config/permission-rules", fmt.Sprintf(`{"name":"operator","action":"allow","expression":"current_actor() == '%s'"}`, operatorDID), 200, ""},
		{"turned on", "POST", "/v1/config/permissions", `{"enabled":true}`, 200, ""},
		{"the operator", "GET", "/v1/threads", "", 200, ""},
	})
	refuses(t, "another", w.send(t, as(token, bob, http.MethodGet, "/v1/threads", "")), http.StatusForbidden, "PERMISSION_DENIED")
	refuses(t, "before the body", w.send(t, as(token, bob, http.MethodPost, "/v1/records", `[]`)), http.StatusForbidden, "PERMISSION_DENIED")
	refuses(t, "after the claim", w.send(t, as(token, carol, http.MethodGet, "/v1/threads", "")), http.StatusForbidden, "DID_CLAIM_DENIED")
	w.must(t, as(w.admin, "", http.MethodPost, "/v1/config/permissions", `{"enabled":false}`), http.StatusOK)
	w.must(t, as(token, bob, http.MethodGet, "/v1/threads", ""), http.StatusOK)
}

// TestSplCeilings fills what has an end.
func TestSplCeilings(t *testing.T) {
	t.Parallel()
	w := splDeploy(t, dbtest.SQLite(t))
	const most = 256
	for i := range most {
		w.must(t, as(w.admin, "", http.MethodPost, "/v1/config/rules", fmt.Sprintf(`{"name":"r%d"}`, i)), http.StatusOK)
		w.must(t, as(w.admin, "", http.MethodPost, "/v1/sync/pairs", pairBody(fmt.Sprintf("th_%d", i), "")), http.StatusCreated)
	}
	w.walk(t, []surface{
		{"a rule too many", "POST", "/v1/config/rules", `{"name":"more"}`, 409, "CONFLICT"},
		{"a pair too many", "POST", "/v1/sync/pairs", pairBody("th_more", ""), 409, "CONFLICT"},
	})
}

func pairBody(thread, token string) string {
	return fmt.Sprintf(`{"peer_did":"did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK","peer_url":"http://127.0.0.1:1","thread_id":%q,"peer_token":%q}`, thread, token)
}

// TestSplFederation is the life of a pair, and what a server with an identity answers that one without cannot.
func TestSplFederation(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, store string) {
		own, err := identity.Open(filepath.Join(t.TempDir(), "own"))
		if err != nil {
			t.Fatal(err)
		}
		other, err := identity.Open(filepath.Join(t.TempDir(), "other"))
		if err != nil {
			t.Fatal(err)
		}
		w := begin(t, deployFaced(t, store, 0, dataplane.Spl{Identity: own}))
		const challenge = "0123456789abcdef"
		handshake := func(sig string) string {
			return fmt.Sprintf(`{"did":%q,"challenge":%q,"sig":%q}`, other.DID(), challenge, sig)
		}
		unsigned := fmt.Sprintf(`{"records":[{"record":{"thread":"th_t","act":"DO","actor":%q,"clock":1},"sig":"x","signer":%q}]}`, bob, other.DID())
		signed := as(w.admin, "", http.MethodPost, "/v1/sync/records", unsigned)
		signed.header = map[string]string{"X-Syncropel-Federation": "1"}
		refuses(t, "a record nobody signed", w.send(t, signed), http.StatusUnprocessableEntity, "SIGNATURE_INVALID")
		pair := w.must(t, as(w.admin, "", http.MethodPost, "/v1/sync/pairs", pairBody("th_t", "")), http.StatusCreated)
		path := "/v1/sync/pairs/" + pair.text(t, "pair_id")
		w.walk(t, []surface{
			{"a handshake", "POST", "/v1/federation/pair", handshake(other.Sign("syncropel handshake " + other.DID() + " " + challenge)), 200, ""},
			{"a forged handshake", "POST", "/v1/federation/pair", handshake(own.Sign("syncropel handshake " + other.DID() + " " + challenge)), 422, "SIGNATURE_INVALID"},
			{"a token that cannot be sealed", "POST", "/v1/sync/pairs", pairBody("th_t", "spl_x"), 501, "NOT_SUPPORTED"},
			{"the pair", "GET", path, "", 200, ""},
			{"its numbers", "GET", path + "/stats", "", 200, ""},
			{"pause it", "POST", path + "/pause", "", 200, ""},
			{"who it is", "GET", "/v1/identity", "", 200, ""},
			{"what it can do", "GET", "/.well-known/syncropel", "", 200, ""},
			{"end it", "DELETE", path, "", 200, ""},
			{"it is gone", "GET", path, "", 404, "NOT_FOUND"},
		})
	})
	w := begin(t, deployFaced(t, dbtest.SQLite(t), 0, dataplane.Spl{SealSecret: settings.Secret("a secret to seal with, of enough length")}))
	w.walk(t, []surface{
		{"a handshake with nobody", "POST", "/v1/federation/pair", `{"did":"did:key:z6Mk","challenge":"0123456789abcdef","sig":"x"}`, 501, "NOT_SUPPORTED"},
		{"a token that is sealed", "POST", "/v1/sync/pairs", pairBody("th_t", "spl_x"), 201, ""},
	})
}
