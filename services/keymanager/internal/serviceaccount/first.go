package serviceaccount

import (
	"context"
	"errors"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// Count is how many accounts a context has.
type Count struct {
	// Total counts the revoked ones, too.
	Total, Active int
}

// Founding makes an account for a context that has as many as count, or returns an error.
type Founding func(at time.Time, policy tenant.Config, count Count) (Made, error)

// Store keeps accounts.
type Store interface {
	// CountAccounts counts the accounts of a context and returns its incarnation. Errors: tenant.NotFound.
	CountAccounts(ctx context.Context, contextID string) (incarnation string, count Count, err error)
	// ActingAccount reports whether an active account of a context may act as actor.
	ActingAccount(ctx context.Context, contextID, actor string) (bool, error)
	// FoundAccount stores what found makes, alone among those that make accounts of the context, and returns the newest revision.
	// That is its own, and touches everything, where the token's secret was chosen by somebody who may have tried it before. Errors: tenant.NotFound, and those of found.
	FoundAccount(ctx context.Context, contextID string, chosen bool, found Founding) (int64, error)
}

// Barrier is the wait between a change and its answer.
type Barrier interface {
	// Await returns when no verifier answers from what was true before the revision. Errors: Unavailable.
	Await(ctx context.Context, revision int64) (revision.Propagation, error)
}

// Founder makes the accounts that nobody needs a credential for.
type Founder struct {
	store   Store
	ring    *secret.Keyring
	barrier Barrier
	// open says that whoever asks may be believed, so that only accounts that are active keep them out.
	open bool
}

// NewFounder returns a founder of the accounts in store, which seals with ring and answers a change behind barrier. open is true
// where authentication is off.
func NewFounder(store Store, ring *secret.Keyring, barrier Barrier, open bool) *Founder {
	return &Founder{store, ring, barrier, open}
}

// vacant reports whether a first account may be made now.
func (f *Founder) vacant(count Count) bool { return count.Total == 0 || f.open && count.Active == 0 }

// Standing tells how a context stands. Errors: NotFound.
func (f *Founder) Standing(ctx context.Context, contextID string) (introspection.Standing, error) {
	if err := tenant.CheckID(contextID); err != nil {
		return introspection.Standing{}, err
	}
	incarnation, count, err := f.store.CountAccounts(ctx, contextID)
	if err != nil {
		return introspection.Standing{}, err
	}
	return introspection.Standing{
		Context: contextID, Incarnation: incarnation, Accounts: count.Total, Active: count.Active, Open: f.vacant(count),
	}, nil
}

// MayAct reports whether a context has an active account that may act as actor.
func (f *Founder) MayAct(ctx context.Context, contextID, actor string) (bool, error) {
	return f.store.ActingAccount(ctx, contextID, actor)
}

// First makes the first account of a context. Errors: [Closed], Invalid, Unprocessable, NotFound.
func (f *Founder) First(ctx context.Context, first introspection.FirstAccount) (introspection.IssuedAccount, error) {
	if err := tenant.CheckID(first.Context); err != nil {
		return introspection.IssuedAccount{}, err
	}
	// Before anything is looked up, so that the answer does not depend on what there is.
	if _, err := Make(f.ring, first.Context, first.Draft, time.Time{}, tenant.Config{}); err != nil {
		return introspection.IssuedAccount{}, err
	}
	var made Made
	_, err := f.store.FoundAccount(ctx, first.Context, false, func(at time.Time, policy tenant.Config, count Count) (_ Made, err error) {
		if !f.vacant(count) {
			return Made{}, Closed()
		}
		made, err = Make(f.ring, first.Context, first.Draft, at, policy)
		return made, err
	})
	if err != nil {
		return introspection.IssuedAccount{}, err
	}
	return made.Issued(), nil
}

// errHasAccounts ends an enrolment that there is no need for.
var errHasAccounts = errors.New("the context has had a service account")

// EnrolChosen makes the account that a chosen token opens, with the scope admin and the given actors. It does nothing when the
// context has had an account. Errors: Invalid, NotFound, Unavailable.
func (f *Founder) EnrolChosen(ctx context.Context, contextID string, token apikey.Token, actors []string) error {
	if token.Account() != apikey.BootstrapAccount {
		return fault.InvalidField("token", "is not a chosen one")
	}
	actors, err := checkActors(actors)
	if err != nil {
		return err
	}
	revised, err := f.store.FoundAccount(ctx, contextID, true, func(at time.Time, policy tenant.Config, count Count) (Made, error) {
		if count.Total > 0 {
			return Made{}, errHasAccounts
		}
		account := Account{
			ContextID: contextID, ID: apikey.BootstrapAccount, Name: apikey.BootstrapAccount, Scopes: []grant.Verb{grant.Admin},
			Actors: actors, CreatedAt: at,
		}
		minted, err := account.mint(f.ring, token, at, policy)
		return Made{account, &minted}, err
	})
	if errors.Is(err, errHasAccounts) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.barrier.Await(ctx, revised)
	return err
}
