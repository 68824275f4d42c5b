package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/keymanager/internal/httpapi"
)

const tokens = contextPath + "/access-tokens"

func TestBrokeringAccessTokens(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		// Self-service is another thing.
		into[httpapi.Context](t, s.operate("PATCH", contextPath, `{"config":{"allow_self_service_keys":false,"max_token_ttl_seconds":600}}`), http.StatusOK)
		broker := func(body string) httpapi.AccessToken {
			t.Helper()
			return into[httpapi.AccessToken](t, s.operate("POST", tokens, body), http.StatusCreated)
		}
		show := func(token httpapi.AccessToken) httpapi.Principal {
			t.Helper()
			return into[httpapi.Principal](t, s.operate("GET", principals+"/"+token.PrincipalId, nil), http.StatusOK)
		}
		allows := func(token httpapi.AccessToken, want httpapi.GrantMap) {
			t.Helper()
			held, err := grant.Parse(want)
			must(t, err)
			if diff := cmp.Diff(held, s.effective(t, token.Key), cmp.Comparer(scope.Region.Equal)); diff != "" {
				t.Errorf("the token's authority (-want +got):\n%s", diff)
			}
		}
		ends := func(token httpapi.AccessToken, want time.Duration) {
			t.Helper()
			if left := time.Until(token.ValidUntil); left > want || left < want-time.Minute {
				t.Errorf("it ends in %v, want %v", left, want)
			}
		}
		const identity = `"external_id":"idp:1"`
		first := broker(`{` + identity + `,"display_name":"Ann","kind":"human","ttl_seconds":300,"grants":{"memory:read":["a/*"]}}`)
		ends(first, 5*time.Minute)
		allows(first, httpapi.GrantMap{"memory:read": {"a/*"}})
		ann := show(first)
		if ann.DisplayName != "Ann" || ann.Kind != "human" || *ann.ExternalId != "idp:1" || first.Id == "" || !strings.Contains(first.Name, first.Id) {
			t.Errorf("the principal is %+v, the key %s called %q", ann, first.Id, first.Name)
		}
		second := broker(`{"externalId":"idp:1","displayName":"Beth","kind":"agent","ttlSeconds":100000}`)
		ends(second, 10*time.Minute) // clamped
		allows(second, httpapi.GrantMap{"memory:read": {"a/*"}})
		if diff := cmp.Diff(ann, show(second)); diff != "" || second.Id == first.Id {
			t.Errorf("a second token changed the principal:\n%s", diff)
		}
		third := broker(`{` + identity + `,"ttl_seconds":300,"grants":{"memory:write":["b"]}}`)
		for _, token := range []httpapi.AccessToken{first, second, third} {
			allows(token, httpapi.GrantMap{"memory:write": {"b"}})
		}
		if third.Revision != second.Revision+1 || third.Propagation == nil || second.Propagation != nil {
			t.Errorf("revision %d after %d, propagation %+v", third.Revision, second.Revision, third.Propagation)
		}
		same := broker(`{` + identity + `,"ttl_seconds":300,"grants":{"memory:write":["b","b/"]}}`)
		if same.Revision != third.Revision {
			t.Errorf("grants that were there took revision %d", same.Revision)
		}
		if strings.Contains(s.log.String(), "without grants") {
			t.Error("it was warned of a principal that has grants")
		}
		none := broker(`{` + identity + `,"ttl_seconds":300,"grants":{}}`)
		for _, token := range []httpapi.AccessToken{third, none} {
			allows(token, httpapi.GrantMap{})
		}
		if n := strings.Count(s.log.String(), "without grants"); n != 1 {
			t.Errorf("%d warnings of a principal without grants, want 1", n)
		}
		plain := broker(`{"external_id":"idp:2","ttl_seconds":300}`)
		if p := show(plain); p.DisplayName != "idp:2" || p.Kind != "agent" || len(p.Grants) != 0 {
			t.Errorf("an identity alone became %+v", p)
		}
		if log := s.log.String(); strings.Count(log, "without grants") != 2 || strings.Contains(log, "idp:") {
			t.Error("the log should warn once more, and name no outside identity")
		}
		list := into[[]httpapi.Key](t, s.operate("GET", principals+"/"+ann.Id+"/keys", nil), http.StatusOK)
		if len(list) != 5 {
			t.Errorf("the principal has %d keys, want 5", len(list))
		}
		into[struct{}](t, s.operate("DELETE", keys+"/"+first.Name, nil), http.StatusNoContent)
		if s.active(t, first.Key) || !s.active(t, second.Key) {
			t.Error("a token is deleted by its name, and no other")
		}
		into[httpapi.Principal](t, s.operate("GET", principals+"/"+ann.Id, nil), http.StatusOK)
	})
}

func TestBrokerageOfTheAdmin(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		into[httpapi.Context](t, s.operate("POST", contextsPath+"/other", `{"admin_external_id":"idp:root"}`), http.StatusCreated)
		token := into[httpapi.AccessToken](t, s.operate("POST", contextsPath+"/other/access-tokens",
			`{"external_id":"idp:root","ttl_seconds":60}`), http.StatusCreated)
		if token.PrincipalId != "admin" || len(s.effective(t, token.Key)) != len(grant.Verbs()) {
			t.Errorf("a token of %s", token.PrincipalId)
		}
		refused(t, s.operate("POST", contextsPath+"/nobody/access-tokens", `{"external_id":"a","ttl_seconds":60}`), fault.NotFound, "")
	})
}
