package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"time"

	"github.com/spectron-hq/spectron/services/spectron/client/internal/managementapi"
)

// Context is an isolated tenant. Each key opens one.
type Context struct {
	ID                 string        `json:"id"`
	Namespace          string        `json:"namespace"`
	Database           string        `json:"database"`
	DisplayName        string        `json:"display_name,omitempty"`
	Description        string        `json:"description,omitempty"`
	Config             ContextConfig `json:"config"`
	EnforcementBlocked bool          `json:"enforcement_blocked"`
	CreatedAt          time.Time     `json:"created_at"`
}

// ContextConfig is the effective configuration of a context, defaults filled in.
type ContextConfig struct {
	AllowSelfServiceKeys bool `json:"allow_self_service_keys"`
	// MaxTokenTTLSeconds caps the time to live of keys; nil means no cap.
	MaxTokenTTLSeconds   *int64           `json:"max_token_ttl_seconds"`
	LLMExtractionEnabled bool             `json:"llm_extraction_enabled"`
	TokenLimit           *int64           `json:"token_limit"`
	TraceRetention       map[string]int64 `json:"trace_retention"`
	Models               map[string]any   `json:"models"`
	// ProvidersConfigured names the model providers; what was configured is never shown.
	ProvidersConfigured []string `json:"providers_configured"`
}

// CreateContextOptions says what a new context is like. Whatever is left empty gets its default.
type CreateContextOptions struct {
	// Namespace and Database default to the id.
	Namespace, Database      string
	DisplayName, Description string
	// Config is a JSON object of the fields to set.
	Config json.RawMessage
	// AdminExternalID binds the context's principal admin to an identity elsewhere.
	AdminExternalID string
	// AdminDisplayName names that principal; admin by default.
	AdminDisplayName string
}

// CreateContext creates a context. The error is fault.Conflict when the id is taken.
func (m *Management) CreateContext(ctx context.Context, id string, opts CreateContextOptions) (Context, error) {
	if err := checkSegment("id", id); err != nil {
		return Context{}, err
	}
	req, err := managementapi.NewCreateContextRequest(m.server, id, managementapi.CreateContextRequest{
		Namespace:        optional(opts.Namespace),
		Database:         optional(opts.Database),
		DisplayName:      optional(opts.DisplayName),
		Description:      optional(opts.Description),
		Config:           optionalJSON(opts.Config),
		AdminExternalID:  optional(opts.AdminExternalID),
		AdminDisplayName: optional(opts.AdminDisplayName),
	})
	return call[Context](ctx, m.transport, req, err)
}

// ListContexts returns every context, ordered by id.
func (m *Management) ListContexts(ctx context.Context) ([]Context, error) {
	return collect(m.Contexts(ctx))
}

// Contexts iterates over every context, ordered by id.
func (m *Management) Contexts(ctx context.Context) iter.Seq2[Context, error] {
	return pages[Context](ctx, m.transport, func(cursor *string) (*http.Request, error) {
		return managementapi.NewListContextsRequest(m.server, &managementapi.ListContextsParams{Cursor: cursor})
	})
}

// GetContext returns one context.
func (m *Management) GetContext(ctx context.Context, id string) (Context, error) {
	if err := checkSegment("id", id); err != nil {
		return Context{}, err
	}
	req, err := managementapi.NewGetContextRequest(m.server, id)
	return call[Context](ctx, m.transport, req, err)
}

// ContextPatch is a change of a context. What is nil stays.
type ContextPatch struct {
	// Config is merged deeply into what is stored; null goes back to the default (JSON merge patch, RFC 7396).
	Config json.RawMessage
	// EnforcementBlocked refuses calls that need a language model.
	EnforcementBlocked *bool
}

// PatchContext changes a context and returns it as it is then.
func (m *Management) PatchContext(ctx context.Context, id string, patch ContextPatch) (Context, error) {
	if err := checkSegment("id", id); err != nil {
		return Context{}, err
	}
	req, err := managementapi.NewPatchContextRequest(m.server, id, managementapi.PatchContextRequest{
		Config:             optionalJSON(patch.Config),
		EnforcementBlocked: patch.EnforcementBlocked,
	})
	return call[Context](ctx, m.transport, req, err)
}

// DeleteContext deletes a context and everything in it. Its keys stop working at once. This cannot be undone.
func (m *Management) DeleteContext(ctx context.Context, id string) error {
	if err := checkSegment("id", id); err != nil {
		return err
	}
	req, err := managementapi.NewDeleteContextRequest(m.server, id)
	return discard(ctx, m.transport, req, err)
}

// optional returns nil for the zero value, which requests leave out.
func optional[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}

// optionalJSON returns nil for no JSON, which requests leave out.
func optionalJSON(value json.RawMessage) *json.RawMessage {
	if len(value) == 0 {
		return nil
	}
	return &value
}
