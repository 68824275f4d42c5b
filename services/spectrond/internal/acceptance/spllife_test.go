package acceptance_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

// TestBootstrapOnce lets many race for the first account.
func TestBootstrapOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, store string) {
		d := deploy(t, store)
		const racers = 8
		var wait sync.WaitGroup
		made := make([]answer, racers)
		for i := range racers {
			wait.Go(func() {
				made[i] = d.sendOff(t, request{method: http.MethodPost, path: "/v1/bootstrap/service-account", body: fmt.Sprintf(
					`{"display_name":"racer %d","allowed_actors":[%q],"scopes":["admin"],"with_token":true,"namespace":"default"}`, i, operatorDID)})
			})
		}
		wait.Wait()
		won := slices.IndexFunc(made, func(a answer) bool { return a.status == http.StatusCreated })
		for i, a := range made {
			if i != won {
				refuses(t, "losing the race", a, http.StatusConflict, "BOOTSTRAP_CLOSED")
			}
		}
		if won < 0 {
			t.Fatal("nobody won")
		}
		token, id := made[won].text(t, "token"), made[won].text(t, "id")
		if made[won].text(t, "object") != "bootstrap_result" || made[won].text(t, "service_account_id") != id || made[won].text(t, "namespace") != splContext {
			t.Error("the answer is not that of a bootstrap")
		}
		d.must(t, as(token, "", http.MethodGet, "/v1/tokens", ""), http.StatusOK)
		// Closed for good: revoked accounts count.
		d.must(t, as(token, "", http.MethodDelete, "/v1/service-accounts/"+id, ""), http.StatusOK)
		refuses(t, "its own token", d.send(t, as(token, "", http.MethodGet, "/v1/tokens", "")), http.StatusUnauthorized, "AUTH_INVALID")
		again := d.send(t, request{method: http.MethodPost, path: "/v1/bootstrap/service-account", body: `{"name":"again"}`})
		refuses(t, "another bootstrap", again, http.StatusConflict, "BOOTSTRAP_CLOSED")
	})
}

// TestAccountsAndTokens is the life of accounts and tokens: what is snapshotted and what is live, and that nothing outlives its revocation by
// as much as one request.
func TestAccountsAndTokens(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, store string) {
		w := splDeploy(t, store)
		for name, test := range map[string]func(*testing.T){
			"snapshot and live": w.snapshotAndLive, "rotate and revoke": w.rotateAndRevoke, "lists": w.lists, "audit": w.audited,
			"refusals": w.accountRefusals, "one refusal for every bad token": w.oneRefusal,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t)
			})
		}
	})
}

const bob, carol = "did:sync:user:bob", "did:sync:user:carol"

func (w *splWorld) snapshotAndLive(t *testing.T) {
	t.Helper()
	id, old := w.account(t, []string{bob}, []string{"records:read"})
	path := "/v1/service-accounts/" + id
	threads := func(token, actor string) answer {
		return w.send(t, as(token, actor, http.MethodGet, "/v1/threads", ""))
	}
	making := func(token, actor string) answer {
		return w.send(t, as(token, actor, http.MethodPost, "/v1/threads", `{"id":"th_made"}`))
	}
	if a := threads(old, ""); a.status != http.StatusOK {
		t.Fatalf("a new token: %d %s", a.status, public(a))
	}
	// Scopes reach later tokens only.
	w.must(t, as(w.admin, "", http.MethodPatch, path, `{"scopes":["threads:write"],"name":"renamed"}`), http.StatusOK)
	later := w.must(t, as(w.admin, "", http.MethodPost, path+"/tokens", ""), http.StatusCreated).text(t, "token")
	if a := threads(old, ""); a.status != http.StatusOK {
		t.Errorf("the old token lost its scope: %d", a.status)
	}
	refuses(t, "the old token and a new scope", making(old, ""), http.StatusForbidden, "SCOPE_FORBIDDEN")
	if a := making(later, ""); a.status != http.StatusCreated {
		t.Errorf("the later token lacks the new scope: %d", a.status)
	}
	refuses(t, "the later token and the old scope", threads(later, ""), http.StatusForbidden, "SCOPE_FORBIDDEN")
	// Actors reach every token, at once.
	w.must(t, as(w.admin, "", http.MethodPatch, path, fmt.Sprintf(`{"allowed_actors":[%q]}`, carol)), http.StatusOK)
	refuses(t, "the former actor", threads(old, bob), http.StatusForbidden, "DID_CLAIM_DENIED")
	if a := threads(old, carol); a.status != http.StatusOK {
		t.Errorf("the new actor: %d", a.status)
	}
	w.must(t, as(w.admin, "", http.MethodPatch, path, fmt.Sprintf(`{"actors":[%q,%q]}`, bob, carol)), http.StatusOK)
	refuses(t, "one of two, unsaid", threads(old, ""), http.StatusForbidden, "DID_CLAIM_DENIED")
	w.must(t, as(w.admin, "", http.MethodPatch, path, `{"actors":[]}`), http.StatusOK)
	refuses(t, "none left", making(later, carol), http.StatusForbidden, "DID_CLAIM_DENIED")
	if shown := w.must(t, as(w.admin, "", http.MethodGet, path, ""), http.StatusOK); shown.text(t, "name") != "renamed" || shown.text(t, "scopes") != "[threads:write]" || shown.text(t, "actors") != "[]" {
		t.Errorf("shown: %s", shown.body)
	}
}

