package client

import (
	"context"
	"time"

	"github.com/spectron-hq/spectron/services/spectron/client/internal/dataapi"
)

// Trace is a query that was made.
type Trace struct {
	ID             string    `json:"id"`
	QueryText      string    `json:"queryText"`
	ResolutionTier string    `json:"resolutionTier"`
	TierReason     string    `json:"tierReason"`
	LatencyMs      int64     `json:"latencyMs"`
	Cached         bool      `json:"cached"`
	CreatedAt      time.Time `json:"createdAt"`
	PrincipalID    string    `json:"principalId,omitempty"`
	// DelegatedPrincipalID is on whose behalf it was asked.
	DelegatedPrincipalID string `json:"delegatedPrincipalId,omitempty"`
	RetrievedCount       int    `json:"retrievedCount,omitempty"`
}

// ListTraces returns the newest of the caller's queries, or of all queries with grant:manage over /: limit of them, 500 at
// most; zero is what the server likes.
func (c *Client) ListTraces(ctx context.Context, limit int32) ([]Trace, error) {
	req, err := dataapi.NewListTracesRequest(c.server, c.contextID, &dataapi.ListTracesParams{Limit: optional(limit)})
	list, err := call[struct{ Traces []Trace }](ctx, c.transport, req, err)
	return list.Traces, err
}

// GetTrace returns one query.
func (c *Client) GetTrace(ctx context.Context, id string) (Trace, error) {
	if err := checkSegment("trace_id", id); err != nil {
		return Trace{}, err
	}
	req, err := dataapi.NewGetTraceRequest(c.server, c.contextID, id, nil)
	return call[Trace](ctx, c.transport, req, err)
}

// TraceStats are figures about the queries of the last WindowHours. They are zero without grant:manage over /.
type TraceStats struct {
	TotalQueries           int64              `json:"totalQueries"`
	AvgLatencyMs           float64            `json:"avgLatencyMs"`
	CacheHits              int64              `json:"cacheHits"`
	CacheHitRate           float64            `json:"cacheHitRate"`
	ResponseTracesCached   int64              `json:"responseTracesCached"`
	ResponseTracesTotal    int64              `json:"responseTracesTotal"`
	WindowHours            int                `json:"windowHours"`
	TierCounts             TierCounts         `json:"tierCounts"`
	Contradiction          map[string]int64   `json:"contradiction"`
	Retrieval              map[string]float64 `json:"retrieval"`
	Supersession           map[string]int64   `json:"supersession"`
	SourceKindDistribution []SourceKindCount  `json:"sourceKindDistribution"`
}

// TierCounts counts queries by how they were resolved.
type TierCounts struct {
	Direct      int64 `json:"direct"`
	Hybrid      int64 `json:"hybrid"`
	FullContext int64 `json:"fullContext"`
}

// SourceKindCount counts the facts of one kind of source.
type SourceKindCount struct {
	Kind  string `json:"kind"`
	Count int64  `json:"count"`
}

// GetTraceStats returns figures about the latest queries.
func (c *Client) GetTraceStats(ctx context.Context) (TraceStats, error) {
	req, err := dataapi.NewGetTraceStatsRequest(c.server, c.contextID, nil)
	return call[TraceStats](ctx, c.transport, req, err)
}

// AuditOptions narrows an audit. The zero value is the newest rows, as many as the server likes.
type AuditOptions struct {
	// Principal and Key are the ids of who asked.
	Principal, Key string
	// Kind is decision, retrieval or response.
	Kind string
	// Since and Until are the moments from which on and before which.
	Since, Until time.Time
	// Limit is the most rows, 500 at most.
	Limit int32
}

// AuditRow is what was asked and decided.
type AuditRow struct {
	TraceID   string `json:"traceId"`
	Kind      string `json:"kind"`
	Principal string `json:"principal,omitempty"`
	// OnBehalfOf is on whose behalf it was asked.
	OnBehalfOf string `json:"onBehalfOf,omitempty"`
	KeyID      string `json:"keyId,omitempty"`
	// Action is what was asked for, such as facts.add.
	Action string `json:"action,omitempty"`
	Model  string `json:"model,omitempty"`
	// Cost is that of a language model.
	Cost        float64   `json:"cost"`
	LatencyMs   int64     `json:"latencyMs"`
	RowsTouched int64     `json:"rowsTouched"`
	CreatedAt   time.Time `json:"createdAt"`
}

// Audit returns what was asked and decided, the newest first: the caller's own, or all with grant:manage over /.
func (c *Client) Audit(ctx context.Context, opts AuditOptions) ([]AuditRow, error) {
	req, err := dataapi.NewListAuditRequest(c.server, c.contextID, &dataapi.ListAuditParams{
		Principal: optional(opts.Principal),
		Key:       optional(opts.Key),
		Kind:      optional(dataapi.ListAuditParamsKind(opts.Kind)),
		Since:     optional(opts.Since),
		Until:     optional(opts.Until),
		Limit:     optional(opts.Limit),
	})
	list, err := call[struct{ Rows []AuditRow }](ctx, c.transport, req, err)
	return list.Rows, err
}

// Inspection is what a reference stands for. Kind says which of the others is there.
type Inspection struct {
	// Kind is entity, attribute, relation or trace.
	Kind       string      `json:"kind"`
	Entity     *Entity     `json:"entity,omitempty"`
	Attributes []Attribute `json:"attributes,omitempty"`
	Relations  []Relation  `json:"relations,omitempty"`
	Attribute  *Attribute  `json:"attribute,omitempty"`
	// History is every value that the attribute has had.
	History  []Attribute `json:"history,omitempty"`
	Relation *Relation   `json:"relation,omitempty"`
	Trace    *Trace      `json:"trace,omitempty"`
}

// Inspect returns what ref stands for: entity:<type>/<name>, attribute:<type>/<name>/<key>,
// relation:<type>/<name>-[<label>]-><type>/<name> or trace:<id>. The error is fault.NotSupported for other kinds.
func (c *Client) Inspect(ctx context.Context, ref string) (Inspection, error) {
	req, err := dataapi.NewInspectRequest(c.server, c.contextID, &dataapi.InspectParams{Ref: ref})
	return call[Inspection](ctx, c.transport, req, err)
}
