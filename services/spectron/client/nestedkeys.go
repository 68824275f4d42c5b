package client

import (
	"context"
	"iter"
	"net/http"
	"time"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/spectron/client/internal/managementapi"
)

// PrincipalKeyOptions says what a new key of a principal may do, and for how long.
type PrincipalKeyOptions struct {
	// Grants narrow the key within its principal's grants; nil inherits those, as they are at each request.
	Grants Grants
	// TTL ends the key that long from now, in whole seconds, rounded up; zero means no end, unless the context has a cap.
	TTL time.Duration
}

// MintPrincipalKey mints a key of a principal that there is. The error is fault.Conflict when the name is taken anywhere
// in the context, fault.Invalid when the grants exceed the principal's.
func (m *Management) MintPrincipalKey(
	ctx context.Context, contextID, principalID, name string, opts PrincipalKeyOptions,
) (MintedKey, error) {
	if err := checkPrincipalKeyPath(contextID, principalID, name); err != nil {
		return MintedKey{}, err
	}
	params := &managementapi.MintPrincipalKeyParams{TTLSeconds: ttlSeconds(opts.TTL)}
	body := managementapi.MintPrincipalKeyRequest{Grants: grantMap(opts.Grants)}
	req, err := managementapi.NewMintPrincipalKeyRequest(m.server, contextID, principalID, name, params, body)
	return m.minted(ctx, req, err)
}

// ListPrincipalKeys returns every key of a principal, ordered by name.
func (m *Management) ListPrincipalKeys(ctx context.Context, contextID, principalID string) ([]Key, error) {
	return collect(m.PrincipalKeys(ctx, contextID, principalID))
}

// PrincipalKeys iterates over every key of a principal, ordered by name.
func (m *Management) PrincipalKeys(ctx context.Context, contextID, principalID string) iter.Seq2[Key, error] {
	if err := checkPrincipalPath(contextID, principalID); err != nil {
		return failed[Key](err)
	}
	return pages[Key](ctx, m.transport, func(cursor *string) (*http.Request, error) {
		params := &managementapi.ListPrincipalKeysParams{Cursor: cursor, Usage: new(true)}
		return managementapi.NewListPrincipalKeysRequest(m.server, contextID, principalID, params)
	})
}

// RotatePrincipalKey replaces the secret of a key of a principal; the previous one is dead when this returns without
// error. Another principal's key is fault.NotFound.
func (m *Management) RotatePrincipalKey(
	ctx context.Context, contextID, principalID, name string, opts RotateOptions,
) (MintedKey, error) {
	if err := checkPrincipalKeyPath(contextID, principalID, name); err != nil {
		return MintedKey{}, err
	}
	params := &managementapi.RotatePrincipalKeyParams{TTLSeconds: ttlSeconds(opts.TTL)}
	req, err := managementapi.NewRotatePrincipalKeyRequest(m.server, contextID, principalID, name, params)
	return m.minted(ctx, req, err)
}

// DeletePrincipalKey deletes a key of a principal, which is dead when this returns without error. Another principal's
// key is fault.NotFound.
func (m *Management) DeletePrincipalKey(ctx context.Context, contextID, principalID, name string) error {
	if err := checkPrincipalKeyPath(contextID, principalID, name); err != nil {
		return err
	}
	req, err := managementapi.NewDeletePrincipalKeyRequest(m.server, contextID, principalID, name)
	return discard(ctx, m.transport, req, err)
}

// AccessTokenOptions says for whom a key is brokered, and what it may do.
type AccessTokenOptions struct {
	// ExternalID is the outside identity. Required.
	ExternalID string
	// DisplayName and Kind are those of a principal that is created; by default the external id, and an agent.
	DisplayName string
	Kind        caller.Kind
	// Grants replace those of the principal; nil leaves them.
	Grants Grants
	// TTL ends the key that long from now, in whole seconds, rounded up. Required.
	TTL time.Duration
}

// BrokerAccessToken exchanges an outside identity for a key: it creates the principal of the external id, or takes the one
// there is, and mints a key of it. There are no refresh tokens: broker again.
func (m *Management) BrokerAccessToken(ctx context.Context, contextID string, opts AccessTokenOptions) (MintedKey, error) {
	if err := checkSegment("context_id", contextID); err != nil {
		return MintedKey{}, err
	}
	req, err := managementapi.NewBrokerAccessTokenRequest(m.server, contextID, managementapi.AccessTokenRequest{
		ExternalID:  optional(opts.ExternalID),
		DisplayName: optional(opts.DisplayName),
		Kind:        optional(managementapi.AccessTokenRequestKind(opts.Kind)),
		Grants:      grantMap(opts.Grants),
		TTLSeconds:  ttlSeconds(opts.TTL),
	})
	return m.minted(ctx, req, err)
}

// checkPrincipalKeyPath checks a context, a principal and a key.
func checkPrincipalKeyPath(contextID, principalID, name string) error {
	return checkSegments("context_id", contextID, "principal_id", principalID, "name", name)
}
