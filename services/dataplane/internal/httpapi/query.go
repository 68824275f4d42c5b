package httpapi

import (
	"context"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
)

// QueryMemory finds what was remembered.
func (p Parts) QueryMemory(ctx context.Context, request QueryMemoryRequestObject) (QueryMemoryResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	query, err := queryOf(*request.Body)
	if err != nil {
		return nil, err
	}
	found, err := p.Memory.Recall(ctx, who, query)
	return queryBody(found, web.TraceID(ctx)), err
}

// queryOf reads a request. Numbers and enumerations have been checked against the document.
func queryOf(body QueryRequest) (query memory.Query, err error) {
	query = memory.Query{
		Text:      body.Query,
		K:         memory.DefaultHits,
		Mode:      memory.Mode(value(body.Mode)),
		Labels:    value(body.Labels),
		SessionID: value(body.SessionID),
	}
	k, err := either("k", body.K, "limit", body.Limit)
	if err != nil {
		return query, err
	}
	if k != nil {
		query.K = *k
	}
	if query.Lens, _, err = eitherClauses[scope.Pattern]("lens", body.Lens, "scope", body.Scope); err != nil {
		return query, err
	}
	if query.AsOf, err = moment("asOf", body.AsOf); err != nil || body.AsOfAlias == nil {
		return query, err
	}
	if _, err = either("asOf", body.AsOf, "as_of", body.AsOfAlias); err != nil {
		return query, err
	}
	query.AsOf, err = moment("as_of", body.AsOfAlias)
	return query, err
}

func queryBody(found memory.Recollection, traceID string) QueryMemory200JSONResponse {
	took := found.Took.Milliseconds()
	out := QueryMemory200JSONResponse{
		Tier:               QueryResponseTierHybrid,
		Hits:               []Hit{},
		QueryMs:            took,
		ClassificationKind: QueryResponseClassificationKindHybrid,
		SeedEntities:       []string{},
		Trace: QueryTrace{
			TraceID: traceID, ResolutionTier: string(QueryResponseTierHybrid), TierReason: found.Reason, LatencyMs: took,
			RetrievedCount: len(found.Hits), TopScores: []float64{},
		},
	}
	for _, hit := range found.Hits {
		out.Hits = append(out.Hits, Hit{
			ID: hit.ID, Text: hit.Text, Source: HitSource(hit.Source), Score: hit.Score, OccurredAt: given(hit.OccurredAt),
		})
		out.Trace.TopScores = append(out.Trace.TopScores, hit.Score)
	}
	return out
}
