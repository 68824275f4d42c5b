// Package errand does what callers of the data plane ask for: with their own keys; where they manage grants, with principals; and,
// with the scope admin, with service accounts.
//
// It promises to believe nothing that the data plane says about authority. The secret that the caller showed is looked up again
// in the transaction that does what is asked, and while that changes something no other change of authority comes between:
// whoever was refused by a change that has been answered changes nothing afterwards.
package errand

import (
	"context"
	"strings"
	"time"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// Store opens transactions.
type Store interface {
	// Look runs fn on one snapshot.
	Look(ctx context.Context, fn func(Ledger) error) error
	// Alter runs fn in one transaction, alone among those that change authority.
	Alter(ctx context.Context, fn func(Ledger) error) error
}

// Ledger is one transaction.
type Ledger interface {
	KeyLedger
	PrincipalLedger
	AccountLedger
	TokenLedger
	// Find looks keys up, and principals in their contexts.
	Find(seals []secret.Seal, targets []key.Target) (key.Snapshot, error)
}

// KeyLedger is what a transaction holds of keys, among which tokens do not count. All are of one context.
type KeyLedger interface {
	// Policy returns the configuration of a context.
	Policy(contextID string) (tenant.Config, error)
	// Keys returns at most limit keys by name, those after the name after.
	Keys(contextID, after string, limit int) ([]Used, error)
	// KeyNamed returns one key with its last use. Errors: [key.NotFound].
	KeyNamed(contextID, name string) (Used, error)
	// AddKey stores a key of the principal owner and returns the newest revision.
	AddKey(k key.Key, owner principal.Principal) (int64, error)
	// ReplaceSecret stores what a rotation made of a key and returns its revision.
	ReplaceSecret(k key.Key) (int64, error)
	// RemoveKey removes a key and returns the revision.
	RemoveKey(k key.Key) (int64, error)
}

// PrincipalLedger is what a transaction holds of principals.
type PrincipalLedger interface {
	// Principals returns at most limit principals of a context by id, those after the id after.
	Principals(contextID, after string, limit int) ([]principal.Principal, error)
	// Principal returns one principal. Errors: [principal.NotFound].
	Principal(contextID, id string) (principal.Principal, error)
	// GrantsAt returns the grants that a principal had at a moment. Errors: [principal.NotFound].
	GrantsAt(contextID, id string, at time.Time) (grant.Map, error)
	// ReplaceGrants stores the grants of after and returns the revision of that.
	ReplaceGrants(before, after principal.Principal) (int64, error)
}

// Used is a key with the minute of its last use; zero when it was never used.
type Used struct {
	key.Key
	LastUsedAt time.Time
}

// Barrier is the wait between a change and its answer.
type Barrier interface {
	// Await returns when no verifier answers from what was true before the revision. Errors: Unavailable.
	Await(ctx context.Context, revision int64) (revision.Propagation, error)
	// Settle does the same for all that has been changed so far. Errors: Unavailable.
	Settle(ctx context.Context) error
}

// Desk does errands.
type Desk struct {
	store   Store
	ring    *secret.Keyring
	barrier Barrier
	open    bool
}

// NewDesk returns a desk for callers whose keys are in store, sealed with ring. It answers a change behind barrier. open is true
// where authentication is off: there the local operator needs no token to manage service accounts.
func NewDesk(store Store, ring *secret.Keyring, barrier Barrier, open bool) *Desk {
	return &Desk{store, ring, barrier, open}
}

// standing is a caller as it is now.
type standing struct {
	*caller.Caller
	// at is the time on the authority's clock.
	at time.Time
}

// Gone is the answer to a caller whose key is not what it was when the data plane verified it.
func Gone() error {
	err := fault.BadCredential()
	err.Field = introspection.CallerField
	return err
}

// identify looks up a caller that has a key. Errors: those of [Desk.find]; [Gone] for one that has a token, which opens nothing of
// what keys do.
func (d *Desk) identify(l Ledger, who introspection.Identity) (standing, error) {
	c, err := d.find(l, who)
	if err == nil && c.Principal.ServiceAccount != nil {
		return standing{}, Gone()
	}
	return c, err
}

// find looks the caller up. Errors: [Gone]; Forbidden when the principal that it acts for is gone.
func (d *Desk) find(l Ledger, who introspection.Identity) (standing, error) {
	seals := d.ring.Seals(who.Digest)
	var targets []key.Target
	for _, seal := range seals {
		if acts(who) {
			targets = append(targets, key.Target{Seal: seal, ID: who.OnBehalfOf})
		}
	}
	snapshot, err := l.Find(seals, targets)
	if err != nil {
		return standing{}, err
	}
	for seal, found := range snapshot.Found {
		c := found.Caller(snapshot.At)
		if c == nil || c.Context != who.Context || c.Incarnation != who.Incarnation || c.KeyID != who.KeyID || c.Principal.ID != who.PrincipalID {
			continue
		}
		if !acts(who) {
			return standing{c, snapshot.At}, nil
		}
		target := snapshot.Targets[key.Target{Seal: seal, ID: who.OnBehalfOf}]
		if target == nil {
			return standing{}, fault.New(fault.Forbidden, "there is no such principal to act on behalf of")
		}
		c.OnBehalfOf = target
		c.Effective = c.Effective.Meet(target.Grants)
		return standing{c, snapshot.At}, nil
	}
	return standing{}, Gone()
}

// acts reports whether who acts for another principal.
func acts(who introspection.Identity) bool { return who.OnBehalfOf != "" }

// checkText returns an Invalid fault when a field holds what no database can.
func checkText(field, text string) error {
	if strings.ContainsRune(text, 0) {
		return fault.InvalidField(field, "is not text")
	}
	return nil
}

// limited keeps a list within its bound.
func limited(limit int) int { return min(max(limit, 1), introspection.MaxRows) }
