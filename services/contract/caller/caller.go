// Package caller is the authenticated caller of a request, carried in its context.Context: who asks, through which key,
// in which context, with what authority.
package caller

import (
	"context"

	"github.com/spectron-hq/spectron/services/contract/grant"
)

// Kind says what sort of actor a principal is. It is told, never asked: authority comes from grants alone.
type Kind string

// The kinds of principals.
const (
	Human      Kind = "human"
	Agent      Kind = "agent"
	Supervisor Kind = "supervisor"
	Service    Kind = "service"
	Unknown    Kind = "unknown"
)

// Principal is the actor that a key is bound to.
type Principal struct {
	// ID is unique in the context.
	ID          string    `json:"id"`
	DisplayName string    `json:"display_name"`
	Kind        Kind      `json:"kind"`
	Grants      grant.Map `json:"grants"`
	// ServiceAccount is not nil for a service account, whose keys are tokens.
	ServiceAccount *ServiceAccount `json:"service_account,omitempty"`
}

// ServiceAccount is what a principal has that is one.
type ServiceAccount struct {
	// Actors are the identities (DIDs) that its tokens may claim, by exact match. Without any they may do nothing.
	Actors []string `json:"actors"`
}

// Effective is what a key with the given grants may do: a key of a service account what it was minted for, any other what both it
// and its principal may do now.
func (p *Principal) Effective(key grant.Map) grant.Map {
	if p.ServiceAccount != nil {
		return grant.Snapshot(key)
	}
	return grant.Effective(p.Grants, key)
}

// Caller is the outcome of a successful verification. It may be shared between requests: nothing in it may be changed.
type Caller struct {
	// Context is the id of the context that the key opens, and no other.
	Context string
	// Incarnation names this life of the context: a context that is deleted and created again is another one.
	Incarnation string
	// KeyID and KeyName name the key, without its secret.
	KeyID, KeyName string
	// Principal is shared between callers and must not be changed.
	Principal *Principal
	// OnBehalfOf is the principal that the caller acts for, nil when it acts for itself. Principal stays who really calls;
	// Effective is what both may do. It is shared between callers and must not be changed.
	OnBehalfOf *Principal
	// KeyGrants attenuates the principal's grants; nil inherits them. Those of a service account's token are all it may do.
	KeyGrants grant.Map
	// Effective is what the caller may do.
	Effective grant.Map
	// Limits are what holds the caller back beside its grants; nil for nearly all.
	Limits *Limits
}

// Authority returns the effective grants; it makes a Caller a [grant.Holder].
func (c *Caller) Authority() grant.Map { return c.Effective }

type contextKey struct{}

// With returns a copy of ctx that carries c.
func With(ctx context.Context, c *Caller) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// From returns the caller that ctx carries. The second result is false where no authentication took place.
func From(ctx context.Context) (*Caller, bool) {
	c, ok := ctx.Value(contextKey{}).(*Caller)
	return c, ok
}
