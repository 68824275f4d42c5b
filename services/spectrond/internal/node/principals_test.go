package node_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPrincipalsAreShownToWhoManagesGrants(t *testing.T) {
	t.Parallel()
	onBoth(t, func(b *both) {
		t := b.t
		agent := b.flat("agent", `{"grants":{"memory:read":["org/acme/*"]}}`)
		steward := b.flat("steward", `{"grants":{"grant:manage":["org/acme/*"],"memory:read":["org/acme/*"]}}`)
		for _, path := range []string{"/principals", "/principals/admin", "/principals/nobody", "/principals/admin/effective?path=org/acme"} {
			b.call(http.StatusForbidden, nil, agent.Key, http.MethodGet, path, "")
		}
		var list []map[string]any
		b.call(http.StatusOK, &list, steward.Key, http.MethodGet, "/principals", "")
		if len(list) != 4 {
			t.Errorf("%d principals", len(list))
		}
		for _, p := range list {
			keys := []string{}
			for name := range p {
				keys = append(keys, name)
			}
			slices.Sort(keys)
			if diff := cmp.Diff([]string{"displayName", "grants", "id", "kind"}, keys); diff != "" {
				t.Errorf("a principal is shown with (-want +got):\n%s", diff)
			}
		}
		var one struct{ ID, Kind, DisplayName string }
		for _, id := range []string{agent.PrincipalID, "principal:" + agent.PrincipalID, "principal%3A" + agent.PrincipalID} {
			b.call(http.StatusOK, &one, steward.Key, http.MethodGet, "/principals/"+id, "")
			if one.ID != agent.PrincipalID || one.Kind != "agent" || one.DisplayName != "agent" {
				t.Errorf("%s: %+v", id, one)
			}
		}
		b.call(http.StatusNotFound, nil, steward.Key, http.MethodGet, "/principals/nobody", "")
	})
}

func TestEffectiveTellsWhatGrantsHoldNowAndThen(t *testing.T) {
	t.Parallel()
	onBoth(t, func(b *both) {
		t := b.t
		early := time.Now().Add(-time.Hour)
		agent := b.flat("agent", `{"grants":{"memory:read":["org/acme/*"]}}`)
		effective := func(status int, query string) (out struct {
			Path  string
			Verbs []string
			AsOf  *time.Time
		},
		) {
			t.Helper()
			b.call(status, &out, b.admin, http.MethodGet, "/principals/"+agent.PrincipalID+"/effective?"+query, "")
			return out
		}
		if got := effective(http.StatusOK, "path=org/acme/user"); got.Path != "org/acme/user/" || fmt.Sprint(got.Verbs) != "[memory:read]" || got.AsOf != nil {
			t.Errorf("%+v", got)
		}
		if got := effective(http.StatusOK, "path=org"); got.Verbs == nil || len(got.Verbs) != 0 {
			t.Errorf("%+v", got)
		}
		between := time.Now().UTC()
		b.call(http.StatusOK, nil, b.admin, http.MethodPost, "/principals/"+agent.PrincipalID+"/grants", `{"path":"org","verbs":["memory:write","memory:read"]}`)
		if got := effective(http.StatusOK, "path=org"); fmt.Sprint(got.Verbs) != "[memory:read memory:write]" {
			t.Errorf("now: %+v", got)
		}
		if got := effective(http.StatusOK, "path=org&asOf="+between.Format(time.RFC3339Nano)); len(got.Verbs) != 0 || got.AsOf == nil || !got.AsOf.Equal(between) {
			t.Errorf("before the change: %+v", got)
		}
		effective(http.StatusNotFound, "path=org&asOf="+early.UTC().Format(time.RFC3339))
		effective(http.StatusBadRequest, "path=org&asOf="+time.Now().UTC().Add(time.Hour).Format(time.RFC3339))
		for _, query := range []string{"", "path=", "path=a//b", "path=*", "path=org&asOf=yesterday"} {
			effective(http.StatusBadRequest, query)
		}
		b.call(http.StatusNotFound, nil, b.admin, http.MethodGet, "/principals/nobody/effective?path=org", "")
		steward := b.flat("steward", `{"grants":{"grant:manage":["org/acme/*"]}}`)
		b.call(http.StatusOK, nil, steward.Key, http.MethodGet, "/principals/admin/effective?path=org/acme", "")
		b.call(http.StatusForbidden, nil, steward.Key, http.MethodGet, "/principals/admin/effective?path=org", "")
		b.call(http.StatusForbidden, nil, steward.Key, http.MethodGet, "/principals/nobody/effective?path=org", "")
	})
}

