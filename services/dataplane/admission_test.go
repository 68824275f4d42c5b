package dataplane_test

import (
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
)

// Whoever a key acts for, or would like to act for, its own limits hold, and come before anything is told of that name.
func TestLimitsHoldForWhomeverAKeyActsFor(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		p.agent(t, "alice", "/*")
		const me = "/api/v1/acme/me"
		names := [][]string{nil, {onBehalfOf, "alice"}, {onBehalfOf, "nobody"}, {onBehalfOf, ""}, {onBehalfOf, "alice", alias, "nobody"}}
		elsewhere := p.authority.LimitedKey(t, "acme", "acme-1", "afar", grant.All(), caller.Limits{
			AllowedCIDRs: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")},
		})
		told := p.call(t, elsewhere, http.MethodGet, me, "").problem(t).Detail
		for _, path := range []string{me, "/verify"} {
			for _, name := range names {
				got := p.call(t, elsewhere, http.MethodGet, path, "", name...)
				if got.status != http.StatusForbidden || got.problem(t).Detail != told {
					t.Errorf("%s from elsewhere on behalf of %q: %d %s", path, name, got.status, got.body)
				}
			}
		}
		for _, name := range names {
			once := p.authority.LimitedKey(t, "acme", "acme-1", "often", grant.All(), caller.Limits{
				RateLimit: &caller.RateLimit{Requests: 1, Per: time.Hour, Burst: 2},
			})
			// Another context's is not this key's, and uses nothing up.
			if got := p.call(t, once, http.MethodGet, "/api/v1/other/me", ""); got.status != http.StatusUnauthorized {
				t.Errorf("another context: %d %s", got.status, got.body)
			}
			p.call(t, once, http.MethodGet, me, "", name...)
			p.call(t, once, http.MethodGet, "/verify", "", name...)
			if got := p.call(t, once, http.MethodGet, me, "", onBehalfOf, "alice"); got.status != fault.RateLimited.Status() {
				t.Errorf("the third of two, after two on behalf of %q: %d %s", name, got.status, got.body)
			}
		}
	})
}
