package key

import (
	"context"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// MintFor makes a key called name of a principal. grants attenuate it, each pattern within one of the principal's; nil inherits
// the principal's, live. ttl and first are as in [Registry.Mint]. Errors: Unprocessable, Invalid, Forbidden, NotFound, Conflict.
func (r *Registry) MintFor(
	ctx context.Context, contextID, principalID, name string, ttl *int64, grants *map[string][]string, first Edit,
) (Minted, error) {
	if err := check(contextID, name, ttl); err != nil {
		return Minted{}, err
	}
	settings, err := first.Apply(Settings{})
	if err != nil {
		return Minted{}, err
	}
	var attenuation grant.Map
	if grants != nil {
		if attenuation, err = grant.Parse(*grants); err != nil {
			return Minted{}, err
		}
	}
	text, err := apikey.Mint(apikey.NewID())
	if err != nil {
		return Minted{}, err
	}
	mint := func(at time.Time, policy tenant.Config, owner principal.Principal) (Key, error) {
		if err := owner.Mutable(); err != nil {
			return Key{}, err
		}
		if err := attenuation.Within(owner.Grants); err != nil {
			return Key{}, err
		}
		k := r.bind(text, owner, name, Expiry(at, ttl, policy, time.Time{}))
		k.Grants, k.Settings = attenuation, settings
		return k, nil
	}
	k, newest, err := r.store.MintKeyFor(ctx, contextID, principal.Bare(principalID), mint)
	if err != nil {
		return Minted{}, err
	}
	return Minted{Key: k, Secret: text, Revision: newest}, nil
}

// RotateOf is [Registry.Rotate] for a key of a principal: another's is not found.
func (r *Registry) RotateOf(ctx context.Context, contextID, principalID, name string, ttl *int64) (Minted, error) {
	return r.rotate(ctx, contextID, name, ttl, ownedBy(principalID))
}

// DeleteOf is [Registry.Delete] for a key of a principal: another's is not found.
func (r *Registry) DeleteOf(ctx context.Context, contextID, principalID, name string) error {
	return r.delete(ctx, contextID, name, ownedBy(principalID))
}

// ListOf is [Registry.List] for the keys of a principal. Errors: NotFound.
func (r *Registry) ListOf(ctx context.Context, contextID, principalID, after string, limit int) ([]Listed, error) {
	return r.ListWithin(ctx, contextID, principalID, after, limit, nil)
}

// ownedBy allows the keys of a principal that are managed as such.
func ownedBy(principalID string) func(Key) error {
	principalID = principal.Bare(principalID)
	return func(k Key) error {
		if k.PrincipalID != principalID {
			return NotFound(k.Name)
		}
		return k.Manageable()
	}
}
