package httpapi_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager/internal/httpapi"
)

// What the routes of keys and principals may do to service accounts is nothing, but list them.
func TestServiceAccountsAreNotManagedAsPrincipals(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		admin := s.firstAccount(t, "admin")
		const principals = "/api/v1/contexts/default/principals"
		own := principals + "/" + admin.ID
		for name, a := range map[string]answer{
			"mint":          s.operate("POST", own+"/keys/k", nil),
			"patch":         s.operate("PATCH", own, `{"display_name":"x"}`),
			"grant":         s.operate("POST", own+"/grants", `{"path":"/*","verbs":["memory:read"]}`),
			"revoke":        s.operate("DELETE", own+"/grants", `{"path":"/*","verbs":["memory:read"]}`),
			"delete":        s.operate("DELETE", own, nil),
			"rotate a key":  s.operate("POST", keys+"/"+admin.Token.ID+"/rotate", nil),
			"delete a key":  s.operate("DELETE", keys+"/"+admin.Token.ID, nil),
			"rotate one's":  s.operate("POST", own+"/keys/"+admin.Token.ID+"/rotate", nil),
			"delete one's":  s.operate("DELETE", own+"/keys/"+admin.Token.ID, nil),
			"errand: grant": s.ask(t, s.identity(t, s.first), introspection.AddGrantsPath, introspection.GrantErrand{ID: admin.ID, Path: "/*", Verbs: []string{"memory:read"}}),
			"errand: take":  s.ask(t, s.identity(t, s.first), introspection.RemoveGrantsPath, introspection.GrantErrand{ID: admin.ID, Path: "/*", Verbs: []string{"memory:read"}}),
		} {
			if a.status != http.StatusForbidden || !strings.Contains(string(a.body), "/v1/service-accounts/"+admin.ID) {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		}
		for _, path := range []string{introspection.RotateKeyPath, introspection.DeleteKeyPath} {
			refused(t, s.ask(t, s.identity(t, s.first), path, introspection.KeyErrand{Name: admin.Token.ID}), fault.NotFound, "")
		}
		if own := into[[]httpapi.Key](t, s.operate("GET", own+"/keys", nil), http.StatusOK); len(own) != 0 {
			t.Errorf("as keys of a principal: %d", len(own))
		}
		for _, k := range into[[]httpapi.Key](t, s.operate("GET", keys, nil), http.StatusOK) {
			if k.PrincipalId == admin.ID {
				t.Error("listed as a key")
			}
		}
		for _, k := range into[[]introspection.OwnKey](t, s.ask(t, s.identity(t, s.first), introspection.ListKeysPath, introspection.ListErrand{Limit: 10}), http.StatusOK) {
			if k.PrincipalID == admin.ID {
				t.Error("listed to a caller as a key")
			}
		}
		listed := into[[]httpapi.Principal](t, s.operate("GET", principals, nil), http.StatusOK)
		at := slices.IndexFunc(listed, func(p httpapi.Principal) bool { return p.Id == admin.ID })
		if at < 0 || listed[at].Kind != "service" || len(listed[at].Grants) != 0 || listed[at].DisplayName != "admin" {
			t.Errorf("among %d principals it is at %d", len(listed), at)
		}
		if !s.verdict(t, admin.Token.Text).Active {
			t.Error("the token died")
		}
		// Nor does a token open the management API.
		if a := s.send("GET", keys, admin.Token.Text, nil); a.status != http.StatusUnauthorized {
			t.Errorf("a token on the management API: %d", a.status)
		}
		into[struct{}](t, s.operate("DELETE", "/api/v1/contexts/default", nil), http.StatusNoContent)
		if s.verdict(t, admin.Token.Text).Active {
			t.Error("the token outlives its context")
		}
		for _, table := range []string{"service_accounts", "tokens", "keys"} {
			var n int64
			must(t, s.db.Reader(t.Context()).Raw("SELECT count(*) FROM "+table+" WHERE context_id = 'default'").Row().Scan(&n))
			if n != 0 {
				t.Errorf("%d rows are left in %s", n, table)
			}
		}
	})
}
