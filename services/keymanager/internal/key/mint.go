package key

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// Registry is the use of keys by operators.
type Registry struct {
	store   Store
	ring    *secret.Keyring
	barrier Barrier
}

// NewRegistry returns the registry of the keys in store, which seals with ring and answers a change behind barrier.
func NewRegistry(store Store, ring *secret.Keyring, barrier Barrier) *Registry {
	return &Registry{store, ring, barrier}
}

// Mint makes a key called name and a principal for it, shaped by shape, with the settings of first. ttl is in seconds; nil is none,
// up to the context's cap. Errors: Unprocessable, Invalid, NotFound, Conflict.
func (r *Registry) Mint(ctx context.Context, contextID, name string, ttl *int64, shape principal.Shape, first Edit) (Minted, error) {
	if err := check(contextID, name, ttl); err != nil {
		return Minted{}, err
	}
	settings, err := first.Apply(Settings{})
	if err != nil {
		return Minted{}, err
	}
	text, err := apikey.Mint(apikey.NewID())
	if err != nil {
		return Minted{}, err
	}
	owner, err := principal.ForKey(contextID, text.ID(), name, shape)
	if err != nil {
		return Minted{}, err
	}
	k, newest, err := r.store.MintKey(ctx, contextID, owner, func(at time.Time, policy tenant.Config) Key {
		k := r.bind(text, owner, name, Expiry(at, ttl, policy, time.Time{}))
		k.Settings = settings
		return k
	})
	if err != nil {
		return Minted{}, err
	}
	return Minted{Key: k, Secret: text, Revision: newest}, nil
}

// New returns a key of the principal owner, with its secret, that may do no more than grants, unless these are nil. ttl is in
// seconds; nil is none, up to the policy's cap.
func New(ring *secret.Keyring, owner principal.Principal, name string, grants grant.Map, at time.Time, policy tenant.Config, ttl *int64) (Key, apikey.Key, error) {
	text, err := apikey.Mint(apikey.NewID())
	if err != nil {
		return Key{}, apikey.Key{}, err
	}
	if name == "" {
		name = text.ID()
	}
	k := Key{
		ID: text.ID(), Kind: Context, ContextID: owner.ContextID, PrincipalID: owner.ID, Name: name, Grants: grants, CreatedAt: at,
		ExpiresAt: Expiry(at, ttl, policy, time.Time{}),
	}
	k.Seal, k.Pepper = ring.Seal(text.Digest())
	return k, text, nil
}

// bind returns the key of which text is the secret.
func (r *Registry) bind(text apikey.Key, owner principal.Principal, name string, ends time.Time) Key {
	k := Key{ID: text.ID(), Kind: Context, ContextID: owner.ContextID, PrincipalID: owner.ID, Name: name, ExpiresAt: ends}
	k.Seal, k.Pepper = r.ring.Seal(text.Digest())
	return k
}

// Rotate gives a key a new secret and keeps everything else. ttl is in seconds from now; nil keeps the expiry, up to the
// context's cap. Errors: Unprocessable, Invalid, NotFound; Conflict for a key that has expired and no ttl; Unavailable.
func (r *Registry) Rotate(ctx context.Context, contextID, name string, ttl *int64) (Minted, error) {
	return r.rotate(ctx, contextID, name, ttl, anyKey)
}

// rotate rotates a key that allowed returns no error for.
func (r *Registry) rotate(ctx context.Context, contextID, name string, ttl *int64, allowed func(Key) error) (Minted, error) {
	if err := check(contextID, name, ttl); err != nil {
		return Minted{}, err
	}
	var text apikey.Key
	k, revised, err := r.store.RotateKey(ctx, contextID, name, func(at time.Time, policy tenant.Config, k Key) (rotated Key, err error) {
		if err := allowed(k); err != nil {
			return Key{}, err
		}
		rotated, text, err = k.Rotated(r.ring, at, policy, ttl)
		return rotated, err
	})
	if err != nil {
		return Minted{}, err
	}
	propagation, err := r.barrier.Await(ctx, revised)
	if err != nil {
		return Minted{}, err
	}
	return Minted{Key: k, Secret: text, Revision: revised, Propagation: &propagation}, nil
}

// Rotated returns k with a new secret. ttl is as for [Registry.Rotate]. Errors: Conflict.
func (k Key) Rotated(ring *secret.Keyring, at time.Time, policy tenant.Config, ttl *int64) (Key, apikey.Key, error) {
	if ttl == nil && k.Expired(at) {
		return Key{}, apikey.Key{}, fault.New(fault.Conflict, "the key %q has expired; pass ttl_seconds to give it a new end", k.Name)
	}
	text, err := apikey.Mint(k.ID)
	if err != nil {
		return Key{}, apikey.Key{}, fmt.Errorf("rotating a key: %w", err)
	}
	k.Seal, k.Pepper = ring.Seal(text.Digest())
	k.RotatedAt = at
	k.ExpiresAt = Expiry(at, ttl, policy, k.ExpiresAt)
	return k, text, nil
}

// Delete removes a key. Errors: Unprocessable, NotFound, Unavailable.
func (r *Registry) Delete(ctx context.Context, contextID, name string) error {
	return r.delete(ctx, contextID, name, anyKey)
}

// delete removes a key that allowed returns no error for.
func (r *Registry) delete(ctx context.Context, contextID, name string, allowed func(Key) error) error {
	if err := check(contextID, name, nil); err != nil {
		return err
	}
	revised, err := r.store.DeleteKey(ctx, contextID, name, allowed)
	if errors.Is(err, fault.NotFound) { // perhaps because of a deletion that failed to say that every verifier knows of it
		return cmp.Or(r.barrier.Settle(ctx), err)
	}
	if err != nil {
		return err
	}
	_, err = r.barrier.Await(ctx, revised)
	return err
}

// List returns at most limit keys of a context by name, those after the name after. Errors: NotFound.
func (r *Registry) List(ctx context.Context, contextID, after string, limit int) ([]Listed, error) {
	return r.ListWithin(ctx, contextID, "", after, limit, nil)
}

// anyKey allows every key that is managed as one.
func anyKey(k Key) error { return k.Manageable() }

func check(contextID, name string, ttl *int64) error {
	if err := tenant.CheckID(contextID); err != nil {
		return err
	}
	if err := CheckName(name); err != nil {
		return err
	}
	return CheckTTL(ttl)
}

// Expiry returns the end of a key: ttl seconds from at, or kept where no ttl is given, but never later than the policy's
// cap allows. The zero time is no end.
func Expiry(at time.Time, ttl *int64, policy tenant.Config, kept time.Time) time.Time {
	end := kept
	if ttl != nil {
		end = at.Add(seconds(*ttl))
	}
	if policy.MaxTokenTTL == 0 {
		return end
	}
	if latest := at.Add(seconds(policy.MaxTokenTTL)); end.IsZero() || end.After(latest) {
		return latest
	}
	return end
}

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }
