package verifier_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/verifier"
)

// nodes and patterns make regions that nest, touch and miss each other.
var (
	nodes    = []string{"/", "a", "ab", "a/b", "a/b/c", "a/bc", "d"}
	patterns = []string{"/", "/*", "a", "a/*", "ab/*", "a/b", "a/b/*", "a/b/c", "a/bc/*", "d"}
)

// naive decides by the text of the contract: a pattern of one node is that node; one that ends in * is a prefix of whole segments.
func naive(granted map[string][]string, verb, node string) bool {
	for _, pattern := range granted[verb] {
		base, subtree := strings.CutSuffix(pattern, "*")
		path := strings.Trim(node, "/") + "/"
		if want := strings.Trim(base, "/") + "/"; path == want || subtree && (want == "/" || strings.HasPrefix(path, want)) {
			return true
		}
	}
	return false
}

// TestDelegationIsTheMeetOfThree compares what a key may do on behalf of another principal with a naive reading: whatever the
// principal, the key and the target may all do, and nothing else. Targets change while they are remembered.
func TestDelegationIsTheMeetOfThree(t *testing.T) {
	t.Parallel()
	grants := rapid.Custom(func(t *rapid.T) map[string][]string {
		out := map[string][]string{}
		for _, verb := range []string{"memory:read", "memory:write", "grant:manage"} {
			out[verb] = rapid.SliceOfN(rapid.SampledFrom(patterns), 0, 3).Draw(t, verb)
		}
		return out
	})
	rapid.Check(t, func(rt *rapid.T) {
		principal, attenuation, target := grants.Draw(rt, "principal"), grants.Draw(rt, "key"), grants.Draw(rt, "target")
		if !rapid.Bool().Draw(rt, "attenuated") {
			attenuation = nil
		}
		var wrong string
		synctest.Test(t, func(t *testing.T) { wrong = differences(t, principal, attenuation, target) })
		if wrong != "" {
			rt.Fatal(wrong)
		}
	})
}

// differences tells where the two readings differ, for a target that had other grants before. A nil attenuation inherits.
func differences(t *testing.T, principal, attenuation, target map[string][]string) string {
	t.Helper()
	r := newRegistry()
	v := open(t, r, verifier.Config{})
	settle()
	key := r.mint(t)
	r.employ("alice", grant.All())
	reads(t, v, key, "alice")
	r.set(func() {
		verdict := r.live[key.Digest()]
		verdict.Principal = &caller.Principal{ID: "p", Grants: parsed(t, principal)}
		if attenuation != nil {
			verdict.KeyGrants = parsed(t, attenuation)
		}
		r.live[key.Digest()] = verdict
		r.touchLocked(introspection.SubjectPrincipal, "p")
	})
	r.regrant("alice", parsed(t, target))
	settle()
	for range 2 { // from the authority, then from the cache
		verdict, err := v.CheckOnBehalf(t.Context(), key.Reveal(), "alice")
		if err != nil {
			return err.Error()
		}
		for _, verb := range grant.Verbs() {
			for _, node := range nodes {
				path, err := scope.ParsePath(node)
				if err != nil {
					return err.Error()
				}
				name := string(verb)
				want := naive(principal, name, node) && (attenuation == nil || naive(attenuation, name, node)) && naive(target, name, node)
				if got := grant.Authorize(verdict.Caller, verb, path) == nil; got != want {
					return fmt.Sprintf("%s at %s from %s: %t, want %t", verb, node, verdict.Source, got, want)
				}
			}
		}
	}
	return ""
}

func parsed(t *testing.T, raw map[string][]string) grant.Map {
	t.Helper()
	m, err := grant.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
