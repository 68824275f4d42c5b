package httpapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/keymanager/internal/httpapi"
)

// covers is what it means for a pattern to cover another one, said once more and plainly.
func covers(outer, inner string) bool {
	region, below := strings.CutSuffix(outer, "*")
	if !below {
		return outer == inner
	}
	node := "/" + strings.Trim(strings.TrimSuffix(inner, "*"), "/") + "/"
	if node == "//" {
		node = "/"
	}
	region = "/" + strings.TrimPrefix(region, "/")
	return strings.HasPrefix(node, region)
}

// TestKeysNeverExceedTheirPrincipal mints keys with random grants for principals with random ones. A mint is refused exactly
// when one of its patterns lies in no single one of the principal's. Whatever becomes of the principal, the key may do at most
// what both say.
func TestKeysNeverExceedTheirPrincipal(t *testing.T) {
	t.Parallel()
	patterns := []string{"/*", "/", "a", "a/*", "a/b", "a/b/*", "a/b/c", "ab/*", "c/*", "c/d"}
	nodes := []string{"/", "a", "a/b", "a/b/c", "a/b/c/d", "ab", "ab/x", "c", "c/d", "c/e", "f"}
	draw := func(t *rapid.T, label string) map[string][]string {
		raw := map[string][]string{}
		for _, verb := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"memory:read", "memory:write", "grant:manage"}), 0, 3, rapid.ID).Draw(t, label+" verbs") {
			raw[verb] = rapid.SliceOfN(rapid.SampledFrom(patterns), 0, 3).Draw(t, label+" "+verb)
		}
		return raw
	}
	matches := func(held map[string][]string, verb, node string) bool {
		for _, pattern := range held[verb] {
			if covers(pattern, node) {
				return true
			}
		}
		return false
	}
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		var runs atomic.Int64
		rapid.Check(t, func(t *rapid.T) {
			held, asked, later := draw(t, "held"), draw(t, "asked"), draw(t, "later")
			run := runs.Add(1)
			p := into[httpapi.Principal](t, s.operate("POST", principals, map[string]any{
				"display_name": fmt.Sprint("p", run), "grants": held,
			}), http.StatusCreated)
			within := true
			for verb, list := range asked {
				for _, pattern := range list {
					one := false
					for _, outer := range held[verb] {
						one = one || covers(outer, pattern)
					}
					within = within && one
				}
			}
			target := fmt.Sprintf("%s/%s/keys/k%d", principals, p.Id, run)
			a := s.operate("POST", target, map[string]any{"grants": asked})
			if !within {
				into[struct{}](t, a, fault.Invalid.Status())
				into[struct{}](t, s.operate("DELETE", target, nil), http.StatusNotFound) // nothing of it was minted
				return
			}
			minted := into[httpapi.MintedKey](t, a, http.StatusCreated)
			for _, now := range []map[string][]string{held, later} {
				into[httpapi.Principal](t, s.operate("PATCH", principals+"/"+p.Id, map[string]any{"grants": now}), http.StatusOK)
				effective := s.effective(t, minted.Key)
				for _, verb := range grant.Verbs() {
					for _, text := range nodes {
						path, err := scope.ParsePath(text)
						if err != nil {
							t.Fatal(err)
						}
						want := matches(now, string(verb), text) && matches(asked, string(verb), text)
						if effective[verb].Matches(path) != want {
							t.Fatalf("%s over %s: %v, want %v", verb, text, !want, want)
						}
					}
				}
			}
		})
	})
}
