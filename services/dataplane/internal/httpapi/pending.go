package httpapi

import (
	"context"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

// pending: each handler moves to its own file when it is built; this file is gone at the end of the work.
var errPending = fault.New(fault.NotSupported, "not built yet")

// Decay is pending.
func (Parts) Decay(context.Context, DecayRequestObject) (DecayResponseObject, error) {
	return nil, errPending
}

// Expire is pending.
func (Parts) Expire(context.Context, ExpireRequestObject) (ExpireResponseObject, error) {
	return nil, errPending
}

// ScopeGrants is pending.
func (Parts) ScopeGrants(context.Context, ScopeGrantsRequestObject) (ScopeGrantsResponseObject, error) {
	return nil, errPending
}

// TombstoneScope is pending.
func (Parts) TombstoneScope(context.Context, TombstoneScopeRequestObject) (TombstoneScopeResponseObject, error) {
	return nil, errPending
}

// ForgetScope is pending.
func (Parts) ForgetScope(context.Context, ForgetScopeRequestObject) (ForgetScopeResponseObject, error) {
	return nil, errPending
}
