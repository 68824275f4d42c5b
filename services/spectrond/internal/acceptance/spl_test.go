package acceptance_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
)

const (
	operatorDID = "did:sync:user:operator"
	actorHeader = "X-Syncropel-Actor"
)

// splWorld is the one namespace of a deployment, with its first account.
type splWorld struct {
	*deployment
	admin   string // a token with the scope admin, which may claim to be operatorDID
	adminID string
}

// splDeploy starts a deployment and makes the first account.
func splDeploy(t *testing.T, store string) *splWorld {
	t.Helper()
	return begin(t, deploy(t, store))
}

// begin makes the first account of a deployment.
func begin(t *testing.T, d *deployment) *splWorld {
	t.Helper()
	w := &splWorld{deployment: d}
	first := w.must(t, request{
		method: http.MethodPost, path: "/v1/bootstrap/service-account",
		body: fmt.Sprintf(`{"name":"admin","actors":[%q],"scopes":["admin"],"with_token":true}`, operatorDID),
	}, http.StatusCreated)
	w.admin, w.adminID = first.text(t, "token"), first.text(t, "id")
	return w
}

// account makes a service account with a token.
func (w *splWorld) account(t *testing.T, actors, scopes []string) (id, token string) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"name": "x", "actors": actors, "scopes": scopes, "with_token": true})
	if err != nil {
		t.Fatal(err)
	}
	made := w.must(t, request{method: http.MethodPost, path: "/v1/service-accounts", key: w.admin, body: string(body)}, http.StatusCreated)
	return made.text(t, "id"), made.text(t, "token")
}

// code returns the code of an error; nothing of any other answer.
func code(t *testing.T, a answer) string {
	t.Helper()
	if a.status < http.StatusBadRequest {
		return ""
	}
	return a.text(t, "code")
}

// as returns a request with a token that claims an actor, or none.
func as(key, actor, method, path, body string) request {
	r := request{method: method, path: path, key: key, body: body}
	if actor != "" {
		r.header = map[string]string{actorHeader: actor}
	}
	return r
}

// refuses wants a to be refused with this status and this code.
func refuses(t *testing.T, what string, a answer, status int, wanted string) {
	t.Helper()
	if a.status != status || code(t, a) != wanted {
		t.Errorf("%s: got %d, want %d %s: %s", what, a.status, status, wanted, public(a))
	}
}
