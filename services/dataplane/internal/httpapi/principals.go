package httpapi

import (
	"context"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// ListPrincipals lists the principals of the context.
func (p Parts) ListPrincipals(ctx context.Context, request ListPrincipalsRequestObject) (ListPrincipalsResponseObject, error) {
	who, err := identityOf(ctx)
	if err != nil {
		return nil, err
	}
	errand, err := listOf(request.Params.Limit, request.Params.Cursor)
	if err != nil {
		return nil, err
	}
	principals, err := p.Principals.ListPrincipals(ctx, who, errand)
	if err != nil {
		return nil, err
	}
	principals, link := linked(who, "principals", errand, principals, func(p caller.Principal) string { return p.ID })
	out := ListPrincipals200JSONResponse{Body: []Principal{}, Headers: ListPrincipals200ResponseHeaders{Link: link}}
	for _, principal := range principals {
		out.Body = append(out.Body, principalBody(principal))
	}
	return out, nil
}

// GetPrincipal shows a principal.
func (p Parts) GetPrincipal(ctx context.Context, request GetPrincipalRequestObject) (GetPrincipalResponseObject, error) {
	who, err := identityOf(ctx)
	if err != nil {
		return nil, err
	}
	found, err := p.Principals.GetPrincipal(ctx, who, introspection.PrincipalErrand{ID: request.PrincipalID})
	return GetPrincipal200JSONResponse(principalBody(found)), err
}

// GetEffective tells what a principal may do at a path, now or at an earlier moment.
func (p Parts) GetEffective(ctx context.Context, request GetEffectiveRequestObject) (GetEffectiveResponseObject, error) {
	who, err := identityOf(ctx)
	if err != nil {
		return nil, err
	}
	held, err := p.Principals.Effective(ctx, who, introspection.EffectiveErrand{
		ID: request.PrincipalID, Path: request.Params.Path, AsOf: request.Params.AsOf,
	})
	return GetEffective200JSONResponse{Path: held.Path, Verbs: held.Verbs, AsOf: request.Params.AsOf}, err
}

// AddGrants grants verbs over a pattern to a principal.
func (p Parts) AddGrants(ctx context.Context, request AddGrantsRequestObject) (AddGrantsResponseObject, error) {
	who, err := identityOf(ctx)
	if err != nil {
		return nil, err
	}
	changed, err := p.Principals.AddGrants(ctx, who, grantErrand(request.PrincipalID, *request.Body))
	return AddGrants200JSONResponse(principalBody(changed)), err
}

// RemoveGrants takes verbs over a pattern from a principal.
func (p Parts) RemoveGrants(ctx context.Context, request RemoveGrantsRequestObject) (RemoveGrantsResponseObject, error) {
	who, err := identityOf(ctx)
	if err != nil {
		return nil, err
	}
	changed, err := p.Principals.RemoveGrants(ctx, who, grantErrand(request.PrincipalID, *request.Body))
	return RemoveGrants200JSONResponse(principalBody(changed)), err
}

func grantErrand(id string, body GrantMutation) introspection.GrantErrand {
	return introspection.GrantErrand{ID: id, Path: body.Path, Verbs: body.Verbs}
}

func principalBody(p caller.Principal) Principal {
	return Principal{ID: p.ID, Kind: string(p.Kind), DisplayName: p.DisplayName, Grants: orEmpty(p.Grants)}
}
