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
	// EffectiveGrants is what the key may do: the meet of the two.
	EffectiveGrants Grants `json:"effectiveGrants"`
}

// Me returns who the key acts as. The error is fault.Unauthenticated when the key opens nothing here.
func (c *Client) Me(ctx context.Context) (Identity, error) {
	req, err := dataapi.NewGetMeRequest(c.server, c.contextID)
	return call[Identity](ctx, c.transport, req, err)
}
