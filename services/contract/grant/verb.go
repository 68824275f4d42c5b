// Package grant decides. A grant map says which verbs are allowed over which region; effective authority is the meet of
// the maps that apply; [Authorize] is the one function that turns a caller, a verb and a path into yes or no.
package grant

import "fmt"

// Verb names one thing that a caller may do. The set is closed.
type Verb string

// The verbs of contexts.
const (
	MemoryRead   Verb = "memory:read"
	MemoryWrite  Verb = "memory:write"
	MemoryForget Verb = "memory:forget"
	ScopeRead    Verb = "scope:read"
	ScopeCreate  Verb = "scope:create"
	ScopeDelete  Verb = "scope:delete"
	GrantManage  Verb = "grant:manage"
)

// verbs is in the order in which people are shown it.
var verbs = [...]struct {
	verb        Verb
	description string
}{
	{MemoryRead, "Read facts, query memory and ask for context."},
	{MemoryWrite, "Write facts and sessions."},
	{MemoryForget, "Forget facts, softly or for good."},
	{ScopeRead, "See the scope nodes of the region."},
	{ScopeCreate, "Register scope nodes."},
	{ScopeDelete, "Tombstone scope nodes."},
	{GrantManage, "See and change the grants of principals, within one's own."},
}

// Verbs returns every verb, in display order.
func Verbs() []Verb {
	out := make([]Verb, len(verbs))
	for i, row := range verbs {
		out[i] = row.verb
	}
	return out
}

// ParseVerb reads a verb and refuses anything outside the closed set.
func ParseVerb(text string) (Verb, error) {
	for _, row := range verbs {
		if string(row.verb) == text {
			return row.verb, nil
		}
	}
	return "", fmt.Errorf("unknown verb %q; the verbs are %v", text, Verbs())
}

// Description says in a sentence what v allows.
func (v Verb) Description() string {
	for _, row := range verbs {
		if row.verb == v {
			return row.description
		}
	}
	return ""
}

// UnmarshalText reads a verb as [ParseVerb] does, or a scope as [ParseScope] does.
func (v *Verb) UnmarshalText(text []byte) error {
	parsed, err := ParseVerb(string(text))
	if scope, scopeErr := ParseScope(string(text)); scopeErr == nil {
		parsed, err = scope, nil
	}
	if err != nil {
		return err
	}
	*v = parsed
	return nil
}