func TestNobodyPassesOnWhatTheyDoNotHold(t *testing.T) {
	t.Parallel()
	onBoth(t, func(b *both) {
		t := b.t
		agent := b.flat("agent", `{"grants":{"memory:read":["org/acme"]}}`)
		steward := b.flat("steward", `{"grants":{"grant:manage":["org/acme/*"],"memory:read":["org/acme/user/*"]}}`)
		grants := "/principals/" + agent.PrincipalID + "/grants"
		for _, test := range []struct {
			body         string
			post, remove int
		}{
			{`{"path":"org/acme/user/bob","verbs":["memory:read"]}`, 200, 200},
			{`{"path":"org/acme/user/*","verbs":["memory:read","grant:manage"]}`, 200, 200},
			{`{"path":"org/acme/*","verbs":["memory:read"]}`, 403, 200},
			{`{"path":"org/acme/user/*","verbs":["memory:read","memory:write"]}`, 403, 200},
			{`{"path":"org/*","verbs":["memory:read"]}`, 403, 403},
			{`{"path":"org/beta","verbs":["memory:read"]}`, 403, 403},
			{`{"path":"org/*/x","verbs":["memory:read"]}`, 400, 400},
			{`{"path":"","verbs":["memory:read"]}`, 400, 400},
			{`{"path":"org/acme","verbs":["read"]}`, 400, 400},
			{`{"path":"org/acme","verbs":[]}`, 400, 400},
			{`{"path":"org/acme"}`, 400, 400},
		} {
			b.call(test.post, nil, steward.Key, http.MethodPost, grants, test.body)
			b.call(test.remove, nil, steward.Key, http.MethodDelete, grants, test.body)
		}
		const body = `{"path":"org/acme/user/*","verbs":["scope:delete"]}`
		for _, method := range []string{http.MethodPost, http.MethodDelete} {
			var refusal struct{ Detail string }
			b.call(http.StatusForbidden, &refusal, agent.Key, method, grants, body)
			if want := "this needs grant:manage over org/acme/user/*"; refusal.Detail != want {
				t.Errorf("%s by an agent: %q, want %q", method, refusal.Detail, want)
			}
			b.call(http.StatusForbidden, nil, b.admin, method, "/principals/system/grants", body)
			b.call(http.StatusNotFound, nil, b.admin, method, "/principals/nobody/grants", body)
			// What the two may do together is what counts.
			b.call(http.StatusForbidden, nil, b.admin, method, grants, body, "X-Spectron-On-Behalf-Of", agent.PrincipalID)
		}
		var changed struct {
			ID     string
			Grants map[string][]string
		}
		b.call(http.StatusOK, &changed, b.admin, http.MethodPost, grants, `{"path":"/*","verbs":["memory:write"]}`)
		if diff := cmp.Diff(map[string][]string{"memory:write": {"/*"}}, changed.Grants); diff != "" || changed.ID != agent.PrincipalID {
			t.Errorf("%s (-want +got):\n%s", changed.ID, diff)
		}
	})
}

// A change of what the target may do acts on the very next request on its behalf, whichever plane made it.
func TestTheNextRequestOnBehalfGoesByTheNewGrants(t *testing.T) {
	t.Parallel()
	onBoth(t, func(b *both) {
		t := b.t
		agent := b.flat("agent", `{"grants":{"memory:read":["/*"],"memory:write":["/*"]}}`)
		target := b.flat("target", `{"grants":{}}`)
		const body = `{"path":"org/*","verbs":["memory:read","memory:write"]}`
		reads := func() int {
			t.Helper()
			var me struct{ EffectiveGrants map[string][]string }
			b.call(http.StatusOK, &me, agent.Key, http.MethodGet, "/me", "", "X-Spectron-On-Behalf-Of", target.PrincipalID)
			return len(me.EffectiveGrants["memory:read"])
		}
		for round := range 5 {
			reads() // it is remembered
			b.call(http.StatusOK, nil, b.admin, http.MethodPost, "/principals/"+target.PrincipalID+"/grants", body)
			if got := reads(); got != 1 {
				t.Errorf("round %d: after a grant it reads %d regions", round, got)
			}
			reads()
			if round%2 == 0 {
				b.call(http.StatusOK, nil, b.admin, http.MethodDelete, "/principals/"+target.PrincipalID+"/grants", body)
			} else {
				b.operate(http.StatusOK, nil, http.MethodDelete, "/principals/"+target.PrincipalID+"/grants", body)
			}
			if got := reads(); got != 0 {
				t.Errorf("round %d: after the grant was taken away it reads %d regions", round, got)
			}
		}
		reads()
		// The principal goes with its only key.
		b.operate(http.StatusNoContent, nil, http.MethodDelete, "/keys/target", "")
		b.call(http.StatusForbidden, nil, agent.Key, http.MethodGet, "/me", "", "X-Spectron-On-Behalf-Of", target.PrincipalID)
	})
}
