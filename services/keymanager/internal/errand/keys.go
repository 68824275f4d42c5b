package errand

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// ListKeys lists the keys that the caller may manage: itself or, with grant:manage over /, all of the context. Errors:
// Forbidden.
func (d *Desk) ListKeys(ctx context.Context, who introspection.Identity, errand introspection.ListErrand) ([]introspection.OwnKey, error) {
	if err := checkText("cursor", errand.After); err != nil {
		return nil, err
	}
	out := []introspection.OwnKey{}
	err := d.store.Look(ctx, func(l Ledger) error {
		c, _, err := d.serve(l, who)
		if err != nil {
			return err
		}
		var keys []Used
		if manages(c) {
			keys, err = l.Keys(c.Context, errand.After, limited(errand.Limit))
		} else if c.KeyName > errand.After {
			var own Used
			own, err = l.KeyNamed(c.Context, c.KeyName)
			keys = []Used{own}
		}
		for _, k := range keys {
			out = append(out, shown(k))
		}
		return err
	})
	return out, err
}

// MintKey makes a key of the caller's own principal, which may do no more than the caller. Errors: Invalid, Unprocessable,
// Forbidden, Conflict.
func (d *Desk) MintKey(ctx context.Context, who introspection.Identity, errand introspection.MintErrand) (introspection.IssuedKey, error) {
	asked, name, err := d.readMint(errand)
	if err != nil {
		return introspection.IssuedKey{}, err
	}
	var issued introspection.IssuedKey
	err = d.store.Alter(ctx, func(l Ledger) error {
		c, policy, err := d.serveMutation(l, who)
		if err != nil {
			return err
		}
		grants := asked
		if grants == nil {
			// As much as the calling key: what its principal has, or as narrow as it is itself.
			grants = c.KeyGrants
		} else if err := grants.Within(c.Effective); err != nil {
			return err
		}
		calling, err := l.KeyNamed(c.Context, c.KeyName)
		if err != nil {
			return err
		}
		if name != "" {
			if _, err := l.KeyNamed(c.Context, name); err == nil {
				return key.Taken(name)
			} else if fault.KindOf(err) != fault.NotFound {
				return err
			}
		}
		owner := principal.Principal{
			ContextID: c.Context, ID: c.Principal.ID, DisplayName: c.Principal.DisplayName, Kind: c.Principal.Kind, Grants: c.Principal.Grants,
		}
		made, text, err := key.New(d.ring, owner, name, grants, c.at, policy, errand.TTLSeconds)
		if err != nil {
			return err
		}
		// Or else whoever holds a key that has limits could make one that has none.
		made.Limits = calling.Limits
		newest, err := l.AddKey(made, owner)
		issued = issue(made, text, newest)
		return err
	})
	if err != nil {
		return introspection.IssuedKey{}, err
	}
	return issued, nil
}

// readMint checks what can be checked before anything is looked up. Nil grants were not asked for.
func (d *Desk) readMint(errand introspection.MintErrand) (grants grant.Map, name string, err error) {
	if errand.Name != nil {
		name = *errand.Name
		if err := key.CheckName(name); err != nil {
			return nil, "", err
		}
	}
	if err := checkTTL(errand.TTLSeconds); err != nil {
		return nil, "", err
	}
	if errand.Grants == nil {
		return nil, name, nil
	}
	grants, err = grant.Parse(errand.Grants)
	return grants, name, err
}

// checkTTL names the parameter as the data plane's callers know it.
func checkTTL(ttl *int64) error {
	if key.CheckTTL(ttl) != nil {
		return fault.InvalidField("ttlSeconds", "must be from 1 to %d", tenant.MaxTTL)
	}
	return nil
}

