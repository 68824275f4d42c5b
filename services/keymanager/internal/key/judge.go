package key

import (
	"context"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
)

// Snapshot is what a store holds about some keys at one moment.
type Snapshot struct {
	// AsOf is the newest revision.
	AsOf int64
	// At is the time on the authority's clock.
	At time.Time
	// Found has the keys that exist, by the seal they were looked for by.
	Found map[secret.Seal]*Found
}

// Found is a key with all that its worth depends on.
type Found struct {
	ID, Name string
	Kind     Kind
	// ExpiresAt is zero for a key that has no end.
	ExpiresAt time.Time
	// The rest is empty for a management key.
	ContextID, Incarnation string
	// Blocked says that the context's calls to language models are stopped.
	Blocked   bool
	Principal caller.Principal
	// Grants attenuates the principal's grants; nil inherits them.
	Grants grant.Map
}

// live reports whether f has not ended at the time at.
func (f *Found) live(at time.Time) bool { return f.ExpiresAt.IsZero() || at.Before(f.ExpiresAt) }

// Lookup finds keys by their seals.
type Lookup interface {
	// FindKeys reads all of its answer in one snapshot.
	FindKeys(ctx context.Context, seals []secret.Seal) (Snapshot, error)
}

// Judge says what keys are worth.
type Judge struct {
	store Lookup
	ring  *secret.Keyring
}

// NewJudge returns a judge of the keys in store, sealed with ring.
func NewJudge(store Lookup, ring *secret.Keyring) *Judge { return &Judge{store, ring} }

// Operator returns the id of the management key that text is. Errors: Forbidden when it is a live key of a context,
// Unauthenticated for anything else.
//
// The database compares HMACs in an index: how long that takes says nothing about the key, which nobody can steer towards
// an HMAC without the pepper.
func (j *Judge) Operator(ctx context.Context, text string) (keyID string, err error) {
	parsed, err := apikey.Parse(text)
	if err != nil {
		return "", fault.BadCredential().Because(err)
	}
	snapshot, err := j.store.FindKeys(ctx, j.ring.Seals(parsed.Digest()))
	if err != nil {
		return "", err
	}
	for _, found := range snapshot.Found {
		switch {
		case !found.live(snapshot.At):
		case found.Kind == Management:
			return found.ID, nil
		default:
			return "", fault.New(fault.Forbidden, "this needs a management key")
		}
	}
	return "", fault.BadCredential()
}

// Introspect answers for keys of contexts. Management keys are worth nothing on the data plane. Errors: Invalid when too
// many are asked about.
func (j *Judge) Introspect(ctx context.Context, request introspection.Request) (introspection.Response, error) {
	digests := request.Digests
	if len(digests) > introspection.MaxDigests {
		return introspection.Response{}, fault.InvalidField("digests", "at most %d", introspection.MaxDigests)
	}
	seals := j.ring.Seals(digests...)
	snapshot, err := j.store.FindKeys(ctx, seals)
	if err != nil {
		return introspection.Response{}, err
	}
	verdicts := make([]introspection.Verdict, len(digests))
	for i, seal := range seals {
		if found, ok := snapshot.Found[seal]; ok && found.Kind == Context && found.live(snapshot.At) {
			verdicts[i%len(digests)] = found.verdict(snapshot.At)
		}
	}
	return introspection.Response{AsOf: snapshot.AsOf, Verdicts: verdicts}, nil
}

// verdict is on a live key.
func (f *Found) verdict(at time.Time) introspection.Verdict {
	v := introspection.Verdict{
		Active:      true,
		Context:     f.ContextID,
		Incarnation: f.Incarnation,
		Blocked:     f.Blocked,
		KeyID:       f.ID,
		KeyName:     f.Name,
		Principal:   &f.Principal,
		KeyGrants:   f.Grants,
	}
	if !f.ExpiresAt.IsZero() {
		// Never 0, which would mean that the key has no end.
		v.ExpiresInMicros = max(1, f.ExpiresAt.Sub(at).Microseconds())
	}
	return v
}
