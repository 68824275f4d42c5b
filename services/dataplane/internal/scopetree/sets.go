package scopetree

import (
	"cmp"
	"slices"
	"strings"

	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/fingerprint"
)

// Normal returns the normal form of sets: nodes and clauses sorted, each once. A clause that another one implies stays,
// because a lens may be looking for its nodes.
func Normal(sets scope.Sets) scope.Sets {
	out := make(scope.Sets, len(sets))
	for i, clause := range sets {
		sorted := slices.Clone(clause)
		slices.SortFunc(sorted, comparePaths)
		out[i] = slices.Compact(sorted)
	}
	slices.SortFunc(out, func(a, b []scope.Path) int { return slices.CompareFunc(a, b, comparePaths) })
	return slices.CompactFunc(out, slices.Equal)
}

// SetID names sets, which must be in normal form.
func SetID(sets scope.Sets) fingerprint.Sum {
	var text strings.Builder
	for _, clause := range sets {
		for _, node := range clause {
			// No path holds a control character.
			text.WriteString(node.String() + "\x1f")
		}
		text.WriteByte('\x1e')
	}
	return fingerprint.Of(text.String())
}

// Default returns where a row lives whose writer did not say: in each of the places that region covers.
func Default(region scope.Region) scope.Sets {
	out := make(scope.Sets, len(region))
	for i, pattern := range region {
		out[i] = []scope.Path{pattern.Node()}
	}
	return Normal(out)
}

func comparePaths(a, b scope.Path) int { return cmp.Compare(a.String(), b.String()) }