// RotateKey gives a key a new secret. Errors: Invalid, Unprocessable, Forbidden, NotFound; Conflict for a key that has expired
// and no time to live; Unavailable.
func (d *Desk) RotateKey(ctx context.Context, who introspection.Identity, errand introspection.KeyErrand) (introspection.IssuedKey, error) {
	if err := checkTTL(errand.TTLSeconds); err != nil {
		return introspection.IssuedKey{}, err
	}
	var issued introspection.IssuedKey
	err := d.alterKey(ctx, who, errand.Name, func(l Ledger, at time.Time, policy tenant.Config, k key.Key) (int64, error) {
		rotated, text, err := k.Rotated(d.ring, at, policy, errand.TTLSeconds)
		if err != nil {
			return 0, err
		}
		revised, err := l.ReplaceSecret(rotated)
		issued = issue(rotated, text, revised)
		return revised, err
	}, &issued.Propagation)
	if err != nil {
		return introspection.IssuedKey{}, err
	}
	return issued, nil
}

// DeleteKey removes a key, be it the one that asks. Errors: Unprocessable, Forbidden, NotFound, Unavailable.
func (d *Desk) DeleteKey(ctx context.Context, who introspection.Identity, errand introspection.KeyErrand) error {
	var propagation *introspection.Propagation
	return d.alterKey(ctx, who, errand.Name, func(l Ledger, _ time.Time, _ tenant.Config, k key.Key) (int64, error) {
		return l.RemoveKey(k)
	}, &propagation)
}

// alterKey changes a key that the caller may manage and waits until every verifier has heard of that.
func (d *Desk) alterKey(
	ctx context.Context, who introspection.Identity, name string,
	change func(l Ledger, at time.Time, policy tenant.Config, k key.Key) (int64, error), propagation **introspection.Propagation,
) error {
	if err := key.CheckName(name); err != nil {
		return err
	}
	var revised int64
	err := d.store.Alter(ctx, func(l Ledger) error {
		c, policy, err := d.serveMutation(l, who)
		if err != nil {
			return err
		}
		k, err := l.KeyNamed(c.Context, name)
		if err != nil {
			return err
		}
		if !manages(c) && k.ID != c.KeyID {
			return key.NotFound(name)
		}
		revised, err = change(l, c.at, policy, k.Key)
		return err
	})
	if errors.Is(err, fault.NotFound) { // perhaps because of a deletion that failed to say that every verifier knows of it
		return cmp.Or(d.barrier.Settle(ctx), err)
	}
	if err != nil {
		return err
	}
	reached, err := d.barrier.Await(ctx, revised)
	*propagation = &introspection.Propagation{
		Acknowledged: reached.Acknowledged, Lapsed: reached.Lapsed, WaitedMillis: reached.Waited.Milliseconds(),
	}
	return err
}

// serve looks the caller up where keys serve themselves. Errors: Forbidden where they do not.
func (d *Desk) serve(l Ledger, who introspection.Identity) (standing, tenant.Config, error) {
	c, err := d.identify(l, who)
	if err != nil {
		return standing{}, tenant.Config{}, err
	}
	policy, err := l.Policy(c.Context)
	if err == nil && !policy.AllowSelfServiceKeys {
		err = fault.New(fault.Forbidden, "keys of this context are managed by its operator only")
	}
	return c, policy, err
}

// serveMutation does the same for a change, which nobody makes on behalf of another.
func (d *Desk) serveMutation(l Ledger, who introspection.Identity) (standing, tenant.Config, error) {
	c, policy, err := d.serve(l, who)
	if err == nil && c.OnBehalfOf != nil {
		err = fault.New(fault.Forbidden, "keys cannot be changed on behalf of another principal")
	}
	return c, policy, err
}

// manages reports whether the caller manages every key of its context.
func manages(c standing) bool { return grant.Authorize(c, grant.GrantManage, scope.Root) == nil }

func shown(k Used) introspection.OwnKey {
	return introspection.OwnKey{
		ID: k.ID, Name: k.Name, PrincipalID: k.PrincipalID, Grants: k.Grants, CreatedAt: k.CreatedAt,
		LastUsedAt: unlessZero(k.LastUsedAt), ValidUntil: unlessZero(k.ExpiresAt),
	}
}

func unlessZero(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	at = at.UTC()
	return &at
}

// issue is where the text of a key leaves.
func issue(k key.Key, text apikey.Key, revised int64) introspection.IssuedKey {
	return introspection.IssuedKey{OwnKey: shown(Used{Key: k}), Key: text.Reveal(), Revision: revised}
}
