// Package audit says what was done, by whom, to what. An [Entry] is committed in the transaction of the change that it
// records, so there is no change without its entry and no entry without its change. Entries hold no secret.
package audit

import "context"

// Action names a change.
type Action string

// The actions.
const (
	DeploymentBootstrapped Action = "deployment.bootstrapped"
	ContextCreated         Action = "context.created"
	ContextPatched         Action = "context.patched"
	ContextDeleted         Action = "context.deleted"
	ContextPurged          Action = "context.purged"
	JobQueued              Action = "job.queued"
	JobDone                Action = "job.done"
	PrincipalCreated       Action = "principal.created"
	PrincipalPatched       Action = "principal.patched"
	PrincipalDeleted       Action = "principal.deleted"
	KeyMinted              Action = "key.minted"
	KeyImported            Action = "key.imported"
	KeyRotated             Action = "key.rotated"
	KeyDeleted             Action = "key.deleted"
	AccountCreated         Action = "service_account.created"
	AccountEdited          Action = "service_account.edited"
	AccountRevoked         Action = "service_account.revoked"
	TokenMinted            Action = "token.minted"
	TokenRevoked           Action = "token.revoked"
	TokensRotated          Action = "token.rotated"
	PepperRetired          Action = "pepper.retired"
	ManagementKeyReplaced  Action = "management_key.replaced"
	DeploymentRestored     Action = "deployment.restored"
)

// ActorKind says what sort of credential an actor showed.
type ActorKind string

// The kinds of actors.
const (
	// Operator holds a management key.
	Operator ActorKind = "management"
	// Service holds a service token.
	Service ActorKind = "service"
	// Caller holds a key of the context, by which it asked the data plane.
	Caller ActorKind = "caller"
	// Local acts in this process or on this machine: a bootstrap without the network, and whoever asks while authentication is off.
	Local ActorKind = "local"
)

// Origin is where a change came from.
type Origin struct {
	Actor ActorKind
	// KeyID is the id of the actor's key or, of a service, its name.
	KeyID string
	// TraceID finds the request in the logs.
	TraceID string
	// OnBehalfOf is the id of the principal that the actor acts for; empty when it acts for itself.
	OnBehalfOf string
	// Remote is the network address of the client; of a caller that asked a data plane, the caller's, if that data plane is trusted.
	Remote string
}

// Entry is one change.
type Entry struct {
	Action    Action
	ContextID string
	// Target is the id of what was changed.
	Target string
	// Detail is more about it: names, never secrets.
	Detail map[string]any
}

type contextKey struct{}

// With returns a copy of ctx that carries the origin of the changes made under it.
func With(ctx context.Context, origin Origin) context.Context {
	return context.WithValue(ctx, contextKey{}, origin)
}

// From returns the origin that ctx carries: a local one where there is none.
func From(ctx context.Context) Origin {
	if origin, ok := ctx.Value(contextKey{}).(Origin); ok {
		return origin
	}
	return Origin{Actor: Local}
}
