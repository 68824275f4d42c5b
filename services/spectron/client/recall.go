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
	// AsOf narrows to what was written by then.
	AsOf time.Time
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
		Query:     query,
		K:         optional(opts.K),
		Mode:      optional(dataapi.QueryRequestMode(opts.Mode)),
		Lens:      opts.Lens.wire(),
		SessionID: optional(opts.SessionID),
	}
	if len(opts.Labels) > 0 {
		body.Labels = &opts.Labels
	}
	if len(opts.Include) > 0 {
		include := make([]dataapi.QueryRequestInclude, len(opts.Include))
		for i, kind := range opts.Include {
			include[i] = dataapi.QueryRequestInclude(kind)
		}
		body.Include = &include
	}
	if !opts.AsOf.IsZero() {
		body.AsOf = new(opts.AsOf.Format(time.RFC3339Nano))
	}
	req, err := dataapi.NewQueryMemoryRequest(c.server, c.contextID, nil, body)
	return call[Recalled](ctx, c.transport, req, err)
}
