package client

import (
	"context"
	"time"

	"github.com/spectron-hq/spectron/services/spectron/client/internal/dataapi"
)

// Message is a turn of a conversation that is to be remembered.
type Message struct {
	// Role is user, assistant, system or tool.
	Role    string
	Content string
	// At is when it was said, if that is known.
	At time.Time
}

// RememberManyOptions says how to remember a conversation. The zero value is InferFull, a new session, the key's own
// write region.
type RememberManyOptions struct {
	// Infer is any but InferTriples.
	Infer Infer
	// Extract is what a language model reads at a time: whole_conversation (the default) or per_message.
	Extract string
	// SessionID is the session to append to.
	SessionID string
	// Scopes are the nodes to tag the messages with; all must lie in the key's memory:write region.
	Scopes ScopeSets
	// Labels are key=value each.
	Labels []string
	// IdempotencyKey names this write for 24 hours; derived when empty, as that of Remember is.
	IdempotencyKey string
}

// RememberedMany is the answer to RememberMany.
type RememberedMany struct {
	SessionID   string       `json:"sessionId"`
	TurnIDs     []string     `json:"turnIds"`
	Extractions []Extraction `json:"extractions"`
}

// RememberMany writes a conversation to memory, all of it or nothing. It is repeated like Remember.
func (c *Client) RememberMany(ctx context.Context, messages []Message, opts RememberManyOptions) (RememberedMany, error) {
	body := dataapi.BatchRequest{
		Messages:  make([]dataapi.BatchMessage, len(messages)),
		Infer:     optional(dataapi.BatchRequestInfer(opts.Infer)),
		Extract:   optional(dataapi.BatchRequestExtract(opts.Extract)),
		SessionID: optional(opts.SessionID),
		Scopes:    opts.Scopes.wire(),
		Labels:    optionalList(opts.Labels),
	}
	for i, m := range messages {
		body.Messages[i] = dataapi.BatchMessage{Role: dataapi.BatchMessageRole(m.Role), Content: m.Content, TS: optionalTime(m.At)}
	}
	content, err := compactJSON(body)
	if err != nil {
		return RememberedMany{}, err
	}
	params := &dataapi.AddFactsBatchParams{IdempotencyKey: optional(opts.IdempotencyKey)}
	req, err := withIdempotencyKey(dataapi.NewAddFactsBatchRequestWithBody(c.server, c.contextID, params, contentJSON, content))
	return call[RememberedMany](ctx, c.transport, req, err)
}
