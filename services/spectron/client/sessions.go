package client

import (
	"context"
	"encoding/json"
	"iter"
	"time"

	"github.com/spectron-hq/spectron/services/spectron/client/internal/dataapi"
)

// Session is a conversation.
type Session struct {
	ID string `json:"id"`
	// Scopes are the nodes that it belongs to, an OR of ANDs.
	Scopes    ScopeSets `json:"scopes"`
	CreatedAt time.Time `json:"createdAt"`
	// Metadata is any JSON, as it was given; nil when it was not.
	Metadata  json.RawMessage `json:"metadata,omitempty"`
	TurnCount int64           `json:"turnCount,omitempty"`
}

// Turn is a message of a session.
type Turn struct {
	ID      string `json:"id"`
	Session string `json:"session"`
	Role    string `json:"role"`
	Content string `json:"content"`
	// Seq counts from 1 in the session.
	Seq       int64     `json:"seq"`
	CreatedAt time.Time `json:"createdAt"`
}

// Page is a part of a list. The zero value is the first part, as large as the server likes.
type Page struct {
	// Limit is the most rows, 500 at most.
	Limit int32
	// Offset is how many rows come before.
	Offset int32
}

// CreateSessionOptions says what a new session is like. The zero value belongs to the key's own write region.
type CreateSessionOptions struct {
	Scopes ScopeSets
	// Metadata is any JSON, kept as it is.
	Metadata json.RawMessage
}

// CreateSession begins a session. It needs memory:write over its scopes.
func (c *Client) CreateSession(ctx context.Context, opts CreateSessionOptions) (Session, error) {
	req, err := dataapi.NewCreateSessionRequest(c.server, c.contextID, nil, dataapi.SessionRequest{
		Scopes: opts.Scopes.wire(), Metadata: opts.Metadata,
	})
	return call[Session](ctx, c.transport, req, err)
}

// ListSessions returns a part of the sessions that the key may read, the newest first.
func (c *Client) ListSessions(ctx context.Context, page Page) ([]Session, error) {
	req, err := dataapi.NewListSessionsRequest(c.server, c.contextID, &dataapi.ListSessionsParams{
		Limit: optional(page.Limit), Offset: optional(page.Offset),
	})
	list, err := call[struct{ Sessions []Session }](ctx, c.transport, req, err)
	return list.Sessions, err
}

// Sessions iterates over all sessions that the key may read, the newest first. One that begins meanwhile may make another
// appear twice.
func (c *Client) Sessions(ctx context.Context) iter.Seq2[Session, error] {
	return counted(func(limit, offset int32) ([]Session, error) { return c.ListSessions(ctx, Page{limit, offset}) })
}

// GetSession returns one session.
func (c *Client) GetSession(ctx context.Context, id string) (Session, error) {
	if err := checkSegment("session_id", id); err != nil {
		return Session{}, err
	}
	req, err := dataapi.NewGetSessionRequest(c.server, c.contextID, id, nil)
	return call[Session](ctx, c.transport, req, err)
}

// DeleteSession deletes a session and its turns. What was learnt in it stays.
func (c *Client) DeleteSession(ctx context.Context, id string) error {
	if err := checkSegment("session_id", id); err != nil {
		return err
	}
	req, err := dataapi.NewDeleteSessionRequest(c.server, c.contextID, id, nil)
	return discard(ctx, c.transport, req, err)
}

// ListTurns returns a part of the turns of a session, the oldest first.
func (c *Client) ListTurns(ctx context.Context, sessionID string, page Page) ([]Turn, error) {
	if err := checkSegment("session_id", sessionID); err != nil {
		return nil, err
	}
	req, err := dataapi.NewListTurnsRequest(c.server, c.contextID, sessionID, &dataapi.ListTurnsParams{
		Limit: optional(page.Limit), Offset: optional(page.Offset),
	})
	list, err := call[struct{ Turns []Turn }](ctx, c.transport, req, err)
	return list.Turns, err
}

// Turns iterates over all turns of a session, the oldest first.
func (c *Client) Turns(ctx context.Context, sessionID string) iter.Seq2[Turn, error] {
	return counted(func(limit, offset int32) ([]Turn, error) { return c.ListTurns(ctx, sessionID, Page{limit, offset}) })
}

// SessionContext puts together what a session and the memories have on a question, as markdown for a prompt.
func (c *Client) SessionContext(ctx context.Context, sessionID, query string) (string, error) {
	if err := checkSegment("session_id", sessionID); err != nil {
		return "", err
	}
	req, err := dataapi.NewGetSessionContextRequest(c.server, c.contextID, sessionID, nil, dataapi.SessionContextRequest{Query: query})
	got, err := call[dataapi.SessionContext](ctx, c.transport, req, err)
	return got.Context, err
}
