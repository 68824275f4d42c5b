// Package key is about credentials: minting, rotating, listing and deleting them, and saying what one is worth.
//
// It promises that the text of a key exists here only between its making and the answer that shows it; that rotation keeps
// everything but the secret; that a change answers only when no verifier accepts what was true before it; and that expiry is decided
// on one clock, the authority's.
package key

import (
	"context"
	"strings"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// maxName is the longest name of a key in characters.
const maxName = 128

// Kind says what a key opens.
type Kind string

// The kinds of keys.
const (
	// Management keys open the management routes and nothing else. They belong to the deployment.
	Management Kind = "management"
	// Context keys are bound to a principal of a context.
	Context Kind = "context"
	// Token keys are bound to a service account of a context, and managed with it.
	Token Kind = "token"
)

// Key is a credential without its text.
type Key struct {
	ID   string
	Kind Kind
	// ContextID and PrincipalID are empty for a management key.
	ContextID, PrincipalID string
	// Name is unique in the context. That of a token is its id.
	Name string
	// Grants attenuates the principal's grants; nil inherits them. Those of a token are its scopes.
	Grants grant.Map
	// Seal stands for the secret, under the pepper of that version.
	Seal   secret.Seal
	Pepper uint16
	Settings
	// CreatedAt is set by the store.
	CreatedAt time.Time
	// RotatedAt is zero until the first rotation, ExpiresAt for a key that has no end.
	RotatedAt, ExpiresAt time.Time
}

// Expired reports whether k has ended at the time at.
func (k Key) Expired(at time.Time) bool { return !k.ExpiresAt.IsZero() && !at.Before(k.ExpiresAt) }

// Listed is a key as lists show it.
type Listed struct {
	Key
	PrincipalKind caller.Kind
	// LastUsedAt is to the minute, and zero for a key that was never used; Uses is about how often it was verified.
	LastUsedAt time.Time
	Uses       int64
}

// Minted is a key with its secret, right after it was made.
type Minted struct {
	Key
	Secret apikey.Key
	// Revision is the newest at that moment: the rotation's own, or the last before a mint.
	Revision int64
	// Propagation says how a rotation reached the verifiers; nil after a mint, which no verifier need hear of.
	Propagation *revision.Propagation
}

// NotFound is the answer about a key that does not exist.
func NotFound(name string) error { return fault.New(fault.NotFound, "there is no key %q", name) }

// Taken is the answer to a mint whose name is in use.
func Taken(name string) error {
	return fault.New(fault.Conflict, "a key named %q exists already", name)
}

// Manageable returns a Forbidden fault for a token, which is managed with its account and by nothing here.
func (k Key) Manageable() error {
	if k.Kind != Token {
		return nil
	}
	return fault.New(fault.Forbidden, "this is a token of the service account %q: use /v1/service-accounts/%s/tokens, or `spl token`",
		k.PrincipalID, k.PrincipalID)
}

// CheckName returns an Unprocessable fault when name cannot name a key. The text of a key cannot: names are stored and shown.
// A slash may be in it, escaped in paths; a dot or two would be taken out of them by HTTP clients.
func CheckName(name string) error {
	const rule = "name: must have 1 to 128 printable characters, no space at either end, and not be a dot, two dots or a secret"
	if name != "" && strings.TrimSpace(name) == name && name != "." && name != ".." && apikey.Presentable(name, maxName) {
		return nil
	}
	err := fault.New(fault.Unprocessable, rule)
	err.Field = "name"
	return err
}

// CheckTTL returns an Invalid fault when ttl is given and out of range.
func CheckTTL(ttl *int64) error {
	if ttl != nil && (*ttl < 1 || *ttl > tenant.MaxTTL) {
		return fault.InvalidField("ttl_seconds", "must be from 1 to %d", tenant.MaxTTL)
	}
	return nil
}

// Store keeps keys.
type Store interface {
	// MintKey stores what mint makes, in one transaction and with the context's policy as it is in it, and returns the
	// newest revision. Errors: tenant.NotFound, [Taken].
	MintKey(ctx context.Context, contextID string, p principal.Principal, mint func(at time.Time, policy tenant.Config) Key) (Key, int64, error)
	// MintKeyFor stores what mint makes for a principal that there is, as [Store.MintKey] does. Errors: tenant.NotFound,
	// principal.NotFound, [Taken], and those of mint.
	MintKeyFor(ctx context.Context, contextID, principalID string, mint Minting) (Key, int64, error)
	// BrokerKey stores what mint makes for the principal that has the external id of p, which is p itself when there is none,
	// and whose grants become grants unless these are nil. It returns the principal, too, and the newest revision. Errors:
	// tenant.NotFound, and those of mint.
	BrokerKey(ctx context.Context, p principal.Principal, grants grant.Map, mint Minting) (Key, principal.Principal, int64, error)
	// RotateKey stores what rotate makes of a key, alone with it, and returns the result and its revision. Errors:
	// tenant.NotFound, [NotFound], and those of rotate.
	RotateKey(ctx context.Context, contextID, name string, rotate Rotation) (Key, int64, error)
	// DeleteKey removes a key that allowed returns no error for, and the principal made for it unless another key is bound to
	// that, and returns the revision. Errors: tenant.NotFound, [NotFound], and those of allowed.
	DeleteKey(ctx context.Context, contextID, name string, allowed func(Key) error) (int64, error)
	// EditKey gives a key the settings that edit returns, alone with it, and returns the result and its revision; the newest where
	// nothing is left to change. Errors: tenant.NotFound, [NotFound], and those of edit.
	EditKey(ctx context.Context, contextID, name string, edit func(Key) (Settings, error)) (Listed, int64, error)
	// Keys returns the keys of a context that q is for. Errors: tenant.NotFound, principal.NotFound.
	Keys(ctx context.Context, q Query) ([]Listed, error)
	// ExpiringKeys returns at most limit keys of all contexts that end within a time and have not yet, soonest first and no tokens,
	// behind a place.
	ExpiringKeys(ctx context.Context, within time.Duration, after Place, limit int) ([]Listed, error)
}

// Barrier is the wait between a change and its answer.
type Barrier interface {
	// Await returns when no verifier answers from what was true before the revision. Errors: Unavailable.
	Await(ctx context.Context, revision int64) (revision.Propagation, error)
	// Settle does the same for all that has been changed so far. Errors: Unavailable.
	Settle(ctx context.Context) error
}

// Minting makes a key for a principal as it is at that moment.
type Minting func(at time.Time, policy tenant.Config, owner principal.Principal) (Key, error)

// Rotation makes of a key what it is to become.
type Rotation func(at time.Time, policy tenant.Config, k Key) (Key, error)
