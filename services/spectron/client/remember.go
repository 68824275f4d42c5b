package client

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spectron-hq/spectron/services/spectron/client/internal/dataapi"
)

// Infer says what is made of a text.
type Infer string

// The ways to infer.
const (
	// InferFull stores the text and extracts what a language model finds in it: nothing, without a model. The default.
	InferFull Infer = "full"
	// InferTriples stores the facts that the caller gives. The default where there are any.
	InferTriples Infer = "triples"
	// InferNone stores the text as it is.
	InferNone Infer = "none"
	// InferPreview extracts and stores nothing.
	InferPreview Infer = "preview"
)

// EntityRef names an entity.
type EntityRef struct {
	// Type is such as person.
	Type string `json:"type"`
	Name string `json:"name"`
}

// Triple is a fact: an attribute of an entity, or, with a target and no value, its relation to another.
type Triple struct {
	Entity EntityRef
	// Key is the name of the attribute, or the label of the relation.
	Key string
	// Value is a string, a number or a bool.
	Value any
	// Target is the other entity of a relation.
	Target *EntityRef
	// MemoryCategory is identity, knowledge or context; the server's default when empty.
	MemoryCategory string
}

// RememberOptions says how to remember a text. The zero value is InferFull, a new session, the key's own write region.
type RememberOptions struct {
	Infer Infer
	// Triples are facts to store. A text is not needed then.
	Triples []Triple
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

// Remember writes a text, or triples, to memory. It is repeated like a read, because the server answers a repetition as it
// answered the first and stores nothing more.
func (c *Client) Remember(ctx context.Context, text string, opts RememberOptions) (Remembered, error) {
	body := dataapi.FactsRequest{
		Text:           &text,
		Infer:          optional(dataapi.FactsRequestInfer(opts.Infer)),
		SessionID:      optional(opts.SessionID),
		Scopes:         opts.Scopes.wire(),
		Labels:         optionalList(opts.Labels),
		Role:           optional(dataapi.FactsRequestRole(opts.Role)),
		MemoryCategory: optional(dataapi.FactsRequestMemoryCategory(opts.MemoryCategory)),
		ObservedAt:     optionalTime(opts.ObservedAt),
	}
	if len(opts.Triples) > 0 {
		triples, err := wireTriples(opts.Triples)
		if err != nil {
			return Remembered{}, err
		}
		body.Text, body.Triples = optional(text), &triples
		if opts.Infer == "" {
			body.Infer = new(dataapi.FactsRequestInfer(InferTriples))
		}
	}
	content, err := compactJSON(body)
	if err != nil {
		return Remembered{}, err
	}
	params := &dataapi.AddFactsParams{IdempotencyKey: optional(opts.IdempotencyKey)}
	req, err := withIdempotencyKey(dataapi.NewAddFactsRequestWithBody(c.server, c.contextID, params, contentJSON, content))
	return call[Remembered](ctx, c.transport, req, err)
}

func wireTriples(triples []Triple) ([]dataapi.Triple, error) {
	wire := make([]dataapi.Triple, len(triples))
	for i, t := range triples {
		wire[i] = dataapi.Triple{
			Entity:         dataapi.EntityRef{Type: t.Entity.Type, Name: t.Entity.Name},
			Key:            t.Key,
			MemoryCategory: optional(dataapi.OptionalCategory(t.MemoryCategory)),
		}
		if t.Value != nil {
			value, err := json.Marshal(t.Value)
			if err != nil {
				return nil, fmt.Errorf("the value of %s: %w", t.Key, err)
			}
			wire[i].Value = value
		}
		if t.Target != nil {
			wire[i].Target = &dataapi.OptionalEntityRef{Type: t.Target.Type, Name: t.Target.Name}
		}
	}
	return wire, nil
}

// optionalList returns nil for no elements, which requests leave out.
func optionalList[T any](list []T) *[]T {
	if len(list) == 0 {
		return nil
	}
	return &list
}

// optionalTime returns t as requests hold it, or nil for the zero time, which they leave out.
func optionalTime(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return new(t.Format(time.RFC3339Nano))
}
