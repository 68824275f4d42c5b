package key

import (
	"context"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
)

const (
	// MaxDigests bounds how many credentials one question may be about.
	MaxDigests = 256
	// maxReason is the longest reason in characters.
	maxReason = 256
)

// LeakStore is what is asked about credentials that were found somewhere.
type LeakStore interface {
	// FindKeys is that of [Lookup].
	FindKeys(ctx context.Context, seals []secret.Seal) (Snapshot, error)
	// LastUses returns the minutes of the last uses of keys by their ids; those that were never used are not in it.
	LastUses(ctx context.Context, ids []string) (map[string]time.Time, error)
	// RevokeSealed removes the key or the token that one of the seals is of, noting the reason, and returns it with the revision. A management
	// key stays, with the revision 0. It returns nil where there is none.
	RevokeSealed(ctx context.Context, seals []secret.Seal, reason string) (*Key, int64, error)
}

// Leaks is about credentials that turned up where they do not belong. They are named by their digests: who asks need not send them
// on, and one that has been rotated since is not mistaken for what it is now.
type Leaks struct {
	store   LeakStore
	ring    *secret.Keyring
	barrier Barrier
}

// NewLeaks returns what is known of the credentials in store, sealed with ring; changes are answered behind barrier.
func NewLeaks(store LeakStore, ring *secret.Keyring, barrier Barrier) *Leaks {
	return &Leaks{store, ring, barrier}
}

// Status is what a credential is worth. The rest is empty for one that is unknown: made up, rotated, deleted, or another deployment's.
type Status struct {
	State State
	// Found is nil for an unknown one.
	Found      *Found
	LastUsedAt time.Time
}

// State says in a word what a credential is worth.
type State string

// The states.
const (
	// Live ones open something.
	Live State = "live"
	// Expired ones did.
	Expired State = "expired"
	// Unknown ones are none of ours, or none any more.
	Unknown State = "unknown"
)

// stateOf says what a key is worth at the time at.
func stateOf(found *Found, at time.Time) State {
	switch {
	case found == nil:
		return Unknown
	case !found.live(at):
		return Expired
	default:
		return Live
	}
}

// Lookup returns what the credentials of the digests are, in their order. Errors: Invalid, Unavailable.
func (l *Leaks) Lookup(ctx context.Context, digests []apikey.Digest) ([]Status, error) {
	if err := checkDigests(digests); err != nil {
		return nil, err
	}
	seals := l.ring.Seals(digests...)
	snapshot, err := l.store.FindKeys(ctx, seals)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, found := range snapshot.Found {
		ids = append(ids, found.ID)
	}
	uses, err := l.store.LastUses(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]Status, len(digests))
	for i := range seals {
		if found := snapshot.Found[seals[i]]; found != nil {
			out[i%len(digests)] = Status{Found: found, LastUsedAt: uses[found.ID]}
		}
	}
	for i := range out {
		out[i].State = stateOf(out[i].Found, snapshot.At)
	}
	return out, nil
}

// Revocation is what became of a credential that was to be revoked.
type Revocation struct {
	// Key is nil where there is none, which may be because of a revocation before.
	Key *Key
	// Revision is 0 where nothing was revoked: there is no such credential, or it is a management key.
	Revision int64
}

// Revoke removes the keys and the tokens of the digests, each in a transaction of its own, and answers in their order when no
// verifier accepts one of them any more. Management keys stay: whoever asks uses one. Errors: Invalid, Unavailable; what was revoked
// before an error stays so.
func (l *Leaks) Revoke(ctx context.Context, digests []apikey.Digest, reason string) ([]Revocation, error) {
	if err := checkDigests(digests); err != nil {
		return nil, err
	}
	if err := checkReason(reason); err != nil {
		return nil, err
	}
	out := make([]Revocation, len(digests))
	for i, digest := range digests {
		k, revised, err := l.store.RevokeSealed(ctx, l.ring.Seals(digest), reason)
		if err != nil {
			return nil, err
		}
		out[i] = Revocation{Key: k, Revision: revised}
	}
	// One of them may have been revoked before, by an attempt whose answer was lost: all that was changed so far is waited for.
	return out, l.barrier.Settle(ctx)
}

func checkDigests(digests []apikey.Digest) error {
	if len(digests) == 0 || len(digests) > MaxDigests {
		return fault.InvalidField("digests", "must be 1 to %d", MaxDigests)
	}
	return nil
}

func checkReason(reason string) error {
	if !apikey.Presentable(reason, maxReason) {
		return fault.InvalidField("reason", "must have at most %d printable characters, and no secret", maxReason)
	}
	return nil
}
