package authority

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// errandTimeout bounds the wait for a change to reach every verifier: a lease of the longest sort and a quarter.
const errandTimeout = 90 * time.Second

// The methods below are errands: they ask as the caller who, and what the key manager refuses is refused to that caller, with
// its kind, message and field. Errors beside those: fault.Unauthenticated when the caller's key opens nothing any more,
// fault.AuthorityUnavailable.

// ListKeys lists the keys that who may manage, by name.
func (c *Client) ListKeys(ctx context.Context, who introspection.Identity, errand introspection.ListErrand) ([]introspection.OwnKey, error) {
	return run[[]introspection.OwnKey](ctx, c, who, introspection.ListKeysPath, errand)
}

// MintKey makes a key for the principal of who.
func (c *Client) MintKey(ctx context.Context, who introspection.Identity, errand introspection.MintErrand) (introspection.IssuedKey, error) {
	return run[introspection.IssuedKey](ctx, c, who, introspection.MintKeyPath, errand)
}

// RotateKey gives a key a new secret.
func (c *Client) RotateKey(ctx context.Context, who introspection.Identity, errand introspection.KeyErrand) (introspection.IssuedKey, error) {
	return run[introspection.IssuedKey](ctx, c, who, introspection.RotateKeyPath, errand)
}

// DeleteKey removes a key.
func (c *Client) DeleteKey(ctx context.Context, who introspection.Identity, errand introspection.KeyErrand) error {
	_, err := run[struct{}](ctx, c, who, introspection.DeleteKeyPath, errand)
	return err
}

// ListPrincipals lists the principals of the context of who, by id.
func (c *Client) ListPrincipals(ctx context.Context, who introspection.Identity, errand introspection.ListErrand) ([]caller.Principal, error) {
	return run[[]caller.Principal](ctx, c, who, introspection.ListPrincipalPath, errand)
}

// GetPrincipal shows a principal.
func (c *Client) GetPrincipal(ctx context.Context, who introspection.Identity, errand introspection.PrincipalErrand) (caller.Principal, error) {
	return run[caller.Principal](ctx, c, who, introspection.GetPrincipalPath, errand)
}

// Effective tells what the grants of a principal hold at a path.
func (c *Client) Effective(ctx context.Context, who introspection.Identity, errand introspection.EffectiveErrand) (introspection.Effective, error) {
	return run[introspection.Effective](ctx, c, who, introspection.EffectivePath, errand)
}

// AddGrants grants verbs over a pattern to a principal.
func (c *Client) AddGrants(ctx context.Context, who introspection.Identity, errand introspection.GrantErrand) (caller.Principal, error) {
	return run[caller.Principal](ctx, c, who, introspection.AddGrantsPath, errand)
}

// RemoveGrants takes verbs over a pattern from a principal.
func (c *Client) RemoveGrants(ctx context.Context, who introspection.Identity, errand introspection.GrantErrand) (caller.Principal, error) {
	return run[caller.Principal](ctx, c, who, introspection.RemoveGrantsPath, errand)
}

func run[Out any](ctx context.Context, c *Client, who introspection.Identity, path string, errand any) (out Out, err error) {
	token, err := c.signer.TokenFor(who, path)
	if err != nil {
		return out, err
	}
	req, err := c.request(ctx, http.MethodPost, path, token, errand)
	if err != nil {
		return out, err
	}
	answer, err := send(&c.patient, req, refusalToCaller)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		return out, fmt.Errorf("reading the key manager's answer to an errand: %w", err)
	}
	return out, nil
}

// refusalToCaller turns an answer that is not 2xx into what the caller is told.
func refusalToCaller(r *http.Request, status int, body []byte) error {
	problem := problemOf(status, body)
	err := problem.Err(status)
	switch {
	case err.Kind == fault.Unavailable:
		err.RetryAfter = time.Second
		return err
	case status >= http.StatusInternalServerError:
		return unavailable(err)
	case status == http.StatusUnauthorized && problem.Field == introspection.CallerField:
		return fault.BadCredential()
	case status == http.StatusUnauthorized:
		return refusedToken(r)
	default:
		return err
	}
}
