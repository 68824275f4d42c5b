package client

import (
	"context"
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
	return allPages[ScopeNode](ctx, c.transport, func(cursor *string) (*http.Request, error) {
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
