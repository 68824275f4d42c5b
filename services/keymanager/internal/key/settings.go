package key

import (
	"context"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/network"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// The largest limits. A rate beyond them is no limit, and what is longer than a day a counter in memory does not outlive.
const (
	maxRequests = 1_000_000
	maxPer      = 24 * time.Hour
	maxNetworks = 64
)

// Settings are what an operator may change of a key while it lives: rotation keeps them. The zero value is a key that is enabled and
// has no limits.
type Settings struct {
	// Disabled keys open nothing, and are there to be enabled again.
	Disabled bool
	// Limits are nil where there are none.
	Limits *caller.Limits
}

// RateLimit is a rate as operators write it. A burst of 0 is as many as Requests.
type RateLimit struct{ Requests, PerSeconds, Burst int64 }

// Edit changes settings. What is nil stays.
type Edit struct {
	Enabled *bool
	// RateLimit may point to nil, which is no limit.
	RateLimit **RateLimit
	// AllowedCIDRs may be empty, which is everywhere.
	AllowedCIDRs *[]string
}

// Apply returns s as e changes it. Errors: Invalid.
func (e Edit) Apply(s Settings) (Settings, error) {
	if e.Enabled != nil {
		s.Disabled = !*e.Enabled
	}
	var limits caller.Limits
	if s.Limits != nil {
		limits = *s.Limits
	}
	var err error
	if e.RateLimit != nil {
		if limits.RateLimit, err = (*e.RateLimit).limit(); err != nil {
			return s, err
		}
	}
	if e.AllowedCIDRs != nil {
		if limits.AllowedCIDRs, err = networks(*e.AllowedCIDRs); err != nil {
			return s, err
		}
	}
	if s.Limits = &limits; limits.RateLimit == nil && len(limits.AllowedCIDRs) == 0 {
		s.Limits = nil
	}
	return s, nil
}

// limit checks r. A nil one is none.
func (r *RateLimit) limit() (*caller.RateLimit, error) {
	if r == nil {
		return nil, nil //nolint:nilnil // no limit, and nothing wrong with that
	}
	burst := r.Burst
	if burst == 0 {
		burst = r.Requests
	}
	switch {
	case r.Requests < 1 || r.Requests > maxRequests:
		return nil, fault.InvalidField("rate_limit.requests", "must be from 1 to %d", maxRequests)
	case r.PerSeconds < 1 || r.PerSeconds > int64(maxPer/time.Second):
		return nil, fault.InvalidField("rate_limit.per_seconds", "must be from 1 to %d", int64(maxPer/time.Second))
	case burst < 1 || burst > maxRequests:
		return nil, fault.InvalidField("rate_limit.burst", "must be from 1 to %d", maxRequests)
	}
	return &caller.RateLimit{Requests: int(r.Requests), Per: time.Duration(r.PerSeconds) * time.Second, Burst: int(burst)}, nil
}

// networks reads a list of networks, each once.
func networks(texts []string) ([]netip.Prefix, error) {
	if len(texts) > maxNetworks {
		return nil, fault.InvalidField("allowed_cidrs", "at most %d", maxNetworks)
	}
	var out []netip.Prefix
	for _, text := range texts {
		prefix, err := network.Parse(text)
		if err != nil {
			return nil, fault.InvalidField("allowed_cidrs", "%v", err)
		}
		if !slices.Contains(out, prefix) {
			out = append(out, prefix)
		}
	}
	return out, nil
}

// SameLimits reports whether two settings have the same limits.
func (s Settings) SameLimits(other Settings) bool { return reflect.DeepEqual(s.Limits, other.Limits) }

// Edited is a key after a change of its settings.
type Edited struct {
	Listed
	Revision    int64
	Propagation revision.Propagation
}

// Edit changes the settings of a key, and answers when no verifier goes by the ones before. Errors: Unprocessable, Invalid, NotFound,
// Forbidden for a token, Unavailable.
func (r *Registry) Edit(ctx context.Context, contextID, name string, edit Edit) (Edited, error) {
	if err := check(contextID, name, nil); err != nil {
		return Edited{}, err
	}
	changed, revised, err := r.store.EditKey(ctx, contextID, name, func(k Key) (Settings, error) {
		if err := k.Manageable(); err != nil {
			return Settings{}, err
		}
		return edit.Apply(k.Settings)
	})
	if err != nil {
		return Edited{}, err
	}
	// Also when nothing was left to change: the first attempt may have been answered by a 503.
	propagation, err := r.barrier.Await(ctx, revised)
	return Edited{changed, revised, propagation}, err
}

// maxWithin is the longest time in which keys may be said to end, in seconds.
const maxWithin = tenant.MaxTTL

// CheckWithin returns an Invalid fault when seconds are given and out of range.
func CheckWithin(parameter string, seconds *int64) error {
	if seconds != nil && (*seconds < 1 || *seconds > maxWithin) {
		return fault.InvalidField(parameter, "must be from 1 to %d", int64(maxWithin))
	}
	return nil
}

// Query says which keys of a context to list: by name, no tokens.
type Query struct {
	ContextID string
	// PrincipalID is whose; empty for everybody's.
	PrincipalID string
	// After is the name after which the page begins.
	After string
	Limit int
	// Within, when positive, is for keys that end in that time and have not yet.
	Within time.Duration
}

// Place is where a page of keys by their end begins: behind the key of this end and id.
type Place struct {
	EndsAt time.Time
	ID     string
}

// Expiring returns at most limit keys of all contexts that end within so many seconds and have not yet, soonest first, behind a place.
// Errors: Invalid.
func (r *Registry) Expiring(ctx context.Context, within int64, after Place, limit int) ([]Listed, error) {
	if err := CheckWithin("within", &within); err != nil {
		return nil, err
	}
	return r.store.ExpiringKeys(ctx, seconds(within), after, limit)
}

// ListWithin is [Registry.List] for the keys that end within so many seconds; nil is for all. Errors: Invalid, NotFound.
func (r *Registry) ListWithin(ctx context.Context, contextID, principalID, after string, limit int, within *int64) ([]Listed, error) {
	if err := CheckWithin("expiring_within", within); err != nil {
		return nil, err
	}
	q := Query{ContextID: contextID, After: after, Limit: limit}
	if principalID != "" {
		q.PrincipalID = principal.Bare(principalID)
	}
	if within != nil {
		q.Within = seconds(*within)
	}
	return r.store.Keys(ctx, q)
}
