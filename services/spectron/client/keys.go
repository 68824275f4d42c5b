package client

import (
	"context"
	"iter"
	"net/http"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/spectron/client/internal/managementapi"
)

// Grants says which verbs are allowed over which scope patterns: {"memory:read": {"org/acme/*"}}. A pattern is a node
// (org/acme), a node and everything below it (org/acme/*), or everything (/*).
type Grants map[string][]string

// ScopeFloor is the region of a key: the node made of the dimensions that are given, in the order org, agent or team,
// user, and everything below it. The zero value is everything.
type ScopeFloor struct {
	Org, Team, Agent, User string
}

// Key is what a listing tells about a key. It never holds the secret.
type Key struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Grants attenuates the principal's; nil inherits them.
	Grants      Grants `json:"grants,omitempty"`
	PrincipalID string `json:"principalId"`
	// Principal is the kind of the principal.
	Principal caller.Kind `json:"principal"`
	// ValidUntil is nil when the key has no end.
	ValidUntil *time.Time `json:"validUntil,omitempty"`
	CreatedAt  time.Time  `json:"createdAt"`
	// Enabled is false for a key that opens nothing until it is enabled again; nil from a server that cannot disable keys.
	Enabled *bool `json:"enabled,omitempty"`
	// RateLimit is nil where there is none, AllowedCIDRs empty where the key may be used from everywhere.
	RateLimit    *RateLimit `json:"rate_limit,omitempty"`
	AllowedCIDRs []string   `json:"allowed_cidrs,omitempty"`
	// LastUsedAt is to the minute; nil when the key was never used. UseCount is about how often it was verified.
	LastUsedAt *time.Time `json:"lastUsedAt,omitempty"`
	UseCount   int64      `json:"useCount,omitempty"`
}

// RateLimit lets Requests pass in PerSeconds, evenly spread, and Burst at once; as many as Requests if it is zero.
type RateLimit struct {
	Requests   int64 `json:"requests"`
	PerSeconds int64 `json:"per_seconds"`
	Burst      int64 `json:"burst,omitempty"`
}

// MintedKey is the answer to mint and rotate, the only one that holds the secret.
type MintedKey struct {
	// ID survives rotation.
	ID   string
	Name string
	// Key prints as REDACTED; Key.Reveal gives the secret. It is not shown again.
	Key         apikey.Key
	PrincipalID string
	// ValidUntil is nil when the key has no end.
	ValidUntil *time.Time
	// Revision is the revision of authority that holds the change.
	Revision int64
	// Propagation says how a rotation reached the verifiers; nil after a mint.
	Propagation *Propagation
}

// Propagation says how a change reached everything that verifies keys, before it was answered.
type Propagation struct {
	// Acknowledged is how many verifiers have applied the change, Lapsed how many have lost their lease instead.
	Acknowledged, Lapsed int
	Waited               time.Duration
}

// MintOptions says what a new key may do, and for how long. The zero value is an agent over everything, without end.
type MintOptions struct {
	// Kind is caller.Agent (the default) or caller.Supervisor.
	Kind caller.Kind
	// ScopeFloor is where the key may do what its kind may.
	ScopeFloor ScopeFloor
	// Grants says exactly what the key may do, instead of ScopeFloor. Nil is not given, empty is nothing.
	Grants Grants
	// TTL ends the key that long from now, in whole seconds, rounded up; zero means no end, unless the context has a cap.
	TTL time.Duration
}

// MintKey mints a key in a context. The error is fault.Conflict when the name is taken.
func (m *Management) MintKey(ctx context.Context, contextID, name string, opts MintOptions) (MintedKey, error) {
	if err := checkKeyPath(contextID, name); err != nil {
		return MintedKey{}, err
	}
	body := managementapi.MintKeyRequest{
		Principal: optional(managementapi.MintKeyRequestPrincipal(opts.Kind)),
		ScopeFloor: optional(managementapi.ScopeFloor{
			Org:   optional(opts.ScopeFloor.Org),
			Team:  optional(opts.ScopeFloor.Team),
			Agent: optional(opts.ScopeFloor.Agent),
			User:  optional(opts.ScopeFloor.User),
		}),
	}
	if opts.Grants != nil {
		body.Grants = new(managementapi.GrantMap(opts.Grants))
	}
	params := &managementapi.MintKeyParams{TTLSeconds: ttlSeconds(opts.TTL)}
	req, err := managementapi.NewMintKeyRequest(m.server, contextID, name, params, body)
	return m.minted(ctx, req, err)
}

