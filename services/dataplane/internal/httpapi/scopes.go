package httpapi

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/url"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/scopetree"
	"github.com/spectron-hq/spectron/services/dataplane/internal/trace"
)

// ListScopes lists nodes by path.
func (p Parts) ListScopes(ctx context.Context, request ListScopesRequestObject) (ListScopesResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	page, err := pageOf(request.Params)
	if err != nil {
		return nil, err
	}
	// One more than asked for shows whether there is another page.
	nodes, err := p.Scopes.List(ctx, who, scopetree.Page{After: page.After, Limit: page.Limit + 1})
	if err != nil {
		return nil, err
	}
	out := ListScopes200JSONResponse{Body: []ScopeNode{}}
	if len(nodes) > page.Limit {
		nodes = nodes[:page.Limit]
		link := nextPage(who.Context, nodes[page.Limit-1].Path, page.Limit)
		out.Headers.Link = &link
	}
	for _, node := range nodes {
		out.Body = append(out.Body, nodeBody(node))
	}
	return out, nil
}

// RegisterScope registers a node.
func (p Parts) RegisterScope(ctx context.Context, request RegisterScopeRequestObject) (RegisterScopeResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	path, err := scope.ParsePath(request.Body.Path)
	if err != nil {
		return nil, fault.InvalidField("path", "%v", err)
	}
	began := p.Traces.Begin()
	node, err := p.Scopes.Register(ctx, who, scopetree.Node{
		Path: path, DisplayName: value(request.Body.DisplayName), Description: value(request.Body.Description),
	})
	if err != nil {
		return nil, err
	}
	p.Traces.Decided(ctx, who, began, trace.RegisterScope, 1)
	return RegisterScope201JSONResponse(nodeBody(node)), nil
}

// TombstoneScope ends a node.
func (p Parts) TombstoneScope(ctx context.Context, request TombstoneScopeRequestObject) (TombstoneScopeResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	path, err := scope.ParsePath(request.Params.Path)
	if err != nil {
		return nil, fault.InvalidField("path", "%v", err)
	}
	began := p.Traces.Begin()
	if err := p.Scopes.Tombstone(ctx, who, path); err != nil {
		return nil, err
	}
	p.Traces.Decided(ctx, who, began, trace.TombstoneScope, 1)
	return TombstoneScope204Response{}, nil
}

// ForgetScope erases what is tagged with a node or one below it.
func (p Parts) ForgetScope(ctx context.Context, request ForgetScopeRequestObject) (ForgetScopeResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	// A client that was given no path sends no body.
	if request.Body == nil || request.Body.Path == nil {
		return nil, fault.InvalidField("path", "is required")
	}
	path, err := scope.ParsePath(*request.Body.Path)
	if err != nil {
		return nil, fault.InvalidField("path", "%v", err)
	}
	began := p.Traces.Begin()
	forgotten, err := p.Scopes.Forget(ctx, who, path)
	if err != nil {
		return nil, err
	}
	p.Traces.Decided(ctx, who, began, trace.ForgetScope, forgotten)
	return ForgetScope200JSONResponse{Forgotten: int64(forgotten)}, nil
}

// ScopeGrants is not served, to anybody.
func (Parts) ScopeGrants(context.Context, ScopeGrantsRequestObject) (ScopeGrantsResponseObject, error) {
	return nil, fault.New(fault.NotSupported, "grants are those of principals; change them with POST and DELETE …/principals/{id}/grants")
}

func nodeBody(node scopetree.Node) ScopeNode {
	return ScopeNode{
		Path: node.Path.String(), CreatedAt: node.CreatedAt, DisplayName: given(node.DisplayName),
		Description: given(node.Description), TombstonedAt: given(node.TombstonedAt),
	}
}

// pageOf reads the parameters of a list. The document has checked the limit.
func pageOf(params ListScopesParams) (scopetree.Page, error) {
	page := scopetree.Page{Limit: scopetree.MaxPage}
	if params.Limit != nil {
		page.Limit = int(*params.Limit)
	}
	if params.Cursor == nil {
		return page, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(*params.Cursor)
	if err == nil {
		var path scope.Path
		path, err = scope.ParsePath(string(text))
		page.After = path.String()
	}
	if err != nil {
		return page, fault.InvalidField("cursor", "is not one that was given out")
	}
	return page, nil
}

// nextPage returns the Link header that leads on behind the node last.
func nextPage(contextID string, last scope.Path, limit int) string {
	cursor := base64.RawURLEncoding.EncodeToString([]byte(last.String()))
	query := url.Values{"limit": {fmt.Sprint(limit)}, "cursor": {cursor}}.Encode()
	return fmt.Sprintf(`</api/v1/%s/scopes?%s>; rel="next"`, url.PathEscape(contextID), query)
}
