package acceptance_test

import (
	"encoding/json"
	"slices"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
)

// The words that paths and patterns are made of: few, so that they meet, and alike, so that a comparison of letters instead of segments
// shows.
var (
	segments = []string{"a", "b", "ab", "a0", "A", "é"}
	kinds    = []caller.Kind{caller.Agent, caller.Supervisor, caller.Human, caller.Service, caller.Unknown}
)

func genNode() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		text := ""
		for range rapid.IntRange(0, 3).Draw(t, "depth") {
			text += rapid.SampledFrom(segments[:4]).Draw(t, "segment") + "/"
		}
		switch rapid.IntRange(0, 3).Draw(t, "form") {
		case 0:
			if text != "" {
				return text[:len(text)-1]
			}
		case 1:
			if text != "" {
				return "/" + text
			}
		}
		if text == "" {
			return "/"
		}
		return text
	})
}

func genPattern() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		node := genNode().Draw(t, "node")
		if !rapid.Bool().Draw(t, "subtree") {
			return node
		}
		if node == "/" {
			return rapid.SampledFrom([]string{"/*", "*"}).Draw(t, "everything")
		}
		if node[len(node)-1] == '/' {
			return node + "*"
		}
		return node + "/*"
	})
}

func genGrants() *rapid.Generator[refGrants] {
	patterns := rapid.SliceOfN(genPattern(), 0, 3)
	return rapid.Map(rapid.MapOfN(rapid.SampledFrom(verbs), patterns, 0, 4), func(m map[string][]string) refGrants { return m })
}

func genSets() *rapid.Generator[[][]string] {
	return rapid.SliceOfN(rapid.SliceOfN(genNode(), 1, 3), 1, 3)
}

// TestDecisions compares every decision of package grant with the reference: kinds, grants of principal, key and target, verbs, paths.
func TestDecisions(t *testing.T) {
	t.Parallel()
	wanted := int64(size(t, "SPECTRON_DECISIONS", 1) * 100_000)
	var decided atomic.Int64
	for decided.Load() < wanted {
		before := decided.Load()
		rapid.Check(t, func(t *rapid.T) { decided.Add(decideWorld(t)) })
		if decided.Load() == before {
			t.Fatal("nothing was decided")
		}
	}
	t.Logf("%d decisions, no difference", decided.Load())
}

// decideWorld decides everything about one caller, and returns how many decisions that were.
func decideWorld(t *rapid.T) (decided int64) {
	authority := refAuthority{principal: genGrants().Draw(t, "principal")}
	effective := parsed(t, authority.principal)
	if rapid.Bool().Draw(t, "narrowed") {
		authority.key = genGrants().Draw(t, "key")
		effective = grant.Effective(effective, parsed(t, authority.key))
	} else {
		effective = grant.Effective(effective, nil)
	}
	who := &caller.Caller{Principal: &caller.Principal{Kind: rapid.SampledFrom(kinds).Draw(t, "kind")}, Effective: effective}
	if rapid.Bool().Draw(t, "delegating") {
		authority.target = genGrants().Draw(t, "target")
		who.Effective = effective.Meet(parsed(t, authority.target))
	}
	paths := append(rapid.SliceOfN(genNode(), 6, 6).Draw(t, "paths"), "/", "a", "a/b")
	sets := rapid.SliceOfN(genSets(), 2, 2).Draw(t, "sets")
	for _, verb := range verbs {
		for _, text := range paths {
			err := grant.Authorize(who, grant.Verb(verb), node(t, text))
			if want := authority.refMay(verb, text); (err == nil) != want {
				t.Fatalf("%s over %s: got %v, the reference says %t", verb, text, err, want)
			}
			decided++
		}
		for _, set := range sets {
			err := grant.AuthorizeSets(who, grant.Verb(verb), clauses(t, set))
			if want := authority.refMayAll(verb, set); (err == nil) != want {
				t.Fatalf("%s over %v: got %v, the reference says %t", verb, set, err, want)
			}
			decided++
		}
	}
	// Minting within what one holds, and the meet being within both of its sides.
	asked := genGrants().Draw(t, "asked")
	if err := parsed(t, asked).Within(parsed(t, authority.principal)); (err == nil) != refWithin(asked, authority.principal) {
		t.Fatalf("%v within %v: got %v", asked, authority.principal, err)
	}
	written := readBack(t, who.Effective)
	if !refWithin(written, authority.principal) || authority.key != nil && !refWithin(written, authority.key) {
		t.Fatalf("%v is wider than what it was made of", written)
	}
	return decided + 2
}

