package spl

import (
	"context"
	"slices"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// ListTokens lists the tokens of every account, the oldest first.
func (s server) ListTokens(ctx context.Context, _ ListTokensRequestObject) (ListTokensResponseObject, error) {
	tokens, err := s.tokensOf(ctx, "")
	return ListTokens200JSONResponse(tokens), err
}

// ListAccountTokens lists the tokens of one account.
func (s server) ListAccountTokens(ctx context.Context, request ListAccountTokensRequestObject) (ListAccountTokensResponseObject, error) {
	tokens, err := s.tokensOf(ctx, request.ID)
	return ListAccountTokens200JSONResponse(tokens), err
}

func (s server) tokensOf(ctx context.Context, account string) ([]Token, error) {
	who, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	tokens, err := all(func(errand introspection.ListErrand) ([]introspection.Token, error) {
		return s.Accounts.ListTokens(ctx, who.identity, introspection.TokenListErrand{AccountID: account, ListErrand: errand})
	}, func(t introspection.Token) string { return t.ID })
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(tokens, func(a, b introspection.Token) int { return a.CreatedAt.Compare(b.CreatedAt) })
	out := []Token{}
	for _, t := range tokens {
		out = append(out, tokenBody(t))
	}
	return out, nil
}

// MintToken makes a token of an account.
func (s server) MintToken(ctx context.Context, request MintTokenRequestObject) (MintTokenResponseObject, error) {
	who, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	draft := tokenDraft(request.ID, request.Body)
	minted, err := s.Accounts.MintToken(ctx, who.identity, draft)
	if err != nil {
		return nil, err
	}
	s.audit(ctx, who, mintedEvent(tokenMinted, minted, draft.Reason))
	return MintToken201JSONResponse(mintedBody(minted)), nil
}

// RotateTokens makes a token of an account and revokes those that it had.
func (s server) RotateTokens(ctx context.Context, request RotateTokensRequestObject) (RotateTokensResponseObject, error) {
	who, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	draft := tokenDraft(request.ID, request.Body)
	rotated, err := s.Accounts.RotateTokens(ctx, who.identity, draft)
	if err != nil {
		return nil, err
	}
	happened := mintedEvent(tokensRotated, rotated.IssuedToken, draft.Reason)
	happened.Revoked = rotated.Revoked
	s.audit(ctx, who, happened)
	t := mintedBody(rotated.IssuedToken)
	body := RotatedTokens{
		Token: t.Token, TokenID: t.TokenID, SaID: t.SaID, ServiceAccountID: t.ServiceAccountID, ServiceAccountName: t.ServiceAccountName,
		EnvTag: t.EnvTag, Prefix: t.Prefix, Scopes: t.Scopes, Status: RotatedTokensStatus(t.Status), CreatedAt: t.CreatedAt, ValidUntil: t.ValidUntil,
		Revoked: append([]string{}, rotated.Revoked...), Revision: rotated.Revision,
	}
	body.Propagation.Acknowledged, body.Propagation.Lapsed = rotated.Propagation.Acknowledged, rotated.Propagation.Lapsed
	body.Propagation.WaitedMs = rotated.Propagation.WaitedMillis
	return RotateTokens200JSONResponse(body), nil
}

// RevokeToken revokes one token.
func (s server) RevokeToken(ctx context.Context, request RevokeTokenRequestObject) (RevokeTokenResponseObject, error) {
	who, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	reason := given(request.Params.Reason)
	revoked, err := s.Accounts.RevokeToken(ctx, who.identity, introspection.TokenErrand{
		AccountID: request.ID, TokenID: request.TokenID, Reason: reason,
	})
	if err != nil {
		return nil, err
	}
	if !revoked.Already {
		s.audit(ctx, who, event{Event: tokenRevoked, AccountID: revoked.AccountID, TokenID: revoked.ID, Reason: reason})
	}
	return RevokeToken200JSONResponse{ID: revoked.ID, Status: RevokedStatusRevoked, Already: &revoked.Already}, nil
}

func tokenDraft(account string, body *NewToken) introspection.TokenDraft {
	draft := introspection.TokenDraft{AccountID: account}
	if body != nil {
		draft.EnvTag, draft.Reason = given(body.EnvTag), given(body.Reason)
	}
	return draft
}

func tokenBody(t introspection.Token) Token {
	body := Token{
		TokenID: t.ID, SaID: t.AccountID, ServiceAccountID: t.AccountID, ServiceAccountName: t.AccountName, EnvTag: t.EnvTag,
		Prefix: apikey.MaskedToken(t.EnvTag, t.AccountID), Scopes: scopesBody(t.Scopes), Status: TokenStatusActive,
		CreatedAt: t.CreatedAt, LastUsedAt: t.LastUsedAt, ValidUntil: t.ValidUntil, RevokedAt: t.RevokedAt, Reason: unlessEmpty(t.Reason),
	}
	if t.RevokedAt != nil {
		body.Status = TokenStatusRevoked
	}
	return body
}

// mintedBody is where the text of a token leaves.
func mintedBody(minted introspection.IssuedToken) MintedToken {
	t := tokenBody(minted.Token)
	return MintedToken{
		Token: minted.Text, TokenID: t.TokenID, SaID: t.SaID, ServiceAccountID: t.ServiceAccountID, ServiceAccountName: t.ServiceAccountName,
		EnvTag: t.EnvTag, Prefix: t.Prefix, Scopes: t.Scopes, Status: MintedTokenStatus(t.Status), CreatedAt: t.CreatedAt, ValidUntil: t.ValidUntil,
	}
}
