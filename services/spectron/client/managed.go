package client

import (
	"context"
	"iter"
	"net/http"
	"time"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/spectron/client/internal/managementapi"
)

// ManagedPrincipal is an actor of a context, as the management API shows it.
type ManagedPrincipal struct {
	ID          string      `json:"id"`
	DisplayName string      `json:"display_name"`
	Kind        caller.Kind `json:"kind"`
	// ExternalID is how the principal is called outside; empty when it is not.
	ExternalID string    `json:"external_id,omitempty"`
	Grants     Grants    `json:"grants"`
	CreatedAt  time.Time `json:"created_at"`
}

// CreatePrincipalOptions says what a new principal is like. The zero value is an agent that may do nothing.
type CreatePrincipalOptions struct {
	// Kind is human, agent (the default), service or unknown. It decides nothing: grants do.
	Kind caller.Kind
	// ExternalID is how the principal is called outside. A principal that has it already is returned as it is.
	ExternalID string
	Grants     Grants
}

// CreatePrincipal creates a principal, or returns the one that has opts.ExternalID, unchanged. The error is
// fault.Conflict when there is no external id and the name is taken.
func (m *Management) CreatePrincipal(
	ctx context.Context, contextID, displayName string, opts CreatePrincipalOptions,
) (ManagedPrincipal, error) {
	if err := checkSegment("context_id", contextID); err != nil {
		return ManagedPrincipal{}, err
	}
	req, err := managementapi.NewCreatePrincipalRequest(m.server, contextID, managementapi.CreatePrincipalRequest{
		DisplayName: displayName,
		Kind:        optional(managementapi.CreatePrincipalRequestKind(opts.Kind)),
		ExternalID:  optional(opts.ExternalID),
		Grants:      grantMap(opts.Grants),
	})
	return call[ManagedPrincipal](ctx, m.transport, req, err)
}

// ListPrincipals returns every principal of a context, ordered by id.
func (m *Management) ListPrincipals(ctx context.Context, contextID string) ([]ManagedPrincipal, error) {
	return collect(m.Principals(ctx, contextID))
}

// Principals iterates over every principal of a context, ordered by id.
func (m *Management) Principals(ctx context.Context, contextID string) iter.Seq2[ManagedPrincipal, error] {
	if err := checkSegment("context_id", contextID); err != nil {
		return failed[ManagedPrincipal](err)
	}
	return pages[ManagedPrincipal](ctx, m.transport, func(cursor *string) (*http.Request, error) {
		return managementapi.NewListPrincipalsRequest(m.server, contextID, &managementapi.ListPrincipalsParams{Cursor: cursor})
	})
}

// GetPrincipal returns one principal.
func (m *Management) GetPrincipal(ctx context.Context, contextID, id string) (ManagedPrincipal, error) {
	if err := checkPrincipalPath(contextID, id); err != nil {
		return ManagedPrincipal{}, err
	}
	req, err := managementapi.NewGetPrincipalRequest(m.server, contextID, id)
	return call[ManagedPrincipal](ctx, m.transport, req, err)
}

// PrincipalPatch is a change of a principal. What is empty stays.
type PrincipalPatch struct {
	DisplayName string
	Kind        caller.Kind
	// Grants replaces all grants, at once; nil leaves them, empty takes all away.
	Grants Grants
}

// PatchPrincipal changes a principal and returns it as it is then. The error is fault.Forbidden for system.
func (m *Management) PatchPrincipal(ctx context.Context, contextID, id string, patch PrincipalPatch) (ManagedPrincipal, error) {
	if err := checkPrincipalPath(contextID, id); err != nil {
		return ManagedPrincipal{}, err
	}
	req, err := managementapi.NewPatchPrincipalRequest(m.server, contextID, id, managementapi.PatchPrincipalRequest{
		DisplayName: optional(patch.DisplayName),
		Kind:        optional(managementapi.PatchPrincipalRequestKind(patch.Kind)),
		Grants:      grantMap(patch.Grants),
	})
	return call[ManagedPrincipal](ctx, m.transport, req, err)
}

// DeletePrincipal deletes a principal and its keys, which are dead when this returns without error. The error is
// fault.Forbidden for system and admin.
func (m *Management) DeletePrincipal(ctx context.Context, contextID, id string) error {
	if err := checkPrincipalPath(contextID, id); err != nil {
		return err
	}
	req, err := managementapi.NewDeletePrincipalRequest(m.server, contextID, id)
	return discard(ctx, m.transport, req, err)
}

// AddGrants grants verbs over a pattern to a principal and returns it as it is then.
func (m *Management) AddGrants(ctx context.Context, contextID, id, pattern string, verbs ...string) (ManagedPrincipal, error) {
	if err := checkPrincipalPath(contextID, id); err != nil {
		return ManagedPrincipal{}, err
	}
	req, err := managementapi.NewAddGrantsRequest(m.server, contextID, id, managementapi.GrantMutation{Path: pattern, Verbs: verbs})
	return call[ManagedPrincipal](ctx, m.transport, req, err)
}

// RemoveGrants takes verbs over a pattern from a principal, at once, and returns it as it is then. What is granted over a
// wider pattern stays.
func (m *Management) RemoveGrants(ctx context.Context, contextID, id, pattern string, verbs ...string) (ManagedPrincipal, error) {
	if err := checkPrincipalPath(contextID, id); err != nil {
		return ManagedPrincipal{}, err
	}
	req, err := managementapi.NewRemoveGrantsRequest(m.server, contextID, id, managementapi.GrantMutation{Path: pattern, Verbs: verbs})
	return call[ManagedPrincipal](ctx, m.transport, req, err)
}

// checkPrincipalPath checks a context and a principal.
func checkPrincipalPath(contextID, principalID string) error {
	return checkSegments("context_id", contextID, "principal_id", principalID)
}

// grantMap returns grants as a request holds them: absent when nil.
func grantMap(grants Grants) *managementapi.GrantMap {
	if grants == nil {
		return nil
	}
	return new(managementapi.GrantMap(grants))
}
