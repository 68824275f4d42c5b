package key

import (
	"context"
	"strings"
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
	// Targets has the principals that exist, of those that were looked for.
	Targets map[Target]*caller.Principal
}

// Target is a principal in the context of a key.
type Target struct {
	Seal secret.Seal
	ID   string
}

// Found is a key with all that its worth depends on.
type Found struct {
	ID, Name string
	Kind     Kind
	// ExpiresAt is zero for a key that has no end.
	ExpiresAt time.Time
	// The rest is empty for a management key. Only a token's principal is a service account.
	ContextID, Incarnation string
	// Blocked says that the context's calls to language models are stopped.
	Blocked   bool
	Principal caller.Principal
	// Grants attenuates the principal's grants; nil inherits them. Those of a token are its scopes.
	Grants grant.Map
	Settings
}

// opens reports whether f opens its context, unless it has ended. A token does as long as its account is there, no key that is
// disabled does.
func (f *Found) opens() bool {
	return !f.Disabled && (f.Kind == Context || f.Kind == Token && f.Principal.ServiceAccount != nil)
}

// live reports whether f has not ended at the time at.
func (f *Found) live(at time.Time) bool { return f.ExpiresAt.IsZero() || at.Before(f.ExpiresAt) }

// Lookup finds keys by their seals.
type Lookup interface {
	// FindKeys reads all of its answer in one snapshot.
	FindKeys(ctx context.Context, seals []secret.Seal) (Snapshot, error)
	// FindKeysAndTargets reads all of its answer in one snapshot.
	FindKeysAndTargets(ctx context.Context, seals []secret.Seal, targets []Target) (Snapshot, error)
}

// Judge says what keys are worth.
type Judge struct {
	store   Lookup
	ring    *secret.Keyring
	reseals chan Reseal
}

// NewJudge returns a judge of the keys in store, sealed with ring.
func NewJudge(store Lookup, ring *secret.Keyring) *Judge {
	return &Judge{store, ring, make(chan Reseal, resealsWaiting)}
}

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
	seals := j.ring.Seals(parsed.Digest())
	snapshot, err := j.store.FindKeys(ctx, seals)
	if err != nil {
		return "", err
	}
	for seal, found := range snapshot.Found {
		switch {
		case !found.live(snapshot.At) || found.Disabled:
		case found.Kind == Management:
			if seal != seals[0] {
				j.note(found.ID, seal, seals[0])
			}
			return found.ID, nil
		default:
			return "", fault.New(fault.Forbidden, "this needs a management key")
		}
	}
	return "", fault.BadCredential()
}

// Introspect answers for keys of contexts, and for the principals that they want to act for. Management keys are worth nothing
// on the data plane. Errors: Invalid when too many are asked about.
func (j *Judge) Introspect(ctx context.Context, request introspection.Request) (introspection.Response, error) {
	digests := request.Digests
	if len(digests) > introspection.MaxDigests {
		return introspection.Response{}, fault.InvalidField("digests", "at most %d", introspection.MaxDigests)
	}
	if err := checkTargets(request); err != nil {
		return introspection.Response{}, err
	}
	seals := j.ring.Seals(digests...)
	snapshot, err := j.find(ctx, seals, request)
	if err != nil {
		return introspection.Response{}, err
	}
	verdicts := make([]introspection.Verdict, len(digests))
	by := make([]secret.Seal, len(digests)) // which each was found by
	for i, seal := range seals {
		if found, ok := snapshot.Found[seal]; ok && found.opens() && found.live(snapshot.At) {
			verdicts[i%len(digests)] = found.verdict(snapshot.At)
			by[i%len(digests)] = seal
			if i >= len(digests) {
				j.note(found.ID, seal, seals[i%len(digests)])
			}
		}
	}
	response := introspection.Response{AsOf: snapshot.AsOf, Verdicts: verdicts}
	for _, target := range request.Targets {
		var principal *caller.Principal
		if verdicts[target.Key].Active {
			principal = snapshot.Targets[Target{by[target.Key], target.Principal}]
		}
		response.Targets = append(response.Targets, principal)
	}
	return response, nil
}

// checkTargets returns an Invalid fault when request asks about principals in a way that cannot be answered.
func checkTargets(request introspection.Request) error {
	if len(request.Targets) > introspection.MaxTargets {
		return fault.InvalidField("targets", "at most %d", introspection.MaxTargets)
	}
	for _, target := range request.Targets {
		if target.Key < 0 || target.Key >= len(request.Digests) {
			return fault.InvalidField("targets", "key must be the place of a digest")
		}
		if strings.ContainsRune(target.Principal, 0) {
			return fault.InvalidField("targets", "principal is not text")
		}
	}
	return nil
}

// find looks up what request asks about. seals are of its digests, once under each pepper.
func (j *Judge) find(ctx context.Context, seals []secret.Seal, request introspection.Request) (Snapshot, error) {
	if len(request.Targets) == 0 {
		return j.store.FindKeys(ctx, seals)
	}
	var targets []Target
	for _, target := range request.Targets {
		for i := target.Key; i < len(seals); i += len(request.Digests) {
			targets = append(targets, Target{seals[i], target.Principal})
		}
	}
	return j.store.FindKeysAndTargets(ctx, seals, targets)
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
		Limits:      f.Limits,
	}
	if !f.ExpiresAt.IsZero() {
		// Never 0, which would mean that the key has no end.
		v.ExpiresInMicros = max(1, f.ExpiresAt.Sub(at).Microseconds())
	}
	return v
}

// Caller returns the caller that f stands for at the time at, or nil when f opens no context then.
func (f *Found) Caller(at time.Time) *caller.Caller {
	if !f.opens() || !f.live(at) {
		return nil
	}
	return f.verdict(at).Caller()
}
