package httpapi

import (
	"context"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

// pending: each handler moves to its own file when it is built; this file is gone at the end of the work.
var errPending = fault.New(fault.NotSupported, "not built yet")

// BrokerAccessToken is pending.
func (Parts) BrokerAccessToken(context.Context, BrokerAccessTokenRequestObject) (BrokerAccessTokenResponseObject, error) {
	return nil, errPending
}

// DecayContext is pending.
func (Parts) DecayContext(context.Context, DecayContextRequestObject) (DecayContextResponseObject, error) {
	return nil, errPending
}

// ReindexContext is pending.
func (Parts) ReindexContext(context.Context, ReindexContextRequestObject) (ReindexContextResponseObject, error) {
	return nil, errPending
}

// ListPrincipals is pending.
func (Parts) ListPrincipals(context.Context, ListPrincipalsRequestObject) (ListPrincipalsResponseObject, error) {
	return nil, errPending
}

// CreatePrincipal is pending.
func (Parts) CreatePrincipal(context.Context, CreatePrincipalRequestObject) (CreatePrincipalResponseObject, error) {
	return nil, errPending
}

// DeletePrincipal is pending.
func (Parts) DeletePrincipal(context.Context, DeletePrincipalRequestObject) (DeletePrincipalResponseObject, error) {
	return nil, errPending
}

// GetPrincipal is pending.
func (Parts) GetPrincipal(context.Context, GetPrincipalRequestObject) (GetPrincipalResponseObject, error) {
	return nil, errPending
}

// PatchPrincipal is pending.
func (Parts) PatchPrincipal(context.Context, PatchPrincipalRequestObject) (PatchPrincipalResponseObject, error) {
	return nil, errPending
}

// RemoveGrants is pending.
func (Parts) RemoveGrants(context.Context, RemoveGrantsRequestObject) (RemoveGrantsResponseObject, error) {
	return nil, errPending
}

// AddGrants is pending.
func (Parts) AddGrants(context.Context, AddGrantsRequestObject) (AddGrantsResponseObject, error) {
	return nil, errPending
}

// ListPrincipalKeys is pending.
func (Parts) ListPrincipalKeys(context.Context, ListPrincipalKeysRequestObject) (ListPrincipalKeysResponseObject, error) {
	return nil, errPending
}

// DeletePrincipalKey is pending.
func (Parts) DeletePrincipalKey(context.Context, DeletePrincipalKeyRequestObject) (DeletePrincipalKeyResponseObject, error) {
	return nil, errPending
}

// MintPrincipalKey is pending.
func (Parts) MintPrincipalKey(context.Context, MintPrincipalKeyRequestObject) (MintPrincipalKeyResponseObject, error) {
	return nil, errPending
}

// RotatePrincipalKey is pending.
func (Parts) RotatePrincipalKey(context.Context, RotatePrincipalKeyRequestObject) (RotatePrincipalKeyResponseObject, error) {
	return nil, errPending
}

// GetUsage is pending.
func (Parts) GetUsage(context.Context, GetUsageRequestObject) (GetUsageResponseObject, error) {
	return nil, errPending
}

// GetMigrations is pending.
func (Parts) GetMigrations(context.Context, GetMigrationsRequestObject) (GetMigrationsResponseObject, error) {
	return nil, errPending
}
