package acceptance_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

// sevenScopes are all that there are, as the contract lists them.
var sevenScopes = []string{"records:read", "records:write", "threads:write", "federation:manage", "config:read", "config:write", "admin"}

// scoped is a line of the scope table: which one scope, beside admin, opens a route; "any" for every token.
type scoped struct{ method, path, body, scope string }

// scopeTable is the contract's, route by route. What the routes answer behind the scope is not its business.
var scopeTable = []scoped{
	{"GET", "/v1/health", "", "any"},
	{"GET", "/v1/capabilities", "", "any"},
	{"GET", "/v1/identity", "", "any"},

	{"GET", "/v1/records?thread=th_t", "", "records:read"},
	{"GET", "/v1/records/absent", "", "records:read"},
	{"POST", "/v1/records/query", `{}`, "records:read"},
	{"POST", "/v1/records", `{"thread":"th_t","act":"DO","actor":"` + operatorDID + `"}`, "records:write"},
	{"GET", "/v1/threads", "", "records:read"},
	{"GET", "/v1/threads/th_t", "", "records:read"},
	{"GET", "/v1/threads/th_t/records", "", "records:read"},
	{"GET", "/v1/threads/th_t/state", "", "records:read"},
	{"GET", "/v1/threads/th_t/project", "", "records:read"},
	{"GET", "/v1/threads/th_t/participants", "", "records:read"},
	{"POST", "/v1/threads", `{"id":"th_made"}`, "threads:write"},
	{"DELETE", "/v1/threads/th_absent", "", "threads:write"},

	{"GET", "/v1/config", "", "config:read"},
	{"GET", "/v1/config/rules", "", "config:read"},
	{"GET", "/v1/config/permission-rules", "", "config:read"},
	{"POST", "/v1/config/rules", `{"name":"r"}`, "config:write"},
	{"POST", "/v1/config/permissions", `{"enabled":false}`, "config:write"},
	{"POST", "/v1/config/auth-cors-origins", `{"origins":[]}`, "config:write"},

	{"GET", "/v1/sync/changes", "", "federation:manage"},
	{"POST", "/v1/sync/records", `{"ids":[]}`, "federation:manage"},
	{"GET", "/v1/sync/pairs", "", "federation:manage"},
	{"POST", "/v1/sync/pairs", `{}`, "federation:manage"},
	{"GET", "/v1/sync/pairs/absent", "", "federation:manage"},
	{"DELETE", "/v1/sync/pairs/absent", "", "federation:manage"},
	{"GET", "/v1/sync/pairs/absent/stats", "", "federation:manage"},
	{"POST", "/v1/sync/pairs/absent/pause", "", "federation:manage"},
	{"POST", "/v1/sync/pairs/absent/resume", "", "federation:manage"},
	{"POST", "/v1/sync/pairs/absent/kick", "", "federation:manage"},
	{"GET", "/v1/sync/health", "", "federation:manage"},
	{"GET", "/v1/federation/sync/changes", "", "federation:manage"},
	{"POST", "/v1/federation/sync/records", `{"ids":[]}`, "federation:manage"},
	{"GET", "/v1/federation/sync/pairs", "", "federation:manage"},
	{"POST", "/v1/federation/sync/pairs", `{}`, "federation:manage"},
	{"GET", "/v1/federation/sync/pairs/absent", "", "federation:manage"},
	{"DELETE", "/v1/federation/sync/pairs/absent", "", "federation:manage"},
	{"GET", "/v1/federation/sync/pairs/absent/stats", "", "federation:manage"},
	{"POST", "/v1/federation/sync/pairs/absent/pause", "", "federation:manage"},
	{"GET", "/v1/federation/sync/health", "", "federation:manage"},
	{"POST", "/v1/federation/pair", `{}`, "federation:manage"},
	{"GET", "/v1/federation/peers", "", "federation:manage"},
	{"GET", "/v1/discovery/mdns", "", "federation:manage"},

	{"GET", "/v1/service-accounts", "", "admin"},
	{"POST", "/v1/service-accounts", `{"name":"x"}`, "admin"},
	{"GET", "/v1/service-accounts/sa_absent", "", "admin"},
	{"PATCH", "/v1/service-accounts/sa_absent", `{}`, "admin"},
	{"DELETE", "/v1/service-accounts/sa_absent", "", "admin"},
	{"GET", "/v1/service-accounts/sa_absent/tokens", "", "admin"},
	{"POST", "/v1/service-accounts/sa_absent/tokens", `{}`, "admin"},
	{"POST", "/v1/service-accounts/sa_absent/tokens/rotate", `{}`, "admin"},
	{"DELETE", "/v1/service-accounts/sa_absent/tokens/absent", "", "admin"},
	{"GET", "/v1/tokens", "", "admin"},

	{"GET", "/v1/absent", "", "any"}, // and is not there
	{"PUT", "/v1/records", "", "any"},
}

// TestScopeTable is the table of scopes: each of the seven, all but admin together, and none of them at all, against every route.
func TestScopeTable(t *testing.T) {
	t.Parallel()
	for _, op := range splFace.operations { // so that no route is forgotten
		if op.open() {
			continue
		}
		found := false
		for _, line := range scopeTable {
			listed, ok := operationOf(request{method: line.method, path: line.path})
			found = found || ok && listed.OperationID == op.OperationID
		}
		if !found {
			t.Errorf("%s (%s %s) is not in the table", op.name(), op.method, op.route)
		}
	}
	dbtest.Each(t, func(t *testing.T, store string) {
		w := splDeploy(t, store)
		all := map[string][]string{"all but admin": sevenScopes[:6]}
		for _, scope := range sevenScopes {
			all[scope] = []string{scope}
		}
		for name, held := range all {
			_, token := w.account(t, []string{operatorDID}, held)
			for _, line := range scopeTable {
				allow := line.scope == "any"
				for _, scope := range held {
					allow = allow || scope == line.scope || scope == "admin"
				}
				a := w.send(t, request{method: line.method, path: line.path, body: line.body, key: token})
				refused := a.status == http.StatusUnauthorized || a.status == http.StatusForbidden && code(t, a) == "SCOPE_FORBIDDEN"
				if refused == allow {
					t.Errorf("%s: %s %s: %d, want allowed %t", name, line.method, line.path, a.status, allow)
				}
				if refused && (a.status != http.StatusForbidden || a.text(t, "required_scope") != line.scope) {
					t.Errorf("%s: %s %s: %s", name, line.method, line.path, public(a))
				}
			}
		}
		// No token has no scope: an account without any cannot be made.
		a := w.must(t, request{method: http.MethodPost, path: "/v1/service-accounts", key: w.admin, body: `{"name":"x","scopes":[]}`}, http.StatusBadRequest)
		for _, scope := range sevenScopes {
			if !strings.Contains(string(a.body), scope) {
				t.Errorf("the refusal does not name %s: %s", scope, public(a))
			}
		}
	})
}
