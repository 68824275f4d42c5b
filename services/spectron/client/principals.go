package client

import (
	"context"
	"iter"
	"net/http"
	"time"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/spectron/client/internal/dataapi"
)

// Principal is an actor of the context, as the data plane shows it.
type Principal struct {
	ID          string      `json:"id"`
	Kind        caller.Kind `json:"kind"`
	DisplayName string      `json:"displayName"`
	Grants      Grants      `json:"grants"`
}

// ListPrincipals returns the principals of the context, ordered by id. It needs grant:manage, as all about principals does.
func (c *Client) ListPrincipals(ctx context.Context) ([]Principal, error) {
	return collect(c.Principals(ctx))
}

// Principals iterates over the principals of the context, ordered by id.
func (c *Client) Principals(ctx context.Context) iter.Seq2[Principal, error] {
	return pages[Principal](ctx, c.transport, func(cursor *string) (*http.Request, error) {
		return dataapi.NewListPrincipalsRequest(c.server, c.contextID, &dataapi.ListPrincipalsParams{Cursor: cursor})
	})
}

// GetPrincipal returns one principal.
func (c *Client) GetPrincipal(ctx context.Context, id string) (Principal, error) {
	if err := checkSegment("principal_id", id); err != nil {
		return Principal{}, err
	}
	req, err := dataapi.NewGetPrincipalRequest(c.server, c.contextID, id, nil)
	return call[Principal](ctx, c.transport, req, err)
}

// EffectiveVerbs is what a principal may do at a path.
type EffectiveVerbs struct {
	// Path is canonical.
	Path  string   `json:"path"`
	Verbs []string `json:"verbs"`
	// AsOf is the moment that was asked about; nil for now.
	AsOf *time.Time `json:"asOf,omitempty"`
}

// Effective returns what the grants of a principal allow at path, at the moment asOf; the zero time is now. It needs
// grant:manage over path.
func (c *Client) Effective(ctx context.Context, principalID, path string, asOf time.Time) (EffectiveVerbs, error) {
	if err := checkSegment("principal_id", principalID); err != nil {
		return EffectiveVerbs{}, err
	}
	req, err := dataapi.NewGetEffectiveRequest(c.server, c.contextID, principalID, &dataapi.GetEffectiveParams{
		Path: path, AsOf: optional(asOf),
	})
	return call[EffectiveVerbs](ctx, c.transport, req, err)
}

// AddGrants grants verbs over a pattern to a principal and returns it as it is then. The caller must hold grant:manage
// over the pattern, and each of the verbs.
func (c *Client) AddGrants(ctx context.Context, principalID, pattern string, verbs ...string) (Principal, error) {
	if err := checkSegment("principal_id", principalID); err != nil {
		return Principal{}, err
	}
	req, err := dataapi.NewAddGrantsRequest(c.server, c.contextID, principalID, nil, dataapi.GrantMutation{Path: pattern, Verbs: verbs})
	return call[Principal](ctx, c.transport, req, err)
}

// RemoveGrants takes verbs over a pattern from a principal, at once, and returns it as it is then. What is granted over a
// wider pattern stays.
func (c *Client) RemoveGrants(ctx context.Context, principalID, pattern string, verbs ...string) (Principal, error) {
	if err := checkSegment("principal_id", principalID); err != nil {
		return Principal{}, err
	}
	req, err := dataapi.NewRemoveGrantsRequest(c.server, c.contextID, principalID, nil, dataapi.GrantMutation{Path: pattern, Verbs: verbs})
	return call[Principal](ctx, c.transport, req, err)
}
