package store

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
)

// errNotThere ends a transaction that found out that it has to change more than it has locked.
var errNotThere = errors.New("the principal is not there as it has to be")

// BrokerKey implements key.Store. Most of who come have come before, with the grants of before: they wait for nobody.
func (s *Store) BrokerKey(
	ctx context.Context, p principal.Principal, grants grant.Map, mint key.Minting,
) (k key.Key, owner principal.Principal, revised int64, err error) {
	broker := func(l lock, find func(*gorm.DB, time.Time) (principal.Principal, error)) func(*gorm.DB, time.Time) error {
		return func(tx *gorm.DB, at time.Time) error {
			policy, err := findPolicy(tx, p.ContextID, l)
			if err != nil {
				return err
			}
			if owner, err = find(tx, at); err != nil {
				return err
			}
			if k, err = mint(at, policy, owner); err != nil {
				return err
			}
			k.CreatedAt = at
			revised, err = addKey(tx, at, k, owner)
			return err
		}
	}
	err = s.change(ctx, broker(lockShared, func(tx *gorm.DB, _ time.Time) (principal.Principal, error) {
		found, err := findOutside(tx, p.ContextID, p.ExternalID, lockShared)
		if errors.Is(err, gorm.ErrRecordNotFound) || err == nil && grants != nil && !grants.Equal(found.Grants) {
			return principal.Principal{}, errNotThere
		}
		return found, err
	}))
	if !errors.Is(err, errNotThere) {
		return k, owner, revised, err
	}
	err = s.revise(ctx, broker(lockAlone, func(tx *gorm.DB, at time.Time) (principal.Principal, error) {
		before, created, err := createOrGet(tx, at, p)
		if err != nil || created || grants == nil {
			return before, err
		}
		after := before
		after.Grants = grants
		_, err = updatePrincipal(tx, at, before, after)
		return after, err
	}))
	return k, owner, revised, err
}
