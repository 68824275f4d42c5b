package httpapi

import (
	"context"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
	"github.com/spectron-hq/spectron/services/dataplane/internal/reflection"
	"github.com/spectron-hq/spectron/services/dataplane/internal/trace"
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
	began := p.Traces.Begin()
	n, err := p.Memory.Forget(ctx, who, memory.Oblivion{
		Text: request.Body.Query, Purge: value(request.Body.Purge), DryRun: value(dryRun),
	})
	if err != nil {
		return nil, err
	}
	if !value(dryRun) {
		p.Traces.Decided(ctx, who, began, trace.Forget, n)
	}
	return ForgetMemory200JSONResponse{Deleted: int64(n)}, nil
}

// Reflect sums up what is remembered.
func (p Parts) Reflect(ctx context.Context, request ReflectRequestObject) (ReflectResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	began := p.Traces.Begin()
	made, err := p.Reflections.Reflect(ctx, who, reflection.Request{
		Question: request.Body.Query, Persist: value(request.Body.Persist), TraceID: web.TraceID(ctx),
	})
	if err != nil {
		return nil, err
	}
	p.Traces.Keep(ctx, who, trace.Entry{
		Kind: trace.Response, Action: trace.Reflect, Query: request.Body.Query, Tier: string(QueryResponseTierHybrid),
		Reason: "extractive: sentences of what was found by words", Took: p.Traces.Begin().Sub(began), Rows: int64(len(made.Evidence)),
	})
	return Reflect200JSONResponse{
		Reflection: made.Text, Evidence: each(made.Evidence, func(hit memory.Hit) string { return hit.Text }),
		PersistedAttributes: storedAttributes(made.Kept), TraceID: web.TraceID(ctx), Method: reflection.Method,
	}, nil
}