func (w *splWorld) rotateAndRevoke(t *testing.T) {
	t.Helper()
	id, first := w.account(t, []string{bob}, []string{"records:read"})
	path := "/v1/service-accounts/" + id
	works := func(what, token string, want bool) {
		t.Helper()
		a := w.send(t, as(token, bob, http.MethodGet, "/v1/threads", ""))
		if want != (a.status == http.StatusOK) {
			t.Errorf("%s: %d %s", what, a.status, public(a))
		}
		if !want {
			refuses(t, what, a, http.StatusUnauthorized, "AUTH_INVALID")
		}
	}
	works("the first token", first, true)
	second := w.must(t, as(w.admin, "", http.MethodPost, path+"/tokens", `{"env_tag":"ci"}`), http.StatusCreated)
	if !strings.HasPrefix(second.text(t, "token"), "spl_ci_"+id+"_") || second.text(t, "prefix") != "spl_ci_"+id+"_****" {
		t.Errorf("prefix %s", second.text(t, "prefix"))
	}
	works("the second token", second.text(t, "token"), true)
	one := w.must(t, as(w.admin, "", http.MethodDelete, path+"/tokens/"+second.text(t, "token_id")+"?reason=lost", ""), http.StatusOK)
	works("one that was revoked", second.text(t, "token"), false)
	works("the other", first, true)
	again := w.must(t, as(w.admin, "", http.MethodDelete, path+"/tokens/"+second.text(t, "token_id"), ""), http.StatusOK)
	was := strings.Replace(string(one.body), `"already":false`, `"already":true`, 1)
	if was == string(one.body) || was != string(again.body) || one.text(t, "status") != "revoked" {
		t.Errorf("revoking twice: %s, then %s", one.body, again.body)
	}
	rotated := w.must(t, as(w.admin, "", http.MethodPost, path+"/tokens/rotate", `{"reason":"yearly"}`), http.StatusOK)
	works("rotated out", first, false)
	works("rotated in", rotated.text(t, "token"), true)
	if died := rotated.text(t, "revoked"); died == "[]" || strings.Contains(died, " ") {
		t.Errorf("rotation revoked %s", died)
	}
	w.must(t, as(w.admin, "", http.MethodDelete, path+"?reason=stolen", ""), http.StatusOK)
	works("of a revoked account", rotated.text(t, "token"), false)
	w.must(t, as(w.admin, "", http.MethodDelete, path, ""), http.StatusOK)
	shown := w.must(t, as(w.admin, "", http.MethodGet, path, ""), http.StatusOK)
	if shown.text(t, "revoked") != "true" || shown.text(t, "active") != "false" || shown.text(t, "reason") != "stolen" {
		t.Errorf("a revoked account: %s", shown.body)
	}
	for _, r := range []request{
		as(w.admin, "", http.MethodPost, path+"/tokens", ""), as(w.admin, "", http.MethodPost, path+"/tokens/rotate", ""),
		as(w.admin, "", http.MethodPatch, path, `{"name":"x"}`),
	} {
		refuses(t, r.method+" on a revoked account", w.send(t, r), http.StatusConflict, "CONFLICT")
	}
}

