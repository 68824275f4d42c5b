package httpapi

import (
	"context"
	"strconv"

	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// GetUsage says how much of its tokens a context has used.
func (p Parts) GetUsage(ctx context.Context, request GetUsageRequestObject) (GetUsageResponseObject, error) {
	usage, err := p.Contexts.Usage(ctx, request.ContextId)
	if err != nil {
		return nil, err
	}
	return GetUsage200JSONResponse{
		TokenLimit: usage.Limit, TokenUsageCurrentMonth: usage.Used, TokenUsagePct: usage.Percent(),
		PeriodStart: usage.From, PeriodEnd: usage.To,
	}, nil
}

// GetMigrations says on which version of the schema contexts are.
func (p Parts) GetMigrations(ctx context.Context, _ GetMigrationsRequestObject) (GetMigrationsResponseObject, error) {
	migrated, err := p.Contexts.Migrated(ctx)
	if err != nil {
		return nil, err
	}
	return GetMigrations200JSONResponse{
		Versions:       map[string]int64{strconv.FormatInt(migrated.Version, 10): migrated.Contexts},
		ContextsBehind: []string{},
		DeadLetters:    []map[string]any{},
	}, nil
}

// DecayContext asks a data plane to age everything in a context.
func (p Parts) DecayContext(ctx context.Context, request DecayContextRequestObject) (DecayContextResponseObject, error) {
	id, err := p.Jobs.Queue(ctx, request.ContextId, introspection.JobDecay)
	if err != nil {
		return nil, err
	}
	return DecayContext202JSONResponse{JobId: id}, nil
}

// ReindexContext asks a data plane to build the search index of a context anew.
func (p Parts) ReindexContext(ctx context.Context, request ReindexContextRequestObject) (ReindexContextResponseObject, error) {
	id, err := p.Jobs.Queue(ctx, request.ContextId, introspection.JobReindex)
	if err != nil {
		return nil, err
	}
	return ReindexContext202JSONResponse{JobId: id}, nil
}
