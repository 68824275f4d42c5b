package httpapi

import (
	"context"
	"slices"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
	"github.com/spectron-hq/spectron/services/dataplane/internal/trace"
)

// QueryMemory finds what was remembered.
func (p Parts) QueryMemory(ctx context.Context, request QueryMemoryRequestObject) (QueryMemoryResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	query, err := p.Limits.queryOf(*request.Body)
	if err != nil {
		return nil, err
	}
	found, err := p.recall(ctx, who, trace.Query, query)
	if err != nil {
		return nil, err
	}
	return queryBody(found, web.TraceID(ctx)), nil
}

// queryOf reads a request. What the document says of numbers and enumerations has been checked.
func (l Limits) queryOf(body QueryRequest) (query memory.Query, err error) {
	query = memory.Query{
		Text:       body.Query,
		Mode:       memory.Mode(value(body.Mode)),
		Labels:     value(body.Labels),
		SessionID:  value(body.SessionID),
		Sources:    sourcesOf(body),
		Duplicates: value(body.IncludeDuplicates),
	}
	if query.K, err = l.hits(body.K, body.Limit); err != nil {
		return query, err
	}
	if _, err = either("scopeView", body.ScopeView, "scope_view", body.ScopeViewAlias); err != nil { // all act as strict
		return query, err
	}
	if query.Lens, _, err = eitherClauses[scope.Pattern]("lens", body.Lens, "scope", body.Scope); err != nil {
		return query, err
	}
	asOf, asOfName := body.AsOf, "asOf"
	if body.AsOfAlias != nil {
		asOfName = "as_of"
	}
	if asOf, err = either("asOf", asOf, "as_of", body.AsOfAlias); err != nil {
		return query, err
	}
	for _, at := range []struct {
		name  string
		field *string
		to    *time.Time
	}{
		{asOfName, asOf, &query.AsOf},
		{"atInstant", body.AtInstant, &query.AtInstant},
		{"validFrom", body.ValidFrom, &query.ValidFrom},
		{"validUntil", body.ValidUntil, &query.ValidUntil},
	} {
		if *at.to, err = moment(at.name, at.field); err != nil {
			return query, err
		}
	}
	return query, nil
}

// hits reads how many hits are asked for, by either name.
func (l Limits) hits(k, limit *int) (int, error) {
	asked, err := either("k", k, "limit", limit)
	if err != nil || asked == nil {
		return min(memory.DefaultHits, l.QueryK), err
	}
	if *asked > l.QueryK {
		name := "k"
		if k == nil {
			name = "limit"
		}
		return 0, fault.InvalidField(name, "must be at most %d", l.QueryK)
	}
	return *asked, nil
}

// sourcesOf returns what a hit may be: of the one source that is asked for, and among the kinds. Facts are everything;
// passages are texts.
func sourcesOf(body QueryRequest) []memory.Source {
	include := value(body.Include)
	passages := len(include) > 0 && !slices.Contains(include, QueryRequestIncludeFacts)
	source := memory.Source(value(body.Source))
	switch {
	case source == "" && passages:
		return []memory.Source{memory.ChunkSource}
	case source == "":
		return nil
	case passages && source != memory.ChunkSource:
		return []memory.Source{""} // which nothing is
	default:
		return []memory.Source{source}
	}
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
