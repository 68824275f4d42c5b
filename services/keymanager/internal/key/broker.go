package key

import (
	"context"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// brokeredName begins the names of keys that were brokered. The key's id makes them unique.
const brokeredName = "token-"

// Broker makes a key that ends after ttl seconds, up to the context's cap, of the principal that draft names by its external
// id. A principal that there is keeps its name and its kind, and its grants unless draft has some, be they empty: it has those
// then. The principal is returned as it is now. Errors: Unprocessable, Invalid, NotFound, Unavailable.
func (r *Registry) Broker(
	ctx context.Context, contextID string, draft principal.Draft, ttl int64,
) (minted Minted, owner principal.Principal, err error) {
	fresh, err := principal.New(contextID, draft)
	if err != nil {
		return Minted{}, owner, err
	}
	var grants grant.Map
	if draft.Grants != nil {
		grants = fresh.Grants
	}
	text, err := apikey.Mint(apikey.NewID())
	if err != nil {
		return Minted{}, owner, err
	}
	name := brokeredName + text.ID()
	if err := check(contextID, name, &ttl); err != nil {
		return Minted{}, owner, err
	}
	mint := func(at time.Time, policy tenant.Config, owner principal.Principal) (Key, error) {
		return r.bind(text, owner, name, Expiry(at, &ttl, policy, time.Time{})), nil
	}
	minted.Secret = text
	if minted.Key, owner, minted.Revision, err = r.store.BrokerKey(ctx, fresh, grants, mint); err != nil {
		return Minted{}, owner, err
	}
	if grants != nil {
		// Whoever asserts grants that are there already may repeat what nobody has heard of.
		propagation, err := r.barrier.Await(ctx, minted.Revision)
		if err != nil {
			return Minted{}, owner, err
		}
		minted.Propagation = &propagation
	}
	return minted, owner, nil
}
