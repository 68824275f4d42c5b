package memory

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

const (
	// maxTerm is the length in characters beyond which a word is cut, in texts and in queries alike.
	maxTerm = 64
	// maxQueryTerms is how many distinct words of a query are looked for; more would cost much and tell little.
	maxQueryTerms = 64
)

// Words returns the words of text, in order: runs of letters, digits and marks, in lower case and without accents. It cuts
// the texts that are indexed and the queries alike, so that both engines find the same.
func Words(text string) []string {
	words := strings.FieldsFunc(fold(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r)
	})
	for i, word := range words {
		words[i] = cut(word)
	}
	return words
}

// Terms returns the distinct words of query that are worth looking for.
func Terms(query string) []string {
	var terms []string
	for _, word := range Words(query) {
		if !stopWords[word] && !slices.Contains(terms, word) {
			terms = append(terms, word)
		}
		if len(terms) == maxQueryTerms {
			break
		}
	}
	return terms
}

// fold returns text in lower case, in one of the ways Unicode has to write it, and without the accents of Latin, Greek and
// Cyrillic: who asks for a cafe wants the café too.
func fold(text string) string {
	decomposed := norm.NFKD.String(strings.ToLower(text))
	bare := strings.Map(func(r rune) rune {
		if r >= 0x0300 && r <= 0x036f { // combining diacritical marks
			return -1
		}
		return r
	}, decomposed)
	// Decomposing may bring back capitals, as of the letter-like symbols.
	return strings.ToLower(norm.NFC.String(bare))
}

func cut(word string) string {
	if len(word) <= maxTerm {
		return word
	}
	n := 0
	for i := range word {
		if n == maxTerm {
			return word[:i]
		}
		n++
	}
	return word
}

// stopWords are the words that Postgres's english configuration does not index, cut as Words cuts them.
var stopWords = stopWordSet()

func stopWordSet() map[string]bool {
	const list = `i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her hers
		herself it its itself they them their theirs themselves what which who whom this that these those am is are was were
		be been being have has had having do does did doing a an the and but if or because as until while of at by for with
		about against between into through during before after above below to from up down in out on off over under again
		further then once here there when where why how all any both each few more most other some such no nor not only own
		same so than too very s t can will just don should now`
	set := make(map[string]bool)
	for word := range strings.FieldsSeq(list) {
		set[word] = true
	}
	return set
}
