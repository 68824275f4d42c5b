package errand

import (
	"context"
	"time"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/keymanager/internal/serviceaccount"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// AccountLedger is what a transaction holds of service accounts.
type AccountLedger interface {
	// Context returns a context. Errors: [tenant.NotFound].
	Context(id string) (tenant.Context, error)
	// Now returns the time on the authority's clock; zero where nothing may be changed.
	Now() time.Time
	// Accounts returns at most limit accounts of a context by id, those after the id after.
	Accounts(contextID, after string, limit int) ([]serviceaccount.Listed, error)
	// Account returns one account. Errors: [serviceaccount.NotFound].
	Account(contextID, id string) (serviceaccount.Listed, error)
	// AddAccount stores an account.
	AddAccount(made serviceaccount.Made) error
	// ReplaceAccount stores the name, the scopes and the actors of after and returns the revision of that: the newest there is when
	// no verifier need hear of it, or when nothing has changed, which another change of the same may have taken.
	ReplaceAccount(before, after serviceaccount.Account) (int64, error)
	// RevokeAccount stores when and why an account was revoked, and revokes its live tokens, whose ids it returns with the revision.
	RevokeAccount(a serviceaccount.Account) (revoked []string, revised int64, err error)
}

// administer returns the id of the context whose service accounts the caller may manage: one with the scope admin, or the local
// operator where authentication is off. Errors: those of [Desk.find]; [Gone] for a caller without a token; Forbidden without the
// scope.
func (d *Desk) administer(l Ledger, who introspection.Identity) (contextID string, err error) {
	if d.open && who == (introspection.Identity{Context: who.Context, Incarnation: who.Incarnation}) {
		home, err := l.Context(who.Context)
		if err == nil && who.Incarnation != "" && who.Incarnation != home.Incarnation {
			err = Gone()
		}
		return home.ID, err
	}
	c, err := d.find(l, who)
	if err != nil {
		return "", err
	}
	if c.Principal.ServiceAccount == nil || c.OnBehalfOf != nil {
		return "", Gone()
	}
	if err := grant.Authorize(c, grant.Admin, scope.Root); err != nil {
		return "", &fault.Error{
			Kind: fault.Forbidden, Message: "this needs a token with the scope " + string(grant.Admin),
			Code: introspection.CodeScopeForbidden, RequiredScope: string(grant.Admin), Err: err,
		}
	}
	return c.Context, nil
}

// account returns an account of the context that the caller manages.
func (d *Desk) account(l Ledger, who introspection.Identity, id string) (serviceaccount.Listed, error) {
	contextID, err := d.administer(l, who)
	if err != nil {
		return serviceaccount.Listed{}, err
	}
	return l.Account(contextID, id)
}

// ListAccounts lists service accounts by id. Errors here and below: Forbidden without the scope admin; Unavailable.
func (d *Desk) ListAccounts(ctx context.Context, who introspection.Identity, errand introspection.ListErrand) ([]introspection.Account, error) {
	if err := checkText("cursor", errand.After); err != nil {
		return nil, err
	}
	out := []introspection.Account{}
	err := d.store.Look(ctx, func(l Ledger) error {
		contextID, err := d.administer(l, who)
		if err != nil {
			return err
		}
		found, err := l.Accounts(contextID, errand.After, limited(errand.Limit))
		for _, a := range found {
			out = append(out, a.Shown())
		}
		return err
	})
	return out, err
}

// GetAccount shows a service account. Errors: NotFound.
func (d *Desk) GetAccount(ctx context.Context, who introspection.Identity, errand introspection.AccountErrand) (out introspection.Account, err error) {
	if err := checkText("id", errand.ID); err != nil {
		return out, err
	}
	err = d.store.Look(ctx, func(l Ledger) error {
		found, err := d.account(l, who, errand.ID)
		out = found.Shown()
		return err
	})
	return out, err
}

// CreateAccount makes a service account and, where that is asked for, its first token. Errors: Invalid.
func (d *Desk) CreateAccount(ctx context.Context, who introspection.Identity, draft introspection.AccountDraft) (introspection.IssuedAccount, error) {
	var made serviceaccount.Made
	err := d.store.Alter(ctx, func(l Ledger) error {
		contextID, err := d.administer(l, who)
		if err != nil {
			return err
		}
		policy, err := l.Policy(contextID)
		if err != nil {
			return err
		}
		if made, err = serviceaccount.Make(d.ring, contextID, draft, l.Now(), policy); err != nil {
			return err
		}
		return l.AddAccount(made)
	})
	if err != nil {
		return introspection.IssuedAccount{}, err
	}
	return made.Issued(), nil
}

// EditAccount changes a service account. Errors: Invalid, NotFound; Conflict for one that has been revoked.
func (d *Desk) EditAccount(ctx context.Context, who introspection.Identity, edit introspection.AccountEdit) (out introspection.EditedAccount, err error) {
	if err := checkText("id", edit.ID); err != nil {
		return out, err
	}
	err = d.store.Alter(ctx, func(l Ledger) error {
		found, err := d.account(l, who, edit.ID)
		if err != nil {
			return err
		}
		before := found.Account
		if found.Account, err = before.Edited(edit); err != nil {
			return err
		}
		out.Account = found.Shown()
		out.Revision, err = l.ReplaceAccount(before, found.Account)
		return err
	})
	if err != nil {
		return introspection.EditedAccount{}, err
	}
	out.Propagation, err = d.await(ctx, out.Revision)
	return out, err
}

// RevokeAccount revokes a service account and all its tokens, for good; again, it only waits until every verifier knows. Errors:
// Invalid, NotFound.
func (d *Desk) RevokeAccount(ctx context.Context, who introspection.Identity, errand introspection.AccountErrand) (out introspection.RevokedAccount, err error) {
	if err := checkText("id", errand.ID); err != nil {
		return out, err
	}
	if err := serviceaccount.CheckReason(errand.Reason); err != nil {
		return out, err
	}
	err = d.store.Alter(ctx, func(l Ledger) error {
		out = introspection.RevokedAccount{Revoked: []string{}}
		found, err := d.account(l, who, errand.ID)
		if err != nil {
			return err
		}
		if out.Already = found.Revoked(); !out.Already {
			found.RevokedAt, found.Reason, found.Tokens = l.Now(), errand.Reason, 0
			out.Revoked, out.Revision, err = l.RevokeAccount(found.Account)
		}
		out.Account = found.Shown()
		return err
	})
	if err != nil {
		return introspection.RevokedAccount{}, err
	}
	out.Changed, err = d.done(ctx, out.Already, out.Revision)
	return out, err
}

// done waits until every verifier has heard of a revocation: of the one with that revision or, where there had been one already,
// whose answer may have been a 503, of all until now.
func (d *Desk) done(ctx context.Context, already bool, revised int64) (introspection.Changed, error) {
	if already {
		return introspection.Changed{}, d.barrier.Settle(ctx)
	}
	propagation, err := d.await(ctx, revised)
	return introspection.Changed{Revision: revised, Propagation: propagation}, err
}

// await waits until every verifier has heard of a revision.
func (d *Desk) await(ctx context.Context, revised int64) (introspection.Propagation, error) {
	reached, err := d.barrier.Await(ctx, revised)
	return introspection.Propagation{
		Acknowledged: reached.Acknowledged, Lapsed: reached.Lapsed, WaitedMillis: reached.Waited.Milliseconds(),
	}, err
}
