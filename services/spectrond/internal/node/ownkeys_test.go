package node_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/introspection"
)

func TestAnOrdinaryKeySeesAndManagesOnlyItself(t *testing.T) {
	t.Parallel()
	onBoth(t, func(b *both) {
		t := b.t
		agent, other := b.flat("agent", ""), b.flat("other", "")
		if diff := cmp.Diff([]string{"agent"}, b.names(agent.Key)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		for _, name := range []string{"other", "nothing"} {
			var a, c any
			b.call(http.StatusNotFound, &a, agent.Key, http.MethodPost, "/keys/"+name+"/rotate", "")
			b.call(http.StatusNotFound, &c, agent.Key, http.MethodDelete, "/keys/"+name, "")
		}
		b.call(http.StatusOK, nil, other.Key, http.MethodGet, "/me", "")
		var rotated issued
		b.call(http.StatusOK, &rotated, agent.Key, http.MethodPost, "/keys/agent/rotate?ttlSeconds=60", "")
		if rotated.ID != agent.ID || rotated.Name != "agent" || rotated.PrincipalID != agent.PrincipalID || rotated.ValidUntil == nil ||
			rotated.Revision == nil || rotated.Propagation == nil {
			t.Error("a rotation answers without the id, name, principal, end, revision or propagation")
		}
		b.call(http.StatusUnauthorized, nil, agent.Key, http.MethodGet, "/me", "")
		b.call(http.StatusOK, nil, rotated.Key, http.MethodGet, "/me", "")
		b.call(http.StatusNoContent, nil, rotated.Key, http.MethodDelete, "/keys/agent", "")
		b.call(http.StatusUnauthorized, nil, rotated.Key, http.MethodGet, "/me", "")
	})
}

func TestGrantManageOverTheRootManagesAllKeys(t *testing.T) {
	t.Parallel()
	onBoth(t, func(b *both) {
		t := b.t
		b.flat("a%20b", "")
		exact := b.flat("exact", `{"grants":{"grant:manage":["/"]}}`)
		below := b.flat("below", `{"grants":{"grant:manage":["org/*"]}}`)
		all := []string{"a b", "below", "default", "exact"}
		for _, key := range []string{b.admin, exact.Key} {
			if diff := cmp.Diff(all, b.names(key)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
		if diff := cmp.Diff([]string{"below"}, b.names(below.Key)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		// On behalf of one who does not manage, nobody does.
		if diff := cmp.Diff([]string{"default"}, b.names(b.admin, "X-Spectron-On-Behalf-Of", below.PrincipalID)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		b.call(http.StatusOK, nil, exact.Key, http.MethodPost, "/keys/a%20b/rotate", "")
		b.call(http.StatusNoContent, nil, exact.Key, http.MethodDelete, "/keys/below", "")
		b.call(http.StatusUnauthorized, nil, below.Key, http.MethodGet, "/me", "")
		b.flat("a%2Fb", "")
		b.call(http.StatusNoContent, nil, b.admin, http.MethodDelete, "/keys/a%2Fb", "")
		b.call(http.StatusUnprocessableEntity, nil, b.admin, http.MethodDelete, "/keys/%20a", "")
		var page []ownKey
		b.call(http.StatusOK, &page, b.admin, http.MethodGet, "/keys?limit=1&cursor=ZGVmYXVsdA", "")
		if len(page) != 1 || page[0].Name != "exact" {
			t.Errorf("the page behind default is %+v", page)
		}
		b.call(http.StatusBadRequest, nil, b.admin, http.MethodGet, "/keys?cursor=%21", "")
	})
}

func TestAMintedKeyMayDoNoMoreThanTheCaller(t *testing.T) {
	t.Parallel()
	onBoth(t, func(b *both) {
		t := b.t
		agent := b.flat("agent", `{"grants":{"memory:read":["org/*"],"memory:write":["org/acme"]}}`)
		me := func(key string) (out struct {
			PrincipalID                  string
			TokenGrants, EffectiveGrants map[string][]string
		},
		) {
			t.Helper()
			b.call(http.StatusOK, &out, key, http.MethodGet, "/me", "")
			return out
		}
		var inherits, narrow, same issued
		b.call(http.StatusCreated, &inherits, agent.Key, http.MethodPost, "/keys", "")
		if inherits.Name != inherits.ID || inherits.PrincipalID != agent.PrincipalID || inherits.ValidUntil != nil {
			t.Errorf("minted %q of %q", inherits.Name, inherits.PrincipalID)
		}
		if got := me(inherits.Key); got.TokenGrants != nil {
			t.Errorf("a key of one that inherits has grants of its own: %v", got.TokenGrants)
		}
		want := map[string][]string{"memory:read": {"org/acme/*"}}
		b.call(http.StatusCreated, &narrow, agent.Key, http.MethodPost, "/keys", `{"name":"narrow","grants":{"memory:read":["org/acme/*"]}}`)
		// A narrow key passes on no more than it has, be it asked or not.
		b.call(http.StatusCreated, &same, narrow.Key, http.MethodPost, "/keys", `{}`)
		for _, key := range []string{narrow.Key, same.Key} {
			got := me(key)
			if diff := cmp.Diff(want, got.TokenGrants) + cmp.Diff(want, got.EffectiveGrants); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
		for _, body := range []string{
			`{"grants":{"memory:read":["org"]}}`, `{"grants":{"memory:read":["/*"]}}`, `{"grants":{"memory:write":["org/acme"]}}`,
			`{"grants":{"memory:read":["org/acme/*","org/beta"]}}`, `{"grants":{"read":["org/acme"]}}`, `{"grants":{"memory:read":["a/*/b"]}}`,
		} {
			b.call(http.StatusBadRequest, nil, narrow.Key, http.MethodPost, "/keys", body)
		}
		b.call(http.StatusConflict, nil, agent.Key, http.MethodPost, "/keys", `{"name":"default"}`)
		b.call(http.StatusConflict, nil, agent.Key, http.MethodPost, "/keys", `{"name":"narrow"}`)
		b.call(http.StatusUnprocessableEntity, nil, agent.Key, http.MethodPost, "/keys", `{"name":" x"}`)
		for _, ttl := range []string{"0", "-1", "x", "3153600001"} {
			b.call(http.StatusBadRequest, nil, agent.Key, http.MethodPost, "/keys?ttlSeconds="+ttl, "")
			b.call(http.StatusBadRequest, nil, agent.Key, http.MethodPost, "/keys/agent/rotate?ttlSeconds="+ttl, "")
		}
		b.operate(http.StatusOK, nil, http.MethodPatch, "", `{"config":{"max_token_ttl_seconds":60}}`)
		for _, query := range []string{"", "?ttlSeconds=3600", "?ttlSeconds=60"} {
			var capped issued
			b.call(http.StatusCreated, &capped, agent.Key, http.MethodPost, "/keys"+query, "")
			if capped.ValidUntil == nil || time.Until(*capped.ValidUntil) > 61*time.Second {
				t.Errorf("%s: ends %v with a cap of a minute", query, capped.ValidUntil)
			}
		}
	})
}

func TestSelfServiceCanBeTurnedOff(t *testing.T) {
	t.Parallel()
	onBoth(t, func(b *both) {
		t := b.t
		agent := b.flat("agent", "")
		routes := []struct{ method, path string }{
			{http.MethodGet, "/keys"}, {http.MethodPost, "/keys"}, {http.MethodPost, "/keys/agent/rotate"}, {http.MethodDelete, "/keys/agent"},
		}
		b.operate(http.StatusOK, nil, http.MethodPatch, "", `{"config":{"allow_self_service_keys":false}}`)
		for _, key := range []string{agent.Key, b.admin} {
			for _, route := range routes {
				b.call(http.StatusForbidden, nil, key, route.method, route.path, "")
			}
		}
		b.operate(http.StatusOK, nil, http.MethodPatch, "", `{"config":{"allow_self_service_keys":true}}`)
		for _, route := range routes[1:] { // nobody changes keys on behalf of another
			b.call(http.StatusForbidden, nil, agent.Key, route.method, route.path, "", "X-Spectron-On-Behalf-Of", "admin")
			b.call(http.StatusForbidden, nil, agent.Key, route.method, route.path, "", "X-Memory-On-Behalf-Of", agent.PrincipalID)
		}
		b.away = true
		for _, route := range routes {
			var problem struct{ Type string }
			b.call(http.StatusServiceUnavailable, &problem, agent.Key, route.method, route.path, "")
			if problem.Type != "urn:spectron:problem:authority-unavailable" {
				t.Errorf("%s %s without a key manager: %s", route.method, route.path, problem.Type)
			}
		}
		b.away = false
		b.call(http.StatusOK, nil, agent.Key, http.MethodGet, "/keys", "")
	})
}

func TestLastUseIsShownToTheMinute(t *testing.T) {
	t.Parallel()
	onBoth(t, func(b *both) {
		t := b.t
		agent := b.flat("agent", "")
		var before, after []ownKey
		b.call(http.StatusOK, &before, agent.Key, http.MethodGet, "/keys", "")
		if len(before) != 1 || before[0].LastUsedAt != nil || before[0].CreatedAt.IsZero() || before[0].ID != agent.ID {
			t.Errorf("before any report: %+v", before)
		}
		token := serviceToken(t)
		for _, ago := range []time.Duration{0, 10 * time.Minute} {
			uses := fmt.Sprintf(`{"uses":[{"key_id":%q,"ago_us":%d}]}`, agent.ID, ago.Microseconds())
			if got := ask(b.control, http.MethodPost, introspection.UsesPath, token, uses); got.status != http.StatusNoContent {
				t.Fatalf("reporting: %d", got.status)
			}
		}
		b.call(http.StatusOK, &after, agent.Key, http.MethodGet, "/keys", "")
		used := after[0].LastUsedAt
		if used == nil || !used.Equal(used.Truncate(time.Minute)) || time.Since(*used) > 2*time.Minute {
			t.Errorf("last used at %v", used)
		}
	})
}

// One id names what happened on both planes: the key manager's audit log has the trace that the caller was told.
func TestTheTraceGoesAlongWithAnErrand(t *testing.T) {
	t.Parallel()
	onBoth(t, func(b *both) {
		const id = "0123456789abcdef0123456789abcdef"
		b.call(http.StatusCreated, nil, b.admin, http.MethodPost, "/keys", "", "traceparent", "00-"+id+"-0123456789abcdef-01")
		if len(b.traces) != 1 || !strings.HasPrefix(b.traces[0], "00-"+id+"-") {
			b.t.Errorf("the errand's traces: %q", b.traces)
		}
	})
}
