package storetest

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
	"github.com/spectron-hq/spectron/services/dataplane/internal/scopetree"
)

// segments are chosen to lie close to each other and to the slash in the order of bytes, and to be wildcards elsewhere.
var segments = rapid.SampledFrom([]string{"a", "b", "a0", "a.", "a-", "a/b", "é", "%", "_"})

var paths = rapid.Custom(func(t *rapid.T) scope.Path {
	p := scope.Root
	for range rapid.IntRange(0, 3).Draw(t, "depth") {
		text := p.String() + segments.Draw(t, "segment")
		var err error
		if p, err = scope.ParsePath(text); err != nil {
			t.Fatalf("path %q: %v", text, err)
		}
	}
	return p
})

var patterns = rapid.Custom(func(t *rapid.T) scope.Pattern {
	if rapid.Bool().Draw(t, "subtree") {
		return scope.Under(paths.Draw(t, "node"))
	}
	return scope.Exactly(paths.Draw(t, "node"))
})

// regions seldom cover everything, because then there is nothing to decide.
var regions = rapid.Custom(func(t *rapid.T) scope.Region {
	return scope.Region(rapid.SliceOfN(patterns, 0, 4).Draw(t, "patterns")).Normal()
})

// readable is the definition of visibility, as plainly as it can be written.
func readable(row scope.Sets, region scope.Region) bool {
	return slices.ContainsFunc(row, func(clause []scope.Path) bool {
		return !slices.ContainsFunc(clause, func(node scope.Path) bool { return !region.Matches(node) })
	})
}

// passes is the definition of a lens.
func passes(row scope.Sets, lens scope.Lens) bool {
	if len(lens) == 0 {
		return true
	}
	nodes := slices.Concat(row...)
	return slices.ContainsFunc(lens, func(clause []scope.Pattern) bool {
		return !slices.ContainsFunc(clause, func(p scope.Pattern) bool { return !slices.ContainsFunc(nodes, p.Matches) })
	})
}

func testVisibility(t *testing.T, f Fixture) {
	rapid.Check(t, func(rt *rapid.T) {
		in := incarnation()
		rows := rapid.SliceOfN(rapid.SliceOfN(rapid.SliceOfN(paths, 1, 3), 1, 3), 1, 10).Draw(rt, "rows")
		written := make(map[string]scope.Sets, len(rows))
		for _, row := range rows {
			w := write(in, "otter", scopetree.Normal(row))
			remember(t, f.Store, w)
			written[w.Chunk.ID] = row
		}
		for range 20 {
			question := search(in, "otter")
			question.Region = regions.Draw(rt, "region")
			question.Lens = rapid.SliceOfN(rapid.SliceOfN(patterns, 1, 3), 0, 3).Draw(rt, "lens")
			var want []string
			for id, row := range written {
				if readable(row, question.Region) && passes(row, question.Lens) {
					want = append(want, id)
				}
			}
			slices.Sort(want)
			if got := sortedIDs(find(t, f.Store, question)); !slices.Equal(want, got) {
				rt.Fatalf("region %v, lens %v of %v: want %d hits, got %d", question.Region, question.Lens, rows, len(want), len(got))
			}
		}
	})
}

func testIsolation(t *testing.T, f Fixture) {
	mine, theirs := incarnation(), incarnation()
	tagged := sets(t, []string{"org/acme"})
	own := write(mine, "otter of mine", tagged)
	own.Chunk.Labels = []string{"a=b"}
	foreign := write(theirs, "otter of theirs", tagged)
	foreign.Chunk.Labels = []string{"a=c"}
	// The same ids on both sides, as nothing but the context may keep rows apart.
	foreign.Chunk.ID, foreign.Turn.ID, foreign.Session.ID = own.Chunk.ID, own.Turn.ID, own.Session.ID
	remember(t, f.Store, own)
	remember(t, f.Store, foreign)
	register(t, f.Store, theirs, "org/acme")

	for _, narrow := range []func(*memory.Search){
		func(*memory.Search) {},
		func(s *memory.Search) { s.Region = region(t, "org/acme/*") },
		func(s *memory.Search) { s.Lens = scope.Lens{{scope.Under(path(t, "org"))}} },
		func(s *memory.Search) { s.SessionID = own.Session.ID },
	} {
		question := search(mine, "otter theirs mine "+theirs)
		narrow(&question)
		if diff := cmp.Diff([]string{"otter of mine"}, texts(find(t, f.Store, question))); diff != "" {
			t.Errorf("hits (-want +got):\n%s", diff)
		}
	}
	question := search(mine, "otter")
	question.Labels = []string{"a=c"}
	if hits := find(t, f.Store, question); len(hits) != 0 {
		t.Errorf("a foreign label matched: %v", texts(hits))
	}
	if nodes := listed(t, f.Store, mine, region(t, "/*"), wholePage); len(nodes) != 0 {
		t.Errorf("foreign scopes: %v", nodes)
	}
	living, err := f.Store.Living(t.Context(), mine, []scope.Path{path(t, "org/acme")})
	if err != nil || len(living) != 0 {
		t.Errorf("living: %v, %v", living, err)
	}
}

// testSimilarContexts: no name of a context is another one to the full-text index, or a part of its language.
func testSimilarContexts(t *testing.T, f Fixture) {
	unique := incarnation()
	names := []string{"", " a", " a b", " a  b", ` a"b`, ` a'b`, ` a\b`, ` a\'b`, " ab", " A", " a*", " a OR b", " :a"}
	for _, name := range names {
		remember(t, f.Store, write(unique+name, "otter of "+unique+name, sets(t, []string{"/"})))
	}
	for _, name := range names {
		if diff := cmp.Diff([]string{"otter of " + unique + name}, texts(find(t, f.Store, search(unique+name, "otter")))); diff != "" {
			t.Errorf("%q (-want +got):\n%s", name, diff)
		}
	}
}