func (w *splWorld) lists(t *testing.T) {
	t.Helper()
	id, token := w.account(t, []string{bob}, []string{"records:read"})
	w.must(t, as(w.admin, "", http.MethodDelete, "/v1/service-accounts/"+id, ""), http.StatusOK)
	for _, path := range []string{"/v1/service-accounts", "/v1/service-accounts/" + id + "/tokens", "/v1/tokens"} {
		a := w.must(t, as(w.admin, "", http.MethodGet, path, ""), http.StatusOK)
		list, _ := a.json(t).([]any)
		if len(list) == 0 || !strings.Contains(string(a.body), id) {
			t.Errorf("%s: %d entries, %s not among them", path, len(list), id)
		}
		last := ""
		for _, entry := range list {
			object, _ := entry.(map[string]any)
			at := fmt.Sprint(object["created_at"])
			if at < last && len(at) == len(last) {
				t.Errorf("%s: %s comes after %s", path, at, last)
			}
			last = at
		}
		for _, secret := range []string{token, w.admin} {
			if strings.Contains(string(a.body), secret[len(secret)-35:]) {
				t.Errorf("%s shows a secret", path)
			}
		}
	}
	const mute = `{"name":"mute","display_name":null,"actors":null,"scopes":null,"with_token":null,"env_tag":null,"namespace":null}`
	without := w.must(t, as(w.admin, "", http.MethodPost, "/v1/service-accounts", mute), http.StatusCreated)
	if without.text(t, "scopes") != "[records:read records:write]" || !strings.Contains(without.text(t, "warning"), "no actors") {
		t.Errorf("an account of which only the name is said: %s", without.body)
	}
	if strings.Contains(string(without.body), `"token"`) || without.text(t, "tokens") != "0" || without.text(t, "did") != "did:sync:system:"+without.text(t, "id") {
		t.Errorf("an account without a token: %s", without.body)
	}
	identity := w.must(t, as(w.admin, "", http.MethodGet, "/v1/identity", ""), http.StatusOK)
	if identity.text(t, "actor") != operatorDID || identity.text(t, "service_account_id") != w.adminID || identity.text(t, "is_authenticated") != "true" {
		t.Errorf("identity: %s", identity.body)
	}
	w.must(t, request{method: http.MethodGet, path: "/.well-known/syncropel"}, http.StatusOK)
}

// audited wants every act on record, with who did it and why, and no secret; and nobody to forge one.
func (w *splWorld) audited(t *testing.T) {
	t.Helper()
	id, token := w.account(t, []string{bob}, []string{"records:read"})
	path := "/v1/service-accounts/" + id
	w.must(t, as(w.admin, "", http.MethodPatch, path, `{"name":"renamed"}`), http.StatusOK)
	rotated := w.must(t, as(w.admin, "", http.MethodPost, path+"/tokens/rotate", `{"reason":"yearly"}`), http.StatusOK)
	w.must(t, as(w.admin, "", http.MethodDelete, path+"/tokens/"+rotated.text(t, "token_id")+"?reason=lost", ""), http.StatusOK)
	w.must(t, as(w.admin, "", http.MethodDelete, path+"?reason=stolen", ""), http.StatusOK)
	w.must(t, as(w.admin, "", http.MethodDelete, path+"?reason=again", ""), http.StatusOK) // nothing happens, so nothing is on record
	a := w.must(t, as(w.admin, "", http.MethodGet, "/v1/threads/th_audit_tokens/records?limit=1000", ""), http.StatusOK)
	var got []string
	var list struct {
		Data []struct {
			Act  string
			Body struct {
				Kind, Event, Reason, Actor, By string
				Account                        string `json:"service_account_id"`
			}
		}
	}
	if err := json.Unmarshal(a.body, &list); err != nil {
		t.Fatal(err)
	}
	for _, r := range list.Data {
		if r.Act != "LEARN" || r.Body.Kind != "core.token_lifecycle_event.v1" {
			t.Errorf("%s of kind %s", r.Act, r.Body.Kind)
		}
		if r.Body.Account != id {
			continue
		}
		if r.Body.Actor != operatorDID || r.Body.By != w.adminID {
			t.Errorf("%s by %s as %s", r.Body.Event, r.Body.By, r.Body.Actor)
		}
		got = append(got, strings.TrimSpace(r.Body.Event+" "+r.Body.Reason))
	}
	want := []string{
		"service_account.created", "token.minted", "service_account.edited", "token.rotated yearly", "token.revoked lost", "service_account.revoked stolen",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("on record (-want +got):\n%s", diff)
	}
	for _, secret := range []string{token, rotated.text(t, "token"), w.admin} {
		if strings.Contains(string(a.body), secret[len(secret)-35:]) {
			t.Error("a secret is on record")
		}
	}
	forged := fmt.Sprintf(`{"thread":"th_audit_tokens","act":"LEARN","actor":%q}`, operatorDID)
	refuses(t, "a forged record", w.send(t, as(w.admin, "", http.MethodPost, "/v1/records", forged)), http.StatusForbidden, "RESERVED_THREAD")
}

