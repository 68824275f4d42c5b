// Package audit says what was done, by whom, to what. An [Entry] is committed in the transaction of the change that it
// records, so there is no change without its entry and no entry without its change. Soon afterwards a [Sealer] gives it its place
// in a chain of hashes; what was refused is counted by [Denials], and has entries, too. Entries hold no secret.
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
	KeyDisabled            Action = "key.disabled"
	KeyEnabled             Action = "key.enabled"
	KeyEdited              Action = "key.edited" // its limits
	AccountCreated         Action = "service_account.created"
	AccountEdited          Action = "service_account.edited"
	AccountRevoked         Action = "service_account.revoked"
	TokenMinted            Action = "token.minted"
	TokenRevoked           Action = "token.revoked"
	TokensRotated          Action = "token.rotated"
	WebhookCreated         Action = "webhook.created"
	WebhookPatched         Action = "webhook.patched"
	WebhookDeleted         Action = "webhook.deleted"
	WebhookSecretRotated   Action = "webhook.secret_rotated"
	WebhookDisabled        Action = "webhook.disabled"
	PepperRetired          Action = "pepper.retired"
	ManagementKeyReplaced  Action = "management_key.replaced"
	DeploymentRestored     Action = "deployment.restored"
	// AccessDenied is what was refused with 401 or 403: what is repeated within a minute has one entry more, with the number.
	AccessDenied Action = "access.denied"
)

// Outcome says what became of what an entry is about.
type Outcome string

// The outcomes.
const (
	Done   Outcome = "done"
	Denied Outcome = "denied"
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
	// Unknown showed nothing that was accepted.
	Unknown ActorKind = "unknown"
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

// Told reports whether ctx carries an origin.
func Told(ctx context.Context) bool {
	_, ok := ctx.Value(contextKey{}).(Origin)
	return ok
}
