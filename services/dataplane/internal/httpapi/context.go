package httpapi

import (
	"context"
	"slices"
	"strings"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
	"github.com/spectron-hq/spectron/services/dataplane/internal/session"
	"github.com/spectron-hq/spectron/services/dataplane/internal/trace"
)

// latestTurns is how many turns of a session its context shows.
const latestTurns = 10

// GetContextFor puts together what is remembered on a question.
func (p Parts) GetContextFor(ctx context.Context, request GetContextForRequestObject) (GetContextForResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	body := *request.Body
	query := memory.Query{Text: body.Query, Labels: value(body.Labels)}
	if query.K, err = p.Limits.hits(body.K, body.Limit); err != nil {
		return nil, err
	}
	if query.Lens, _, err = eitherClauses[scope.Pattern]("lens", body.Lens, "scope", body.Scope); err != nil {
		return nil, err
	}
	found, err := p.recall(ctx, who, trace.Context, query)
	if err != nil {
		return nil, err
	}
	return GetContextFor200JSONResponse{
		Context: memory.Markdown(found.Hits), Tier: ContextResponseTierHybrid, QueryMs: found.Took.Milliseconds(),
	}, nil
}

// GetSessionContext puts together what a session and the memories have on a question.
func (p Parts) GetSessionContext(ctx context.Context, request GetSessionContextRequestObject) (GetSessionContextResponseObject, error) {
	text, err := p.sessionContext(ctx, request.SessionID, request.Body.Query)
	return GetSessionContext200JSONResponse{Context: text}, err
}

// ReadSessionContext is the same for those that ask with GET.
func (p Parts) ReadSessionContext(ctx context.Context, request ReadSessionContextRequestObject) (ReadSessionContextResponseObject, error) {
	text, err := p.sessionContext(ctx, request.SessionID, request.Params.Query)
	return ReadSessionContext200JSONResponse{Context: text}, err
}

func (p Parts) sessionContext(ctx context.Context, id, query string) (string, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return "", err
	}
	turns, err := p.Sessions.Latest(ctx, who, id, latestTurns)
	if err != nil {
		return "", err
	}
	k, err := p.Limits.hits(nil, nil)
	if err != nil {
		return "", err
	}
	found, err := p.recall(ctx, who, trace.SessionContext, memory.Query{Text: query, K: k})
	if err != nil {
		return "", err
	}
	// What was just said needs no memory of it.
	hits := slices.DeleteFunc(found.Hits, func(hit memory.Hit) bool {
		return slices.ContainsFunc(turns, func(turn session.Said) bool { return turn.Content == hit.Text })
	})
	return strings.TrimPrefix(session.Markdown(turns)+"\n"+memory.Markdown(hits), "\n"), nil
}

// recall asks the memories, and keeps that it did under the name of action.
func (p Parts) recall(ctx context.Context, who *caller.Caller, action string, query memory.Query) (memory.Recollection, error) {
	found, err := p.Memory.Recall(ctx, who, query)
	if err != nil {
		return memory.Recollection{}, err
	}
	p.Traces.Keep(ctx, who, trace.Entry{
		Kind: trace.Retrieval, Action: action, Query: query.Text, Tier: string(QueryResponseTierHybrid), Reason: found.Reason,
		Took: found.Took, Rows: int64(len(found.Hits)),
	})
	return found, nil
}
