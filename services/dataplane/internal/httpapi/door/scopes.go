package door

import (
	"slices"
	"strings"

	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
)

// maxScopes is the most that a header or an assertion tells of what a key may do, in bytes: proxies keep a few kilobytes for all
// headers.
const maxScopes = 2048

// scopesOf writes what m allows as scope tokens (RFC 6749, section 3.3): a verb alone where it holds over everything, and verb:pattern
// for each region otherwise.
func scopesOf(m grant.Map) []string {
	var out []string
	for _, verb := range slices.Concat(grant.Verbs(), grant.Scopes()) {
		region := m[verb]
		if region.Covers(scope.Everything) {
			out = append(out, string(verb))
			continue
		}
		for _, pattern := range region {
			out = append(out, string(verb)+":"+encode(pattern.String()))
		}
	}
	return out
}

// fitting returns as many of scopes as fit, by spaces, and whether some did not. Who gets fewer believes in less authority than there
// is, never in more.
func fitting(scopes []string) (text string, cut bool) {
	var b strings.Builder
	for _, each := range scopes {
		if b.Len()+1+len(each) > maxScopes {
			return b.String(), true
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(each)
	}
	return b.String(), false
}

// encode returns text with every byte percent-encoded that no scope token has, or that would make that ambiguous.
func encode(text string) string {
	const hex = "0123456789ABCDEF"
	clean := func(c byte) bool { return c > ' ' && c <= '~' && c != '"' && c != '\\' && c != '%' }
	i := 0
	for i < len(text) && clean(text[i]) {
		i++
	}
	if i == len(text) {
		return text
	}
	out := []byte(text[:i])
	for ; i < len(text); i++ {
		if c := text[i]; clean(c) {
			out = append(out, c)
		} else {
			out = append(out, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(out)
}
