package client

import (
	"context"
	"time"

	"github.com/spectron-hq/spectron/services/spectron/client/internal/dataapi"
)

// Infer says what is made of a text.
type Infer string

// The ways to infer.
const (
	// InferFull stores the text and extracts what a language model finds in it: nothing, without a model. The default.
	InferFull Infer = "full"
	// InferNone stores the text as it is.
	InferNone Infer = "none"
	// InferPreview extracts and stores nothing.
	InferPreview Infer = "preview"
)

// RememberOptions says how to remember a text. The zero value is InferFull, a new session, the key's own write region.
type RememberOptions struct {
	Infer Infer
	// SessionID is the session to append to.
	SessionID string
	// Scopes are the nodes to tag the text with; all must lie in the key's memory:write region.
	Scopes ScopeSets
	// Labels are key=value each.
	Labels []string
	// Role is who said it: user (the default), assistant, system or tool.
	Role string
	// MemoryCategory is identity, knowledge or context.
	MemoryCategory string
	// ObservedAt is when it was true or seen, if that is known.
	ObservedAt time.Time
	// IdempotencyKey names this write for 24 hours. When it is empty it is derived from the request and the present half
	// minute, so that the same Remember twice within that is one.
	IdempotencyKey string
}

// Remembered is the answer to Remember.
type Remembered struct {
	// Mode is the Infer that was applied.
	Mode      Infer  `json:"mode"`
	SessionID string `json:"sessionId"`
	TurnID    string `json:"turnId,omitempty"`
	// ChunkID is the memory chunk that Recall finds.
	ChunkID string `json:"chunkId,omitempty"`
	// Preview says that nothing was stored.
	Preview    bool        `json:"preview,omitempty"`
	Extraction *Extraction `json:"extraction,omitempty"`
}

// Extraction is what a language model found in a text.
type Extraction struct {
	TurnID        string           `json:"turnId"`
	Entities      []map[string]any `json:"entities"`
	Attributes    []map[string]any `json:"attributes"`
	Relations     []map[string]any `json:"relations"`
	Instructions  []map[string]any `json:"instructions"`
	Uncertainties []map[string]any `json:"uncertainties"`
	Corrections   []map[string]any `json:"corrections"`
}

// Remember writes a text to memory. It is repeated like a read, because the server answers a repetition as it answered
// the first and stores nothing more.
func (c *Client) Remember(ctx context.Context, text string, opts RememberOptions) (Remembered, error) {
	body := dataapi.FactsRequest{
		Text:           &text,
		Infer:          optional(dataapi.FactsRequestInfer(opts.Infer)),
		SessionID:      optional(opts.SessionID),
		Scopes:         opts.Scopes.wire(),
		Role:           optional(dataapi.FactsRequestRole(opts.Role)),
		MemoryCategory: optional(dataapi.FactsRequestMemoryCategory(opts.MemoryCategory)),
	}
	if len(opts.Labels) > 0 {
		body.Labels = &opts.Labels
	}
	if !opts.ObservedAt.IsZero() {
		body.ObservedAt = new(opts.ObservedAt.Format(time.RFC3339Nano))
	}
	params := &dataapi.AddFactsParams{IdempotencyKey: optional(opts.IdempotencyKey)}
	req, err := dataapi.NewAddFactsRequest(c.server, c.contextID, params, body)
	if err == nil {
		err = deriveIdempotencyKey(req)
	}
	return call[Remembered](ctx, c.transport, req, err)
}
