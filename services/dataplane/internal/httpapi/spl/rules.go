package spl

import (
	"context"

	"github.com/spectron-hq/spectron/services/contract/caller"
)

// resource is what the permission rules know a route as; empty for a route that they are not asked about.
type resource string

// The resources.
const (
	recordRead   resource = "record_read"
	recordWrite  resource = "record_write"
	threadRead   resource = "thread_read"
	threadWrite  resource = "thread_write"
	configRead   resource = "config_read"
	configWrite  resource = "config_write"
	accountRead  resource = "account_read"
	accountWrite resource = "account_write"
	federation   resource = "federation"
)

// Asked is what the permission rules decide about.
type Asked struct {
	// Space is the incarnation of the context.
	Space string
	// Actor is the claimed identity, which has been checked.
	Actor string
	// Resource is what the route is about: record_read, record_write, thread_read, thread_write, config_read, config_write,
	// account_read, account_write or federation.
	Resource string
	// Record is the body of a record that is to be written, as it came and not yet validated; nil for every other request, and where
	// the body is no JSON object.
	Record map[string]any
	Caller *caller.Caller
}

// Rules can refuse what token, scope and claim allow. They never allow more.
type Rules interface {
	// Allow returns nil, or why the request is refused: fault.Forbidden with the code PERMISSION_DENIED.
	Allow(ctx context.Context, asked Asked) error
}
