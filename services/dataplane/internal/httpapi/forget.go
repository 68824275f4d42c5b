package httpapi

import (
	"context"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
	"github.com/spectron-hq/spectron/services/dataplane/internal/reflection"
)

// ForgetMemory forgets what a query finds.
func (p Parts) ForgetMemory(ctx context.Context, request ForgetMemoryRequestObject) (ForgetMemoryResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	dryRun, err := either("dryRun", request.Body.DryRun, "dry_run", request.Body.DryRunAlias)
	if err != nil {
		return nil, err
	}
	n, err := p.Memory.Forget(ctx, who, memory.Oblivion{
		Text: request.Body.Query, Purge: value(request.Body.Purge), DryRun: value(dryRun),
	})
	return ForgetMemory200JSONResponse{Deleted: int64(n)}, err
}

// Reflect sums up what is remembered.
func (p Parts) Reflect(ctx context.Context, request ReflectRequestObject) (ReflectResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	made, err := p.Reflections.Reflect(ctx, who, reflection.Request{
		Question: request.Body.Query, Persist: value(request.Body.Persist), TraceID: web.TraceID(ctx),
	})
	return Reflect200JSONResponse{
		Reflection: made.Text, Evidence: each(made.Evidence, func(hit memory.Hit) string { return hit.Text }),
		PersistedAttributes: storedAttributes(made.Kept), TraceID: web.TraceID(ctx), Method: reflection.Method,
	}, err
}
