package httpapi

import (
	"context"

	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/verifier"
)

// GetMe tells the caller who it is.
func (Parts) GetMe(ctx context.Context, _ GetMeRequestObject) (GetMeResponseObject, error) {
	who, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	out := GetMe200JSONResponse{
		PrincipalID:     who.Principal.ID,
		DisplayName:     who.Principal.DisplayName,
		Kind:            string(who.Principal.Kind),
		Grants:          orEmpty(who.Principal.Grants),
		EffectiveGrants: orEmpty(who.Effective),
		ContextID:       who.Context,
	}
	if verdict, ok := ctx.Value(verdictKey{}).(verifier.Verdict); ok {
		out.Verdict = &Verdict{Source: VerdictSource(verdict.Source), AsOf: verdict.AsOf}
	}
	if who.OnBehalfOf != nil {
		out.DelegatedPrincipalID = &who.OnBehalfOf.ID
	}
	if who.KeyGrants != nil {
		out.TokenGrants = &who.KeyGrants
	}
	return out, nil
}

// orEmpty keeps a map that allows nothing from being written as null.
func orEmpty(m grant.Map) grant.Map {
	if m == nil {
		return grant.Map{}
	}
	return m
}
