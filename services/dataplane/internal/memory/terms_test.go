package memory_test

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
)

func TestTerms(t *testing.T) {
	t.Parallel()
	for query, want := range map[string][]string{
		"What does Alice like to drink?":   {"alice", "like", "drink"},
		"don't":                            nil,
		"foo_bar-baz foo":                  {"foo", "bar", "baz"},
		"Café ÉCOLE Ωμέγα":                 {"cafe", "ecole", "ωμεγα"},
		"cafe\u0301":                       {"cafe"},
		"ﬁne x²":                           {"fine", "x2"},
		"":                                 nil,
		"?!":                               nil,
		"हिन्दी":                           {"हिन्दी"},
		strings.Repeat("é", 100):           {strings.Repeat("e", 64)},
		strings.Repeat("東", 100):           {strings.Repeat("東", 64)},
		strings.Repeat("a", 63) + "東東":     {strings.Repeat("a", 63) + "東"},
		"\u0130stanbul \u212aelvin \u1e9e": {"istanbul", "kelvin", "ß"},
	} {
		if diff := cmp.Diff(want, memory.Terms(query)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", query, diff)
		}
	}
	if n := len(memory.Terms(strings.Join(strings.Split(strings.Repeat("abcdefghij", 2), ""), " ") + many())); n != 64 {
		t.Errorf("%d terms", n)
	}
}

func many() string {
	var b strings.Builder
	for c := '\u4e00'; c < '\u4f00'; c++ {
		b.WriteString(" " + string(c))
	}
	return b.String()
}

func TestTermsAreWordsOfTheSameText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		words := memory.Words(text)
		for _, term := range memory.Terms(text) {
			if !slices.Contains(words, term) {
				t.Fatalf("%q is looked for and not indexed", term)
			}
			// What the engines quote must need no quoting.
			if term == "" || len([]rune(term)) > 64 || strings.ContainsFunc(term, func(r rune) bool {
				return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r)
			}) {
				t.Fatalf("%q is not one word", term)
			}
		}
	})
}
