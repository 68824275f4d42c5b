package grant

import (
	"maps"
	"slices"

	"github.com/spectron-hq/spectron/services/contract/scope"
)

// Join returns what m or o allows.
func (m Map) Join(o Map) Map {
	out := make(Map, max(len(m), len(o)))
	for _, part := range []Map{m, o} {
		for verb, region := range part {
			out[verb] = slices.Concat(out[verb], region)
		}
	}
	return out.Normal()
}

// Without returns m without the grants of the given verbs that lie within pattern. A grant over more than pattern stays
// whole: a region with a hole cannot be said in patterns.
func (m Map) Without(pattern scope.Pattern, verbs ...Verb) Map {
	out := make(Map, len(m))
	for verb, region := range m {
		if slices.Contains(verbs, verb) {
			region = slices.DeleteFunc(slices.Clone(region), pattern.Covers)
		}
		out[verb] = region
	}
	return out.Normal()
}

// Equal reports whether m and o allow the same.
func (m Map) Equal(o Map) bool { return maps.EqualFunc(m.Normal(), o.Normal(), scope.Region.Equal) }
