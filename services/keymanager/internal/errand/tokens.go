package errand

import (
	"context"
	"time"

	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager/internal/serviceaccount"
)

// TokenLedger is what a transaction holds of the tokens of service accounts.
type TokenLedger interface {
	// Tokens returns at most limit tokens of a context by id, live and revoked, those after the id after; only those of the account
	// unless that is empty.
	Tokens(contextID, accountID, after string, limit int) ([]serviceaccount.ListedToken, error)
	// Token returns one token of an account. Errors: [serviceaccount.TokenNotFound].
	Token(contextID, accountID, id string) (serviceaccount.ListedToken, error)
	// AddToken stores a token.
	AddToken(m serviceaccount.Minted) error
	// RotateTokens revokes the live tokens of an account, whose ids it returns, stores another one, and returns the revision: the
	// newest there is when there was none to revoke.
	RotateTokens(a serviceaccount.Account, m serviceaccount.Minted, reason string) (revoked []string, revised int64, err error)
	// RevokeToken stores when and why a token was revoked and returns the revision.
	RevokeToken(t serviceaccount.Token) (int64, error)
}

// ListTokens lists tokens by id, those of one account or all. Errors here and below: Forbidden without the scope admin; NotFound for
// an account that is not there; Unavailable.
func (d *Desk) ListTokens(ctx context.Context, who introspection.Identity, errand introspection.TokenListErrand) ([]introspection.Token, error) {
	if err := checkText("cursor", errand.After); err != nil {
		return nil, err
	}
	if err := checkText("account_id", errand.AccountID); err != nil {
		return nil, err
	}
	out := []introspection.Token{}
	err := d.store.Look(ctx, func(l Ledger) error {
		contextID, err := d.administer(l, who)
		if err != nil {
			return err
		}
		if errand.AccountID != "" {
			if _, err := l.Account(contextID, errand.AccountID); err != nil {
				return err
			}
		}
		found, err := l.Tokens(contextID, errand.AccountID, errand.After, limited(errand.Limit))
		for _, t := range found {
			out = append(out, t.Shown())
		}
		return err
	})
	return out, err
}

// MintToken makes a token of an account, with the scopes that the account has now. Errors: Invalid; Conflict for an account that
// has been revoked.
func (d *Desk) MintToken(ctx context.Context, who introspection.Identity, draft introspection.TokenDraft) (introspection.IssuedToken, error) {
	var issued introspection.IssuedToken
	err := d.mint(ctx, who, draft, func(l Ledger, a serviceaccount.Account, m serviceaccount.Minted) error {
		issued = m.Issued(a.Name)
		return l.AddToken(m)
	})
	if err != nil {
		return introspection.IssuedToken{}, err
	}
	return issued, nil
}

// RotateTokens makes a token as MintToken does and revokes all that the account had. Errors: those of MintToken.
func (d *Desk) RotateTokens(ctx context.Context, who introspection.Identity, draft introspection.TokenDraft) (out introspection.RotatedTokens, err error) {
	err = d.mint(ctx, who, draft, func(l Ledger, a serviceaccount.Account, m serviceaccount.Minted) error {
		out.IssuedToken = m.Issued(a.Name)
		out.Revoked, out.Revision, err = l.RotateTokens(a, m, draft.Reason)
		return err
	})
	if err == nil {
		out.Propagation, err = d.await(ctx, out.Revision)
	}
	if err != nil {
		return introspection.RotatedTokens{}, err
	}
	return out, nil
}

// mint makes a token and hands it to store, in one transaction.
func (d *Desk) mint(
	ctx context.Context, who introspection.Identity, draft introspection.TokenDraft,
	store func(Ledger, serviceaccount.Account, serviceaccount.Minted) error,
) error {
	if err := checkText("account_id", draft.AccountID); err != nil {
		return err
	}
	if _, err := serviceaccount.CheckEnv(draft.EnvTag); err != nil {
		return err
	}
	if err := serviceaccount.CheckReason(draft.Reason); err != nil { // of a new token, too: the data plane writes it down
		return err
	}
	return d.store.Alter(ctx, func(l Ledger) error {
		found, err := d.account(l, who, draft.AccountID)
		if err != nil {
			return err
		}
		policy, err := l.Policy(found.ContextID)
		if err != nil {
			return err
		}
		m, err := found.Mint(d.ring, draft.EnvTag, l.Now(), policy)
		if err != nil {
			return err
		}
		return store(l, found.Account, m)
	})
}

// RevokeToken revokes a token; again, it only waits until every verifier knows. Errors: Invalid, NotFound.
func (d *Desk) RevokeToken(ctx context.Context, who introspection.Identity, errand introspection.TokenErrand) (out introspection.RevokedToken, err error) {
	for field, text := range map[string]string{"account_id": errand.AccountID, "token_id": errand.TokenID} {
		if err := checkText(field, text); err != nil {
			return out, err
		}
	}
	if err := serviceaccount.CheckReason(errand.Reason); err != nil {
		return out, err
	}
	err = d.store.Alter(ctx, func(l Ledger) error {
		out = introspection.RevokedToken{}
		account, err := d.account(l, who, errand.AccountID)
		if err != nil {
			return err
		}
		found, err := l.Token(account.ContextID, account.ID, errand.TokenID)
		if err != nil {
			return err
		}
		if out.Already = found.Revoked(); !out.Already {
			found.RevokedAt, found.Reason, found.ExpiresAt = l.Now(), errand.Reason, time.Time{}
			out.Revision, err = l.RevokeToken(found.Token)
		}
		out.Token = found.Shown()
		return err
	})
	if err != nil {
		return introspection.RevokedToken{}, err
	}
	out.Changed, err = d.done(ctx, out.Already, out.Revision)
	return out, err
}
