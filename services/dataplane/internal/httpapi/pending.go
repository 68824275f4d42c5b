package httpapi

import (
	"context"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

// pending: each handler moves to its own file when it is built; this file is gone at the end of the work.
var errPending = fault.New(fault.NotSupported, "not built yet")

// ListOwnKeys is pending.
func (Parts) ListOwnKeys(context.Context, ListOwnKeysRequestObject) (ListOwnKeysResponseObject, error) {
	return nil, errPending
}

// MintOwnKey is pending.
func (Parts) MintOwnKey(context.Context, MintOwnKeyRequestObject) (MintOwnKeyResponseObject, error) {
	return nil, errPending
}

// DeleteOwnKey is pending.
func (Parts) DeleteOwnKey(context.Context, DeleteOwnKeyRequestObject) (DeleteOwnKeyResponseObject, error) {
	return nil, errPending
}

// RotateOwnKey is pending.
func (Parts) RotateOwnKey(context.Context, RotateOwnKeyRequestObject) (RotateOwnKeyResponseObject, error) {
	return nil, errPending
}

// ListPrincipals is pending.
func (Parts) ListPrincipals(context.Context, ListPrincipalsRequestObject) (ListPrincipalsResponseObject, error) {
	return nil, errPending
}

// GetPrincipal is pending.
func (Parts) GetPrincipal(context.Context, GetPrincipalRequestObject) (GetPrincipalResponseObject, error) {
	return nil, errPending
}

// GetEffective is pending.
func (Parts) GetEffective(context.Context, GetEffectiveRequestObject) (GetEffectiveResponseObject, error) {
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
