package grant_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
)

func TestWithoutTakesWhatLiesWithinAndNothingElse(t *testing.T) {
	t.Parallel()
	held := map[string][]string{
		"memory:read":  {"org/acme", "org/acme/user/*", "org/beta/*"},
		"memory:write": {"org/acme/*"},
	}
	for _, tt := range []struct {
		name, path string
		verbs      []grant.Verb
		want       map[string][]string
	}{
		{"a subtree", "org/acme/*", []grant.Verb{grant.MemoryRead}, map[string][]string{"memory:read": {"org/beta/*"}, "memory:write": {"org/acme/*"}}},
		{"both verbs", "org/acme/*", []grant.Verb{grant.MemoryRead, grant.MemoryWrite}, map[string][]string{"memory:read": {"org/beta/*"}}},
		{"a node alone", "org/acme", []grant.Verb{grant.MemoryRead, grant.MemoryWrite}, map[string][]string{"memory:read": {"org/acme/user/*", "org/beta/*"}, "memory:write": {"org/acme/*"}}},
		{"less than is granted", "org/beta/x/*", []grant.Verb{grant.MemoryRead}, held},
		{"everything", "/*", grant.Verbs(), map[string][]string{}},
		{"another verb", "/*", []grant.Verb{grant.GrantManage}, held},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			pattern, err := scope.ParsePattern(tt.path)
			if err != nil {
				t.Fatal(err)
			}
			m := parse(t, held)
			got, want := m.Without(pattern, tt.verbs...), parse(t, tt.want)
			for _, verb := range grant.Verbs() {
				if !got[verb].Equal(want[verb]) {
					t.Errorf("%s: %v, want %v", verb, got[verb], want[verb])
				}
				if !m[verb].Equal(parse(t, held)[verb]) {
					t.Errorf("%s: the map itself was changed", verb)
				}
			}
		})
	}
}

func TestJoinAllowsWhatEitherAllows(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		patterns := []string{"/*", "/", "a", "a/*", "a/b", "a/b/*", "c/*"}
		draw := func(name string) grant.Map {
			raw := map[string][]string{}
			for _, verb := range []string{"memory:read", "memory:write"} {
				raw[verb] = rapid.SliceOfN(rapid.SampledFrom(patterns), 0, 3).Draw(t, name+" "+verb)
			}
			m, err := grant.Parse(raw)
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		a, b := draw("a"), draw("b")
		joined := a.Join(b)
		for _, text := range []string{"/", "a", "a/b", "a/b/c", "a/d", "c", "c/e", "f"} {
			path, err := scope.ParsePath(text)
			if err != nil {
				t.Fatal(err)
			}
			for _, verb := range grant.Verbs() {
				if want := a[verb].Matches(path) || b[verb].Matches(path); joined[verb].Matches(path) != want {
					t.Fatalf("%s over %s: %v, want %v", verb, text, !want, want)
				}
			}
		}
		for verb, region := range joined {
			if len(region) == 0 || !slices.Equal(region, region.Normal()) {
				t.Fatalf("%s: %v is not in normal form", verb, region)
			}
		}
	})
}