func (w *splWorld) accountRefusals(t *testing.T) {
	t.Helper()
	id, _ := w.account(t, []string{bob}, []string{"records:read"})
	other, _ := w.account(t, []string{bob}, []string{"records:read"})
	theirs := w.must(t, as(w.admin, "", http.MethodPost, "/v1/service-accounts/"+other+"/tokens", ""), http.StatusCreated).text(t, "token_id")
	const accounts, absent = "/v1/service-accounts", "/v1/service-accounts/sa_aaaaaaaaaaaaaaaa"
	for _, line := range []struct {
		what, method, path, body string
		status                   int
		code                     string
	}{
		{"no name", "POST", accounts, `{}`, 400, "INVALID_REQUEST"},
		{"a scope that is none", "POST", accounts, `{"name":"x","scopes":["records:*"]}`, 400, "INVALID_REQUEST"},
		{"a tag that is none", "POST", accounts, `{"name":"x","env_tag":"a_b"}`, 400, "INVALID_REQUEST"},
		{"two lists of actors", "POST", accounts, `{"name":"x","actors":["a"],"allowed_actors":["b"]}`, 400, "INVALID_REQUEST"},
		{"another namespace", "POST", accounts, `{"name":"x","namespace":"elsewhere"}`, 403, "NAMESPACE_REJECTED"},
		{"another namespace to begin with", "POST", "/v1/bootstrap/service-account", `{"name":"x","namespace":"elsewhere"}`, 403, "NAMESPACE_REJECTED"},
		{"nobody to show", "GET", absent, "", 404, "NOT_FOUND"},
		{"nobody to edit", "PATCH", absent, `{"name":"x"}`, 404, "NOT_FOUND"},
		{"nobody to revoke", "DELETE", absent, "", 404, "NOT_FOUND"},
		{"nobody's tokens", "GET", absent + "/tokens", "", 404, "NOT_FOUND"},
		{"a token for nobody", "POST", absent + "/tokens", "", 404, "NOT_FOUND"},
		{"nobody's rotation", "POST", absent + "/tokens/rotate", "", 404, "NOT_FOUND"},
		{"nobody's token", "DELETE", absent + "/tokens/" + theirs, "", 404, "NOT_FOUND"},
		{"another's token", "DELETE", accounts + "/" + id + "/tokens/" + theirs, "", 404, "NOT_FOUND"},
		{"a token that is none", "DELETE", accounts + "/" + id + "/tokens/absent", "", 404, "NOT_FOUND"},
	} {
		refuses(t, line.what, w.send(t, as(w.admin, "", line.method, line.path, line.body)), line.status, line.code)
	}
}

// oneRefusal wants one body, to the letter, for whatever is wrong with a token.
func (w *splWorld) oneRefusal(t *testing.T) {
	t.Helper()
	_, foreign := w.account(t, []string{bob}, []string{"admin"})
	tenant := w.newWorld(t, "")
	id, revoked := w.account(t, []string{bob}, []string{"admin"})
	w.must(t, as(w.admin, "", http.MethodDelete, "/v1/service-accounts/"+id, ""), http.StatusOK)
	bodies := map[string][]string{}
	for what, key := range map[string]string{
		"malformed": "x", "truncated": foreign[:len(foreign)-1], "unknown": "spl_prod_sa-bootstrap-env_unknown-and-never-chosen",
		"revoked": revoked, "a key": tenant.key(t, "admin"), "a management key": w.operator,
	} {
		a := w.send(t, as(key, operatorDID, http.MethodGet, "/v1/tokens", ""))
		refuses(t, what, a, http.StatusUnauthorized, "AUTH_INVALID")
		bodies[string(a.body)] = append(bodies[string(a.body)], what)
	}
	if len(bodies) != 1 {
		t.Errorf("told apart: %v", bodies)
	}
	refuses(t, "no token", w.send(t, request{method: http.MethodGet, path: "/v1/tokens"}), http.StatusUnauthorized, "AUTH_REQUIRED")
}
