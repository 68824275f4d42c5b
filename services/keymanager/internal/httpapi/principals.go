package httpapi

import (
	"context"
	"net/url"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
)

// ListPrincipals lists the principals of a context by id.
func (p Parts) ListPrincipals(ctx context.Context, request ListPrincipalsRequestObject) (ListPrincipalsResponseObject, error) {
	page, err := pageOf(request.Params.Limit, request.Params.Cursor)
	if err != nil {
		return nil, err
	}
	principals, err := p.Principals.List(ctx, request.ContextId, page.after, page.limit+1)
	if err != nil {
		return nil, err
	}
	path := "/api/v1/contexts/" + request.ContextId + "/principals"
	principals, link := cut(page, path, principals, func(p principal.Principal) string { return p.ID })
	body := make([]Principal, len(principals))
	for i, found := range principals {
		body[i] = principalBody(found)
	}
	return ListPrincipals200JSONResponse{Body: body, Headers: ListPrincipals200ResponseHeaders{Link: link}}, nil
}

// CreatePrincipal creates a principal, or gets the one of an external id.
func (p Parts) CreatePrincipal(ctx context.Context, request CreatePrincipalRequestObject) (CreatePrincipalResponseObject, error) {
	b := request.Body
	stored, created, err := p.Principals.Create(ctx, request.ContextId, principal.Draft{
		DisplayName: b.DisplayName, Kind: caller.Kind(value(b.Kind)), ExternalID: value(b.ExternalId), Grants: value(b.Grants),
	})
	switch {
	case err != nil:
		return nil, err
	case created:
		return CreatePrincipal201JSONResponse(principalBody(stored)), nil
	default:
		return CreatePrincipal200JSONResponse(principalBody(stored)), nil
	}
}

// GetPrincipal shows a principal.
func (p Parts) GetPrincipal(ctx context.Context, request GetPrincipalRequestObject) (GetPrincipalResponseObject, error) {
	found, err := p.Principals.Get(ctx, request.ContextId, request.PrincipalId)
	if err != nil {
		return nil, err
	}
	return GetPrincipal200JSONResponse(principalBody(found)), nil
}

// PatchPrincipal changes a principal.
func (p Parts) PatchPrincipal(ctx context.Context, request PatchPrincipalRequestObject) (PatchPrincipalResponseObject, error) {
	b := request.Body
	changed, err := p.Principals.Patch(ctx, request.ContextId, request.PrincipalId, principal.Patch{
		DisplayName: b.DisplayName, Kind: (*caller.Kind)(b.Kind), Grants: (*map[string][]string)(b.Grants),
	})
	if err != nil {
		return nil, err
	}
	return PatchPrincipal200JSONResponse(principalBody(changed)), nil
}

// DeletePrincipal removes a principal and its keys.
func (p Parts) DeletePrincipal(ctx context.Context, request DeletePrincipalRequestObject) (DeletePrincipalResponseObject, error) {
	return DeletePrincipal204Response{}, p.Principals.Delete(ctx, request.ContextId, request.PrincipalId)
}

// AddGrants adds to what a principal may do.
func (p Parts) AddGrants(ctx context.Context, request AddGrantsRequestObject) (AddGrantsResponseObject, error) {
	change, err := principal.ParseChange(request.Body.Path, request.Body.Verbs)
	if err != nil {
		return nil, err
	}
	changed, err := p.Principals.Grant(ctx, request.ContextId, request.PrincipalId, change)
	if err != nil {
		return nil, err
	}
	return AddGrants200JSONResponse(principalBody(changed)), nil
}

// RemoveGrants takes away what a principal may do within a pattern.
func (p Parts) RemoveGrants(ctx context.Context, request RemoveGrantsRequestObject) (RemoveGrantsResponseObject, error) {
	change, err := principal.ParseChange(request.Body.Path, request.Body.Verbs)
	if err != nil {
		return nil, err
	}
	changed, err := p.Principals.Revoke(ctx, request.ContextId, request.PrincipalId, change)
	if err != nil {
		return nil, err
	}
	return RemoveGrants200JSONResponse(principalBody(changed)), nil
}

// ListPrincipalKeys lists the keys of a principal by name.
func (p Parts) ListPrincipalKeys(ctx context.Context, request ListPrincipalKeysRequestObject) (ListPrincipalKeysResponseObject, error) {
	page, err := pageOf(request.Params.Limit, request.Params.Cursor)
	if err != nil {
		return nil, err
	}
	keys, err := p.Keys.ListOf(ctx, request.ContextId, request.PrincipalId, page.after, page.limit+1)
	if err != nil {
		return nil, err
	}
	path := "/api/v1/contexts/" + request.ContextId + "/principals/" + principal.Bare(request.PrincipalId) + "/keys"
	usage := request.Params.Usage
	keys, link := cutWith(page, path, filter(url.Values{}, "usage", usage), keys, func(k key.Listed) string { return k.Name })
	body, err := each(keys, listedBody(usage))
	return ListPrincipalKeys200JSONResponse{Body: body, Headers: ListPrincipalKeys200ResponseHeaders{Link: link}}, err
}

// MintPrincipalKey makes a key of a principal.
func (p Parts) MintPrincipalKey(ctx context.Context, request MintPrincipalKeyRequestObject) (MintPrincipalKeyResponseObject, error) {
	body := value(request.Body)
	minted, err := p.Keys.MintFor(
		ctx, request.ContextId, request.PrincipalId, request.Name, request.Params.TtlSeconds, (*map[string][]string)(body.Grants),
		firstSettings(body.Enabled, body.RateLimit, body.AllowedCidrs))
	if err != nil {
		return nil, err
	}
	return MintPrincipalKey201JSONResponse(mintedBody(minted)), nil
}

// RotatePrincipalKey gives a key of a principal a new secret.
func (p Parts) RotatePrincipalKey(
	ctx context.Context, request RotatePrincipalKeyRequestObject,
) (RotatePrincipalKeyResponseObject, error) {
	rotated, err := p.Keys.RotateOf(ctx, request.ContextId, request.PrincipalId, request.Name, request.Params.TtlSeconds)
	if err != nil {
		return nil, err
	}
	return RotatePrincipalKey200JSONResponse(mintedBody(rotated)), nil
}

// DeletePrincipalKey removes a key of a principal.
func (p Parts) DeletePrincipalKey(
	ctx context.Context, request DeletePrincipalKeyRequestObject,
) (DeletePrincipalKeyResponseObject, error) {
	return DeletePrincipalKey204Response{}, p.Keys.DeleteOf(ctx, request.ContextId, request.PrincipalId, request.Name)
}

// principalBody is a principal as it is shown; its grants are never null.
func principalBody(p principal.Principal) Principal {
	return Principal{
		Id: p.ID, DisplayName: p.DisplayName, Kind: PrincipalKind(p.Kind), ExternalId: given(p.ExternalID),
		Grants: *grantsBody(p.Grants.Join(nil)), CreatedAt: p.CreatedAt,
	}
}
