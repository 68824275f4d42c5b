package client

import (
	"context"
	"time"

	"github.com/spectron-hq/spectron/services/spectron/client/internal/dataapi"
)

// Mode says how to rank.
type Mode string

// The modes. A deployment without embeddings refuses ModeVector and ModeGraph, and ranks ModeHybrid by words.
const (
	ModeHybrid Mode = "hybrid"
	ModeBM25   Mode = "bm25"
	ModeVector Mode = "vector"
	ModeGraph  Mode = "graph"
)

// RecallOptions narrows a Recall. The zero value is ModeHybrid, ten hits, everything that the key may read.
type RecallOptions struct {
	// K is the most hits to answer, at most 50.
	K    int
	Mode Mode
	// Lens narrows to what lies in these scope patterns. What the key may not read is not found, and that is no error.
	Lens ScopeSets
	// Labels are key=value each; a hit has all of them.
	Labels []string
	// Include names kinds of hits: facts, passages. Both by default.
	Include []string
	// SessionID narrows to what was written in one session.
	SessionID string
	// Source narrows to hits of one source, such as attribute.
	Source string
	// AsOf narrows to what was written by then.
	AsOf time.Time
	// AtInstant narrows to what was valid at that moment.
	AtInstant time.Time
	// ValidFrom and ValidUntil narrow to what was valid between them.
	ValidFrom, ValidUntil time.Time
	// IncludeDuplicates makes equal texts a hit each; by default the best of them stands for all.
	IncludeDuplicates bool
}

// Recalled is the answer to Recall.
type Recalled struct {
	Tier string `json:"tier"`
	// Hits are the best first.
	Hits               []Hit       `json:"hits"`
	QueryMs            int64       `json:"queryMs"`
	ClassificationKind string      `json:"classificationKind"`
	SeedEntities       []string    `json:"seedEntities"`
	Trace              RecallTrace `json:"trace"`
}

// Hit is one thing that was found.
type Hit struct {
	ID     string `json:"id"`
	Text   string `json:"text"`
	Source string `json:"source"`
	// Score is higher for better hits, and comparable within one answer only.
	Score float64 `json:"score"`
	// OccurredAt is when it was true or seen; nil when the writer did not say.
	OccurredAt *time.Time `json:"occurredAt,omitempty"`
}

// RecallTrace says how an answer came about.
type RecallTrace struct {
	// TraceID finds the request in the server's logs.
	TraceID        string    `json:"traceId"`
	ResolutionTier string    `json:"resolutionTier"`
	TierReason     string    `json:"tierReason"`
	LatencyMs      int64     `json:"latencyMs"`
	RetrievedCount int       `json:"retrievedCount"`
	TopScores      []float64 `json:"topScores"`
}

// Recall finds what was remembered, within what the key may read.
func (c *Client) Recall(ctx context.Context, query string, opts RecallOptions) (Recalled, error) {
	body := dataapi.QueryRequest{
		Query:             query,
		K:                 optional(opts.K),
		Mode:              optional(dataapi.QueryRequestMode(opts.Mode)),
		Lens:              opts.Lens.wire(),
		Labels:            optionalList(opts.Labels),
		SessionID:         optional(opts.SessionID),
		Source:            optional(opts.Source),
		AsOf:              optionalTime(opts.AsOf),
		AtInstant:         optionalTime(opts.AtInstant),
		ValidFrom:         optionalTime(opts.ValidFrom),
		ValidUntil:        optionalTime(opts.ValidUntil),
		IncludeDuplicates: optional(opts.IncludeDuplicates),
	}
	if len(opts.Include) > 0 {
		include := make([]dataapi.QueryRequestInclude, len(opts.Include))
		for i, kind := range opts.Include {
			include[i] = dataapi.QueryRequestInclude(kind)
		}
		body.Include = &include
	}
	req, err := dataapi.NewQueryMemoryRequest(c.server, c.contextID, nil, body)
	return call[Recalled](ctx, c.transport, req, err)
}

// ContextOptions narrows a Context as RecallOptions do a Recall.
type ContextOptions struct {
	K      int
	Lens   ScopeSets
	Labels []string
}

// PromptContext is what is remembered on a question.
type PromptContext struct {
	// Context is markdown for a prompt; empty when nothing was found.
	Context string `json:"context"`
	Tier    string `json:"tier"`
	QueryMs int64  `json:"queryMs"`
}

// Context puts together what is remembered on a question, as markdown for a prompt.
func (c *Client) Context(ctx context.Context, query string, opts ContextOptions) (PromptContext, error) {
	req, err := dataapi.NewGetContextForRequest(c.server, c.contextID, nil, dataapi.ContextRequest{
		Query: query, K: optional(opts.K), Lens: opts.Lens.wire(), Labels: optionalList(opts.Labels),
	})
	return call[PromptContext](ctx, c.transport, req, err)
}
