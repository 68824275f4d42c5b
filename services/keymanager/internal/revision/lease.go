package revision

import (
	"context"
	"strings"
	"time"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// Grant is what a renewal came to.
type Grant struct {
	// Extended is false when the verifier lags behind the revisions, or is ahead of them.
	Extended bool
	// CatchUpTo is the newest revision of when the verifier got its lease after having had none: barriers up to there may
	// have passed without it. It is told with each extension, since the verifier may not have heard it before.
	CatchUpTo int64
}

// Standing is how far the verifiers are, at one moment on the authority's clock.
type Standing struct {
	// Age is how long the table of leases has been complete.
	Age time.Duration
	// Longest is the length of the longest leases that any replica ever granted: what the table may have lost by becoming empty.
	Longest time.Duration
	// Acknowledged holds the highest revision that each live verifier has applied, by the verifier's name.
	Acknowledged map[string]int64
	// Lapsed holds the same of the leases that were found to have ended, and are gone now.
	Lapsed []int64
}

// Numbered is a change with its number.
type Numbered struct {
	Change
	Revision int64
}

// Store keeps revisions and leases.
type Store interface {
	// Authority returns the identity of this history. Errors: [NotYet].
	Authority(ctx context.Context) (string, error)
	// AllowLeases notes that leases of length ttl will be granted, and returns the greatest length ever noted.
	AllowLeases(ctx context.Context, ttl time.Duration) (time.Duration, error)
	// RenewLease gives a verifier a lease of length ttl from now on, unless it lags: unless a revision that it has not
	// acknowledged is older than patience. One that acknowledges what was never made gets none either. Every revision up to the
	// one to catch up to was made before the lease, and every barrier of a later one sees the lease.
	RenewLease(ctx context.Context, verifier string, acknowledged int64, ttl, patience time.Duration) (Grant, error)
	// ExtendLease does the same for a verifier that has a lease under the given authority, and nothing for any other, when it
	// returns false. Renewals are many, and all but the first of a verifier need no more than this.
	ExtendLease(ctx context.Context, authority, verifier string, acknowledged int64, ttl, patience time.Duration) (Grant, bool, error)
	// ReleaseLease ends a lease whose verifier has stopped.
	ReleaseLease(ctx context.Context, verifier string) error
	// Standing removes the leases that have ended and returns how things stand. A renewal that races with it comes first, or
	// finds its lease gone.
	Standing(ctx context.Context) (Standing, error)
	// Revisions returns at most limit revisions, in order, those after after. It returns false when some of these are gone.
	Revisions(ctx context.Context, after int64, limit int) ([]Numbered, bool, error)
	// Newest returns the newest revision, 0 before the first.
	Newest(ctx context.Context) (int64, error)
	// Imported reports whether keys have ever been imported.
	Imported(ctx context.Context) (bool, error)
	// Prune removes revisions older than age, but never the newest, and uses of keys older than uses, but never the last of a
	// key that is there.
	Prune(ctx context.Context, age, uses time.Duration) error
	// Listen calls heard after revisions of any replica have committed, with the newest of them, or with 0 when it may have
	// missed some, until ctx or the connection to the database ends.
	Listen(ctx context.Context, heard func(newest int64)) error
}

// NotYet is the answer to verifiers before there is anything to verify. They try again.
func NotYet() error {
	return fault.New(fault.Conflict, "this deployment has not been bootstrapped yet")
}

// Event returns what verifiers are told of n.
func (n Numbered) Event() introspection.Event {
	e := introspection.Event{Revision: n.Revision, Context: n.ContextID}
	switch n.Kind {
	case KeyRotated, KeyDeleted:
		e.Kind, e.ID = introspection.SubjectKey, n.Subject
	case PrincipalChanged, PrincipalGone:
		e.Kind, e.ID = introspection.SubjectPrincipal, n.Subject
	case PolicyPatched, ContextGone:
		e.Kind = introspection.SubjectContext
	case KeysImported:
		e.Kind = introspection.SubjectImports
	case Bootstrapped, PepperRetired, Restored:
		e.Kind = introspection.SubjectDeployment
	}
	return e
}

// Leases grants leases.
type Leases struct {
	store   Store
	ttl     time.Duration
	barrier *Barrier
}

// NewLeases returns a granter of leases of length ttl. Barriers that wait look again at each renewal.
func NewLeases(store Store, ttl time.Duration, barrier *Barrier) *Leases {
	return &Leases{store, ttl, barrier}
}

// Renew answers a verifier. One that speaks of another authority, or of revisions that were never made, gets no lease: it
// learns the authority's name, and begins again.
func (l *Leases) Renew(ctx context.Context, renewal introspection.Renewal) (introspection.Lease, error) {
	if renewal.Verifier == "" || len(renewal.Verifier) > 64 || strings.ContainsRune(renewal.Verifier, 0) {
		return introspection.Lease{}, fault.InvalidField("verifier", "must have 1 to 64 bytes, none of them zero")
	}
	if strings.ContainsRune(renewal.Authority, 0) {
		return introspection.Lease{}, fault.InvalidField("authority", "must have no zero byte")
	}
	if renewal.Release {
		defer l.barrier.look()
		return introspection.Lease{}, l.store.ReleaseLease(ctx, renewal.Verifier)
	}
	out := introspection.Lease{Authority: renewal.Authority}
	granted, held, err := l.store.ExtendLease(ctx, renewal.Authority, renewal.Verifier, renewal.Acknowledged, l.ttl, l.ttl/laggard)
	if err == nil && !held {
		out.Authority, granted, err = l.join(ctx, renewal)
	}
	if err != nil {
		return introspection.Lease{}, err
	}
	l.barrier.heard(renewal.Verifier, renewal.Acknowledged)
	if granted.Extended {
		out.TTLMicros = l.ttl.Microseconds()
		out.CatchUpTo = granted.CatchUpTo
	}
	return out, nil
}

// join answers a verifier that has no lease, or speaks of another authority.
func (l *Leases) join(ctx context.Context, renewal introspection.Renewal) (authority string, granted Grant, err error) {
	authority, err = l.store.Authority(ctx)
	if err != nil || renewal.Authority != authority || renewal.Acknowledged < 0 {
		return authority, Grant{}, err
	}
	granted, err = l.store.RenewLease(ctx, renewal.Verifier, renewal.Acknowledged, l.ttl, l.ttl/laggard)
	return authority, granted, err
}

// laggard is the part of a lease after which an unacknowledged revision stops renewals, so that no barrier is held for
// longer than a lease and this part.
const laggard = 4
