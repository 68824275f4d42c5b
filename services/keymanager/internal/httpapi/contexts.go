package httpapi

import (
	"context"

	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// ListContexts lists contexts by id.
func (p Parts) ListContexts(ctx context.Context, request ListContextsRequestObject) (ListContextsResponseObject, error) {
	page, err := pageOf(request.Params.Limit, request.Params.Cursor)
	if err != nil {
		return nil, err
	}
	contexts, err := p.Contexts.List(ctx, page.after, page.limit+1)
	if err != nil {
		return nil, err
	}
	contexts, link := cut(page, "/api/v1/contexts", contexts, func(c tenant.Context) string { return c.ID })
	body, err := each(contexts, contextBody)
	return ListContexts200JSONResponse{Body: body, Headers: ListContexts200ResponseHeaders{Link: link}}, err
}

// CreateContext creates the context in the path.
func (p Parts) CreateContext(ctx context.Context, request CreateContextRequestObject) (CreateContextResponseObject, error) {
	var body CreateContextRequest
	if request.Body != nil {
		body = *request.Body
	}
	created, err := p.create(ctx, request.ContextId, body)
	return CreateContext201JSONResponse(created), err
}

// CreateContextNamed creates the context in the body.
func (p Parts) CreateContextNamed(
	ctx context.Context, request CreateContextNamedRequestObject,
) (CreateContextNamedResponseObject, error) {
	b := request.Body
	created, err := p.create(ctx, b.Id, CreateContextRequest{
		Namespace: b.Namespace, Database: b.Database, DisplayName: b.DisplayName, Description: b.Description, Config: b.Config,
		AdminExternalId: b.AdminExternalId, AdminDisplayName: b.AdminDisplayName,
	})
	return CreateContextNamed201JSONResponse(created), err
}

func (p Parts) create(ctx context.Context, id string, body CreateContextRequest) (Context, error) {
	created, err := p.Contexts.Create(ctx, tenant.Draft{
		ID: id, Namespace: value(body.Namespace), Database: value(body.Database), DisplayName: value(body.DisplayName),
		Description: value(body.Description), Config: value(body.Config),
		AdminExternalID: value(body.AdminExternalId), AdminDisplayName: value(body.AdminDisplayName),
	})
	if err != nil {
		return Context{}, err
	}
	return contextBody(created)
}

// GetContext shows a context.
func (p Parts) GetContext(ctx context.Context, request GetContextRequestObject) (GetContextResponseObject, error) {
	found, err := p.Contexts.Get(ctx, request.ContextId)
	if err != nil {
		return nil, err
	}
	body, err := contextBody(found)
	return GetContext200JSONResponse(body), err
}

// PatchContext changes a context.
func (p Parts) PatchContext(ctx context.Context, request PatchContextRequestObject) (PatchContextResponseObject, error) {
	changed, err := p.Contexts.Patch(ctx, request.ContextId, tenant.Patch{
		Config: value(request.Body.Config), EnforcementBlocked: request.Body.EnforcementBlocked,
	})
	if err != nil {
		return nil, err
	}
	body, err := contextBody(changed)
	return PatchContext200JSONResponse(body), err
}

// DeleteContext removes a context.
func (p Parts) DeleteContext(ctx context.Context, request DeleteContextRequestObject) (DeleteContextResponseObject, error) {
	return DeleteContext204Response{}, p.Contexts.Delete(ctx, request.ContextId)
}

// contextBody is a context as it is shown: the effective configuration, and no incarnation.
func contextBody(c tenant.Context) (Context, error) {
	config, err := c.Config.Config()
	if err != nil {
		return Context{}, err
	}
	body := Context{
		Id: c.ID, Namespace: c.Namespace, Database: c.Database, DisplayName: given(c.DisplayName), Description: given(c.Description),
		EnforcementBlocked: c.EnforcementBlocked, CreatedAt: c.CreatedAt,
		Config: ContextConfig{
			AllowSelfServiceKeys: config.AllowSelfServiceKeys, LlmExtractionEnabled: config.LLMExtractionEnabled,
			MaxTokenTtlSeconds: given(config.MaxTokenTTL), TokenLimit: config.TokenLimit, TraceRetention: config.TraceRetention,
			Models: config.Models, ProvidersConfigured: config.Providers,
		},
	}
	// Empty rather than null: clients look into them.
	if body.Config.TraceRetention == nil {
		body.Config.TraceRetention = map[string]int64{}
	}
	if body.Config.Models == nil {
		body.Config.Models = map[string]any{}
	}
	if body.Config.ProvidersConfigured == nil {
		body.Config.ProvidersConfigured = []string{}
	}
	return body, nil
}

// value returns what p points at, the zero value when it is nil.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// given returns a pointer to v, nil when v is the zero value.
func given[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}
