package authority

import (
	"context"
	"net/http"
	"net/url"

	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// Standing tells how a context stands with its service accounts. Errors: fault.NotFound, fault.AuthorityUnavailable, Internal.
func (c *Client) Standing(ctx context.Context, contextID string) (out introspection.Standing, err error) {
	query := url.Values{introspection.StandingContextParam: {contextID}}
	err = c.call(ctx, http.MethodGet, introspection.StandingPath+"?"+query.Encode(), nil, &out)
	return out, err
}

// FirstAccount makes the first service account of a context, for which nobody needs a credential. Errors: fault.Conflict with
// the code introspection.CodeBootstrapClosed, fault.Invalid, fault.NotFound, fault.AuthorityUnavailable, Internal.
func (c *Client) FirstAccount(ctx context.Context, first introspection.FirstAccount) (out introspection.IssuedAccount, err error) {
	err = c.call(ctx, http.MethodPost, introspection.FirstAccountPath, first, &out)
	return out, err
}

// The methods below are errands, as those about keys are.

// ListAccounts lists the service accounts of the context of who, by id.
func (c *Client) ListAccounts(ctx context.Context, who introspection.Identity, errand introspection.ListErrand) ([]introspection.Account, error) {
	return run[[]introspection.Account](ctx, c, who, introspection.ListAccountsPath, errand)
}

// GetAccount shows a service account.
func (c *Client) GetAccount(ctx context.Context, who introspection.Identity, errand introspection.AccountErrand) (introspection.Account, error) {
	return run[introspection.Account](ctx, c, who, introspection.GetAccountPath, errand)
}

// CreateAccount makes a service account.
func (c *Client) CreateAccount(ctx context.Context, who introspection.Identity, draft introspection.AccountDraft) (introspection.IssuedAccount, error) {
	return run[introspection.IssuedAccount](ctx, c, who, introspection.CreateAccountPath, draft)
}

// EditAccount changes a service account.
func (c *Client) EditAccount(ctx context.Context, who introspection.Identity, edit introspection.AccountEdit) (introspection.EditedAccount, error) {
	return run[introspection.EditedAccount](ctx, c, who, introspection.EditAccountPath, edit)
}

// RevokeAccount revokes a service account with all its tokens, for good.
func (c *Client) RevokeAccount(ctx context.Context, who introspection.Identity, errand introspection.AccountErrand) (introspection.RevokedAccount, error) {
	return run[introspection.RevokedAccount](ctx, c, who, introspection.RevokeAccountPath, errand)
}

// ListTokens lists tokens by id, those that have been revoked among them.
func (c *Client) ListTokens(ctx context.Context, who introspection.Identity, errand introspection.TokenListErrand) ([]introspection.Token, error) {
	return run[[]introspection.Token](ctx, c, who, introspection.ListTokensPath, errand)
}

// MintToken makes a token of a service account.
func (c *Client) MintToken(ctx context.Context, who introspection.Identity, draft introspection.TokenDraft) (introspection.IssuedToken, error) {
	return run[introspection.IssuedToken](ctx, c, who, introspection.MintTokenPath, draft)
}

// RotateTokens makes a token of a service account and revokes all that it had.
func (c *Client) RotateTokens(ctx context.Context, who introspection.Identity, draft introspection.TokenDraft) (introspection.RotatedTokens, error) {
	return run[introspection.RotatedTokens](ctx, c, who, introspection.RotateTokensPath, draft)
}

// RevokeToken revokes a token.
func (c *Client) RevokeToken(ctx context.Context, who introspection.Identity, errand introspection.TokenErrand) (introspection.RevokedToken, error) {
	return run[introspection.RevokedToken](ctx, c, who, introspection.RevokeTokenPath, errand)
}
