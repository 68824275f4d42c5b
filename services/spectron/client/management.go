package client

import (
	"context"

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