// ListKeys returns every key of a context, ordered by name.
func (m *Management) ListKeys(ctx context.Context, contextID string) ([]Key, error) {
	return collect(m.Keys(ctx, contextID))
}

// Keys iterates over every key of a context, ordered by name.
func (m *Management) Keys(ctx context.Context, contextID string) iter.Seq2[Key, error] {
	if err := checkSegment("context_id", contextID); err != nil {
		return failed[Key](err)
	}
	return pages[Key](ctx, m.transport, func(cursor *string) (*http.Request, error) {
		return managementapi.NewListKeysRequest(m.server, contextID, &managementapi.ListKeysParams{Cursor: cursor, Usage: new(true)})
	})
}

// RotateOptions says for how long the new secret works.
type RotateOptions struct {
	// TTL ends the key that long from now, in whole seconds, rounded up; zero keeps the end that it has.
	TTL time.Duration
}

// RotateKey replaces the secret of a key. The key keeps its id, binding and grants; the previous secret is dead when
// this returns without error.
func (m *Management) RotateKey(ctx context.Context, contextID, name string, opts RotateOptions) (MintedKey, error) {
	if err := checkKeyPath(contextID, name); err != nil {
		return MintedKey{}, err
	}
	params := &managementapi.RotateKeyParams{TTLSeconds: ttlSeconds(opts.TTL)}
	req, err := managementapi.NewRotateKeyRequest(m.server, contextID, name, params)
	return m.minted(ctx, req, err)
}

// DeleteKey deletes a key, which is dead when this returns without error.
func (m *Management) DeleteKey(ctx context.Context, contextID, name string) error {
	if err := checkKeyPath(contextID, name); err != nil {
		return err
	}
	req, err := managementapi.NewDeleteKeyRequest(m.server, contextID, name)
	return discard(ctx, m.transport, req, err)
}

func (m *Management) minted(ctx context.Context, req *http.Request, err error) (MintedKey, error) {
	return minted(ctx, m.transport, req, err)
}

// minted sends a mint or rotate, of either plane, and reads the key out of the answer.
func minted(ctx context.Context, t *transport, req *http.Request, err error) (MintedKey, error) {
	raw, err := call[managementapi.MintedKey](ctx, t, req, err)
	if err != nil {
		return MintedKey{}, err
	}
	key, err := apikey.Parse(raw.Key)
	if err != nil {
		// The key exists now, but nobody has its secret.
		return MintedKey{}, fault.New(fault.Internal, "the server answered a key that is damaged; rotate %q", raw.Name).Because(err)
	}
	done := MintedKey{
		ID:          raw.ID,
		Name:        raw.Name,
		Key:         key,
		PrincipalID: raw.PrincipalID,
		ValidUntil:  raw.ValidUntil,
		Revision:    raw.Revision,
	}
	if p := raw.Propagation; p != nil {
		done.Propagation = &Propagation{p.Acknowledged, p.Lapsed, time.Duration(p.WaitedMs) * time.Millisecond}
	}
	return done, nil
}

func checkKeyPath(contextID, name string) error {
	return checkSegments("context_id", contextID, "name", name)
}

// ttlSeconds rounds away from zero: a short time to live must not become none, and a negative one is for the server to
// refuse.
func ttlSeconds(ttl time.Duration) *int64 {
	seconds := int64(ttl / time.Second)
	switch rest := ttl % time.Second; {
	case rest > 0:
		seconds++
	case rest < 0:
		seconds--
	}
	return optional(seconds)
}
