package grant

import (
	"fmt"
	"slices"

	"github.com/spectron-hq/spectron/services/contract/scope"
)

// The scopes of service accounts: verbs that hold for the whole context. None implies another, but [Admin] all of them.
const (
	RecordsRead      Verb = "records:read"
	RecordsWrite     Verb = "records:write"
	ThreadsWrite     Verb = "threads:write"
	FederationManage Verb = "federation:manage"
	ConfigRead       Verb = "config:read"
	ConfigWrite      Verb = "config:write"
	Admin            Verb = "admin"
)

var scopes = [...]Verb{RecordsRead, RecordsWrite, ThreadsWrite, FederationManage, ConfigRead, ConfigWrite, Admin}

// Scopes returns every scope of service accounts, in display order.
func Scopes() []Verb { return scopes[:] }

// ParseScope reads a scope of service accounts and refuses anything outside the closed set.
func ParseScope(text string) (Verb, error) {
	if verb := Verb(text); slices.Contains(scopes[:], verb) {
		return verb, nil
	}
	return "", fmt.Errorf("unknown scope %q; the scopes are %v", text, scopes)
}

// OfScopes returns the grants that a token with these scopes is stored with.
func OfScopes(scopes ...Verb) Map { return Over(scope.Everything, scopes...) }

// ScopesOf returns the scopes in m, in display order.
func (m Map) ScopesOf() []Verb {
	out := []Verb{}
	for _, verb := range scopes {
		if len(m[verb]) > 0 {
			out = append(out, verb)
		}
	}
	return out
}

// Snapshot returns what a token may do that was minted with the grants m, whatever its account may do by now: its scopes and
// nothing else, and all of them where [Admin] is one.
func Snapshot(m Map) Map {
	if len(m[Admin]) > 0 {
		return OfScopes(Scopes()...)
	}
	return OfScopes(m.ScopesOf()...)
}
