package client

import (
	"context"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/spectron/client/internal/dataapi"
)

// Identity is who a key acts as, and what it may do.
type Identity struct {
	PrincipalID string      `json:"principalId"`
	DisplayName string      `json:"displayName"`
	Kind        caller.Kind `json:"kind"`
	ContextID   string      `json:"contextId"`
	// Grants are the principal's.
	Grants Grants `json:"grants"`
	// TokenGrants attenuate them for this key; nil when the key inherits all.
	TokenGrants Grants `json:"tokenGrants,omitempty"`
	// EffectiveGrants is what the key may do: the meet of the two, and of those of the delegated principal, if there is one.
	EffectiveGrants Grants `json:"effectiveGrants"`
	// DelegatedPrincipalID is on whose behalf the caller acts; empty for its own.
	DelegatedPrincipalID string `json:"delegatedPrincipalId,omitempty"`
	// Verdict says how the server knew what the key is worth.
	Verdict *Verdict `json:"verdict,omitempty"`
}

// Verdict says how the worth of a request's key was known.
type Verdict struct {
	// Source is "cache" for an answer from memory and "authority" for one that was asked for.
	Source string `json:"source"`
	// AsOf is the revision of authority that it was read at.
	AsOf int64 `json:"as_of"`
}

// Me returns who the key acts as. The error is fault.Unauthenticated when the key opens nothing here.
func (c *Client) Me(ctx context.Context) (Identity, error) {
	req, err := dataapi.NewGetMeRequest(c.server, c.contextID, nil)
	return call[Identity](ctx, c.transport, req, err)
}
