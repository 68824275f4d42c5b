package httpapi

import (
	"context"
	"strings"

	"github.com/spectron-hq/spectron/services/dataplane/internal/trace"
)

// defaultTraces is how many rows are answered unless the caller asks for a number.
const defaultTraces = 50

// ListTraces lists queries, the newest first.
func (p Parts) ListTraces(ctx context.Context, request ListTracesRequestObject) (ListTracesResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	limit, err := p.Limits.rows(request.Params.Limit, defaultTraces)
	if err != nil {
		return nil, err
	}
	found, err := p.Traces.List(ctx, who, trace.Filter{Kinds: trace.Queries(), Limit: limit})
	if err != nil {
		return nil, err
	}
	out := ListTraces200JSONResponse{Traces: []Trace{}}
	for _, each := range found {
		out.Traces = append(out.Traces, traceBody(each))
	}
	return out, nil
}

// GetTrace shows a query.
func (p Parts) GetTrace(ctx context.Context, request GetTraceRequestObject) (GetTraceResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	found, err := p.Traces.Get(ctx, who, request.TraceID)
	if err != nil {
		return nil, err
	}
	return GetTrace200JSONResponse(traceBody(found)), nil
}

// GetTraceStats tells figures about the queries of the last day.
func (p Parts) GetTraceStats(ctx context.Context, _ GetTraceStatsRequestObject) (GetTraceStatsResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	stats, err := p.Traces.Stats(ctx, who)
	if err != nil {
		return nil, err
	}
	// Nothing is answered from a cache here.
	out := GetTraceStats200JSONResponse{
		TotalQueries:           stats.Queries,
		AvgLatencyMs:           float64(stats.Took.Microseconds()) / 1000,
		ResponseTracesTotal:    stats.Responses,
		WindowHours:            int(trace.Window.Hours()),
		Contradiction:          map[string]int64{},
		Retrieval:              map[string]float64{"avgHits": stats.Hits, "emptyQueries": float64(stats.Empty)},
		Supersession:           map[string]int64{},
		SourceKindDistribution: []SourceKindCount{},
	}
	out.TierCounts.Direct = stats.Tiers[string(QueryResponseTierDirect)]
	out.TierCounts.Hybrid = stats.Tiers[string(QueryResponseTierHybrid)]
	out.TierCounts.FullContext = stats.Tiers[string(QueryResponseTierFullContext)]
	return out, nil
}

// ListAudit lists what was asked and decided, the newest first.
func (p Parts) ListAudit(ctx context.Context, request ListAuditRequestObject) (ListAuditResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	params := request.Params
	filter := trace.Filter{Principal: strings.TrimPrefix(value(params.Principal), "principal:"), Key: value(params.Key)}
	if params.Kind != nil {
		filter.Kinds = []trace.Kind{trace.Kind(*params.Kind)}
	}
	if filter.Limit, err = p.Limits.rows(params.Limit, defaultTraces); err != nil {
		return nil, err
	}
	filter.Since, filter.Until = value(params.Since).UTC(), value(params.Until).UTC()
	found, err := p.Traces.List(ctx, who, filter)
	if err != nil {
		return nil, err
	}
	out := ListAudit200JSONResponse{Rows: []AuditRow{}}
	for _, each := range found {
		out.Rows = append(out.Rows, AuditRow{
			TraceID: each.TraceID, Kind: AuditRowKind(each.Kind), Action: given(each.Action), Principal: given(each.Principal),
			OnBehalfOf: given(each.OnBehalfOf), KeyID: given(each.Key), LatencyMs: each.Took.Milliseconds(), RowsTouched: each.Rows,
			CreatedAt: each.At,
		})
	}
	return out, nil
}

func traceBody(each trace.Entry) Trace {
	hits := int(each.Rows)
	return Trace{
		ID: each.TraceID, QueryText: each.Query, ResolutionTier: each.Tier, TierReason: each.Reason, LatencyMs: each.Took.Milliseconds(),
		CreatedAt: each.At, PrincipalID: given(each.Principal), DelegatedPrincipalID: given(each.OnBehalfOf), RetrievedCount: &hits,
	}
}
