package scopetree_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/scopetree"
)

var paths = rapid.Custom(func(t *rapid.T) scope.Path {
	p, err := scope.ParsePath(rapid.SampledFrom([]string{"/", "a", "b", "a/b", "ab", "a/b/c"}).Draw(t, "path"))
	if err != nil {
		t.Fatal(err)
	}
	return p
})

func TestOrderAndRepetitionDoNotChangeTheID(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		sets := scope.Sets(rapid.SliceOfN(rapid.SliceOfN(paths, 1, 4), 1, 4).Draw(t, "sets"))
		shuffled := slices.Clone(sets)
		for i, clause := range shuffled {
			shuffled[i] = append(slices.Clone(clause), clause[0])
			rand.Shuffle(len(shuffled[i]), func(a, b int) { shuffled[i][a], shuffled[i][b] = shuffled[i][b], shuffled[i][a] })
		}
		rand.Shuffle(len(shuffled), func(a, b int) { shuffled[a], shuffled[b] = shuffled[b], shuffled[a] })
		a, b := scopetree.Normal(sets), scopetree.Normal(append(shuffled, shuffled[0]))
		if scopetree.SetID(a) != scopetree.SetID(b) {
			t.Fatalf("%v and %v are the same sets", a, b)
		}
	})
}

func TestDifferentSetsHaveDifferentIDs(t *testing.T) {
	t.Parallel()
	path := func(text string) scope.Path {
		p, err := scope.ParsePath(text)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	seen := map[any]int{}
	for i, sets := range []scope.Sets{
		{{path("a")}},
		{{path("b")}},
		{{path("a"), path("b")}},
		{{path("a")}, {path("b")}},
		{{path("a/b")}},
		{{path("a")}, {path("a"), path("b")}}, // implied by the first, but a lens sees the difference
	} {
		id := scopetree.SetID(scopetree.Normal(sets))
		if other, twice := seen[id]; twice {
			t.Errorf("%d and %d share an id", i, other)
		}
		seen[id] = i
	}
}