// TestTheMeetIsWrittenDown holds what me shows of effective authority against the reference: the written grants decide as the caller does.
func TestTheMeetIsWrittenDown(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		authority := refAuthority{principal: genGrants().Draw(t, "principal"), key: genGrants().Draw(t, "key")}
		written := readBack(t, grant.Effective(parsed(t, authority.principal), parsed(t, authority.key)))
		for _, verb := range verbs {
			path := genNode().Draw(t, "path")
			if got, want := refHolds(written, verb, path), authority.refMay(verb, path); got != want {
				t.Fatalf("%s over %s: the written grants say %t, the reference %t", verb, path, got, want)
			}
		}
	})
}

// TestParsing compares what is taken for a path, a pattern and a grant map, and what they mean.
func TestParsing(t *testing.T) {
	t.Parallel()
	pieces := []string{"a", "b", "/", "/", "*", ".", "..", " ", "ab", "é"}
	rapid.Check(t, func(t *rapid.T) {
		for range 50 {
			text := ""
			for _, piece := range rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 6).Draw(t, "pieces") {
				text += piece
			}
			path, pathErr := scope.ParsePath(text)
			want, ok := refSegments(text)
			if (pathErr == nil) != ok || ok && path.String() != refCanonical(want) {
				t.Fatalf("the path %q: got %s, %v; the reference says %t %v", text, path, pathErr, ok, want)
			}
			pattern, err := scope.ParsePattern(text)
			if _, ok := refParse(text); (err == nil) != ok {
				t.Fatalf("the pattern %q: got %v, the reference says %t", text, err, ok)
			}
			verb := rapid.SampledFrom(append(slices.Clone(verbs), "read", "key:create", "")).Draw(t, "verb")
			raw := refGrants{verb: {text}}
			if _, err := grant.Parse(raw); (err == nil) != refValid(raw) {
				t.Fatalf("grants %v: got %v", raw, err)
			}
			other := genPattern().Draw(t, "other")
			if err != nil {
				continue
			}
			q := mustPattern(t, other)
			if pattern.Covers(q) != refCovers(text, other) || q.Covers(pattern) != refCovers(other, text) {
				t.Fatalf("%q and %q: which covers which?", text, other)
			}
			at := genNode().Draw(t, "at")
			both, meet := pattern.Meet(q)
			if got, want := meet && both.Matches(node(t, at)), refMatches(text, at) && refMatches(other, at); got != want {
				t.Fatalf("%q meet %q at %q: got %t, the reference says %t", text, other, at, got, want)
			}
		}
	})
}

func parsed(t *rapid.T, grants refGrants) grant.Map {
	m, err := grant.Parse(grants)
	if err != nil {
		t.Fatalf("%v is refused: %v", grants, err)
	}
	return m
}

func node(t *rapid.T, text string) scope.Path {
	p, err := scope.ParsePath(text)
	if err != nil {
		t.Fatalf("%q is refused: %v", text, err)
	}
	return p
}

func mustPattern(t *rapid.T, text string) scope.Pattern {
	p, err := scope.ParsePattern(text)
	if err != nil {
		t.Fatalf("%q is refused: %v", text, err)
	}
	return p
}

func clauses(t *rapid.T, set [][]string) scope.Sets {
	text, err := json.Marshal(set)
	var sets scope.Sets
	if err != nil || json.Unmarshal(text, &sets) != nil {
		t.Fatalf("%v is refused", set)
	}
	return sets
}

// readBack is m as a client reads it.
func readBack(t *rapid.T, m grant.Map) refGrants {
	text, err := json.Marshal(m)
	out := refGrants{}
	if err != nil || json.Unmarshal(text, &out) != nil {
		t.Fatalf("%v cannot be read back", m)
	}
	return out
}
