package httpapi

import (
	"context"

	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/session"
	"github.com/spectron-hq/spectron/services/dataplane/internal/trace"
)

// CreateSession begins a session.
func (p Parts) CreateSession(ctx context.Context, request CreateSessionRequestObject) (CreateSessionResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	var body SessionRequest
	if request.Body != nil {
		body = *request.Body
	}
	sets, field, err := eitherClauses[scope.Path]("scopes", body.Scopes, "scope", body.Scope)
	if err != nil {
		return nil, err
	}
	began := p.Traces.Begin()
	made, err := p.Sessions.Create(ctx, who, field, sets, body.Metadata)
	if err != nil {
		return nil, err
	}
	p.Traces.Decided(ctx, who, began, trace.CreateSession, 1)
	return CreateSession201JSONResponse(sessionBody(made)), nil
}

// ListSessions lists the sessions that the caller may read.
func (p Parts) ListSessions(ctx context.Context, request ListSessionsRequestObject) (ListSessionsResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	page, err := p.Limits.page(request.Params.Limit, request.Params.Offset)
	if err != nil {
		return nil, err
	}
	found, err := p.Sessions.List(ctx, who, page)
	if err != nil {
		return nil, err
	}
	out := ListSessions200JSONResponse{Sessions: []Session{}}
	for _, each := range found {
		out.Sessions = append(out.Sessions, sessionBody(each))
	}
	return out, nil
}

// GetSession shows a session.
func (p Parts) GetSession(ctx context.Context, request GetSessionRequestObject) (GetSessionResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	found, err := p.Sessions.Get(ctx, who, request.SessionID)
	if err != nil {
		return nil, err
	}
	return GetSession200JSONResponse(sessionBody(found)), nil
}

// DeleteSession deletes a session and its turns.
func (p Parts) DeleteSession(ctx context.Context, request DeleteSessionRequestObject) (DeleteSessionResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	began := p.Traces.Begin()
	if err := p.Sessions.Delete(ctx, who, request.SessionID); err != nil {
		return nil, err
	}
	p.Traces.Decided(ctx, who, began, trace.DeleteSession, 1)
	return DeleteSession204Response{}, nil
}

// ListTurns lists the turns of a session.
func (p Parts) ListTurns(ctx context.Context, request ListTurnsRequestObject) (ListTurnsResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	page, err := p.Limits.page(request.Params.Limit, request.Params.Offset)
	if err != nil {
		return nil, err
	}
	turns, err := p.Sessions.Turns(ctx, who, request.SessionID, page)
	if err != nil {
		return nil, err
	}
	out := ListTurns200JSONResponse{Turns: []Turn{}}
	for _, turn := range turns {
		out.Turns = append(out.Turns, Turn{
			ID: turn.ID, Session: request.SessionID, Role: TurnRole(turn.Role), Content: turn.Content, Seq: turn.Seq, CreatedAt: turn.CreatedAt,
		})
	}
	return out, nil
}

func sessionBody(each session.Overview) Session {
	scopes := ClauseList{}
	for _, clause := range each.Sets {
		var nodes []string
		for _, node := range clause {
			nodes = append(nodes, node.String())
		}
		scopes = append(scopes, nodes)
	}
	return Session{ID: each.ID, Scopes: scopes, CreatedAt: each.CreatedAt, Metadata: each.Metadata, TurnCount: &each.Turns}
}
