package client

import (
	"context"
	"iter"
	"net/http"
	"time"

	"github.com/spectron-hq/spectron/services/spectron/client/internal/dataapi"
)

// ScopeSets is an OR of ANDs: of scope paths where something is written, of scope patterns in a lens. Nil is the default.
type ScopeSets [][]string

// AnyOf is the set of whatever lies in one of the paths.
func AnyOf(paths ...string) ScopeSets {
	sets := make(ScopeSets, len(paths))
	for i, path := range paths {
		sets[i] = []string{path}
	}
	return sets
}

// AllOf is the set of what lies in all of the paths at once.
func AllOf(paths ...string) ScopeSets { return ScopeSets{paths} }

// wire returns the sets as a request holds them: absent when empty.
func (s ScopeSets) wire() any {
	if len(s) == 0 {
		return nil
	}
	return s
}

// ScopeNode is a node of the tree of scopes.
type ScopeNode struct {
	// Path is canonical: no leading and one trailing slash; the root is /.
	Path        string    `json:"path"`
	DisplayName string    `json:"displayName,omitempty"`
	Description string    `json:"description,omitempty"`
	CreatedAt   time.Time `json:"createdAt"`
	// TombstonedAt is nil for a living node.
	TombstonedAt *time.Time `json:"tombstonedAt,omitempty"`
}

// ListScopes returns all the nodes over which the key holds any verb, ordered by path, tombstoned ones included.
func (c *Client) ListScopes(ctx context.Context) ([]ScopeNode, error) {
	return collect(c.Scopes(ctx))
}

// Scopes iterates over the nodes that ListScopes returns.
func (c *Client) Scopes(ctx context.Context) iter.Seq2[ScopeNode, error] {
	return pages[ScopeNode](ctx, c.transport, func(cursor *string) (*http.Request, error) {
		return dataapi.NewListScopesRequest(c.server, c.contextID, &dataapi.ListScopesParams{Cursor: cursor})
	})
}

// RegisterScopeOptions describes a node to people.
type RegisterScopeOptions struct {
	DisplayName, Description string
}

// RegisterScope registers a node and the ancestors that it lacks. Registering a living node again changes nothing; a
// tombstoned one lives again.
func (c *Client) RegisterScope(ctx context.Context, path string, opts RegisterScopeOptions) (ScopeNode, error) {
	req, err := dataapi.NewRegisterScopeRequest(c.server, c.contextID, nil, dataapi.ScopeRegistration{
		Path:        path,
		DisplayName: optional(opts.DisplayName),
		Description: optional(opts.Description),
	})
	return call[ScopeNode](ctx, c.transport, req, err)
}

// DeleteScope ends a node: it takes no new rows until it is registered again. What is tagged with it stays. A node that
// there is not is no error.
func (c *Client) DeleteScope(ctx context.Context, path string) error {
	req, err := dataapi.NewTombstoneScopeRequest(c.server, c.contextID, &dataapi.TombstoneScopeParams{Path: path})
	return discard(ctx, c.transport, req, err)
}

// ForgetScope erases every row that is tagged with a node at or below path, with its history, and returns how many there
// were. This cannot be undone.
func (c *Client) ForgetScope(ctx context.Context, path string) (int64, error) {
	req, err := dataapi.NewForgetScopeRequest(c.server, c.contextID, nil, dataapi.ScopePathRequest{Path: &path})
	done, err := call[dataapi.ForgottenResponse](ctx, c.transport, req, err)
	return done.Forgotten, err
}
