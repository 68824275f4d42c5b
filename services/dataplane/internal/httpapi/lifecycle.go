package httpapi

import (
	"context"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/dataplane/internal/trace"
)

// Decay lowers the importance of what was not written for long.
func (p Parts) Decay(ctx context.Context, _ DecayRequestObject) (DecayResponseObject, error) {
	affected, err := p.age(ctx, trace.Decay, p.Lifecycle.Decay)
	return Decay200JSONResponse{Affected: affected}, err
}

// Expire ends what has outlived its validity.
func (p Parts) Expire(ctx context.Context, _ ExpireRequestObject) (ExpireResponseObject, error) {
	affected, err := p.age(ctx, trace.Expire, p.Lifecycle.Expire)
	return Expire200JSONResponse{Affected: affected}, err
}

func (p Parts) age(ctx context.Context, action string, do func(context.Context, *caller.Caller) (int, error)) (int64, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return 0, err
	}
	began := p.Traces.Begin()
	affected, err := do(ctx, who)
	if err != nil {
		return 0, err
	}
	p.Traces.Decided(ctx, who, began, action, affected)
	return int64(affected), nil
}
