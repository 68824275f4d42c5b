package client

import (
	"context"
	"time"

	"github.com/spectron-hq/spectron/services/spectron/client/internal/managementapi"
)

// Management speaks to the management API. It is safe for concurrent use.
type Management struct {
	transport *transport
	server    string // what the generated code wants: the base with a trailing slash
}

// NewManagement returns a client of the management API; cfg.APIKey must be a management key. It sends nothing; its
// errors are about cfg.
func NewManagement(cfg Config) (*Management, error) {
	t, err := newTransport(cfg)
	if err != nil {
		return nil, err
	}
	return &Management{transport: t, server: t.base + "/"}, nil
}

// Health asks whether the server serves. It needs no key.
func (m *Management) Health(ctx context.Context) (Health, error) {
	req, err := managementapi.NewGetHealthRequest(m.server)
	return call[Health](ctx, m.transport, req, err)
}

// Verb is one thing that grants can allow.
type Verb struct {
	Verb        string `json:"verb"`
	Description string `json:"description"`
}

// ListVerbs returns the verbs of grants, in display order.
func (m *Management) ListVerbs(ctx context.Context) ([]Verb, error) {
	req, err := managementapi.NewListVerbsRequest(m.server)
	return call[[]Verb](ctx, m.transport, req, err)
}

// Migrations says which version of the schema contexts are on.
type Migrations struct {
	// Versions counts the contexts on each version.
	Versions map[string]int64 `json:"versions"`
	// ContextsBehind are the ids of those that are not on the newest.
	ContextsBehind []string `json:"contexts_behind"`
	// DeadLetters are migrations that were given up.
	DeadLetters []map[string]any `json:"dead_letters"`
}

// GetMigrations returns the state of the schema's migrations.
func (m *Management) GetMigrations(ctx context.Context) (Migrations, error) {
	req, err := managementapi.NewGetMigrationsRequest(m.server)
	return call[Migrations](ctx, m.transport, req, err)
}

// Usage says how much of its language model tokens a context has used in a calendar month (UTC).
type Usage struct {
	// TokenLimit is nil where there is none; TokenUsagePct is nil then, too.
	TokenLimit             *int64    `json:"token_limit"`
	TokenUsageCurrentMonth int64     `json:"token_usage_current_month"`
	TokenUsagePct          *float64  `json:"token_usage_pct"`
	PeriodStart            time.Time `json:"period_start"`
	PeriodEnd              time.Time `json:"period_end"`
}

// GetUsage returns the usage of a context.
func (m *Management) GetUsage(ctx context.Context, contextID string) (Usage, error) {
	if err := checkSegment("context_id", contextID); err != nil {
		return Usage{}, err
	}
	req, err := managementapi.NewGetUsageRequest(m.server, contextID)
	return call[Usage](ctx, m.transport, req, err)
}

// Job is work that a server has taken on and will do.
type Job struct {
	ID string `json:"job_id"`
}

// Decay asks for the importance of everything in a context that was not written for long to be lowered.
func (m *Management) Decay(ctx context.Context, contextID string) (Job, error) {
	if err := checkSegment("context_id", contextID); err != nil {
		return Job{}, err
	}
	req, err := managementapi.NewDecayContextRequest(m.server, contextID, managementapi.Nothing{})
	return call[Job](ctx, m.transport, req, err)
}

// Reindex asks for the search index of a context to be built anew.
func (m *Management) Reindex(ctx context.Context, contextID string) (Job, error) {
	if err := checkSegment("context_id", contextID); err != nil {
		return Job{}, err
	}
	req, err := managementapi.NewReindexContextRequest(m.server, contextID, managementapi.Nothing{})
	return call[Job](ctx, m.transport, req, err)
}
