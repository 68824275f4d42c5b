package spl

import (
	"context"
	"errors"
	"time"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// claim is who makes a request, and as whom.
type claim struct {
	// caller is whose token was shown; the local operator, who has every scope, where authentication is off. It is never nil.
	caller *caller.Caller
	// space is the incarnation of the context, by which rows are kept.
	space string
	// actor is the identity that the request claims, and may.
	actor string
	// draft is the record that is to be written, as it came and not yet validated; nil for every other request.
	draft map[string]any
	// identity is how the key manager is asked as this caller.
	identity introspection.Identity
	// ends is when the token ends; zero when it does not.
	ends time.Time
	// off says that authentication is off, so that nothing above was verified.
	off bool
}

// has reports whether the caller has a scope.
func (c claim) has(verb grant.Verb) bool { return hasScope(c.caller, verb) }

// claimKey is where the claim of a request travels.
type claimKey struct{}

// claimOf returns the claim that the pipeline has found.
func claimOf(ctx context.Context) (claim, error) {
	found, ok := ctx.Value(claimKey{}).(claim)
	if !ok {
		return claim{}, errors.New("a route outside the pipeline asked for the claim")
	}
	return found, nil
}
