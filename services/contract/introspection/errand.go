package introspection

import (
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/grant"
)

// Where the key manager takes errands, each by POST: what a caller of the data plane wants done to its own keys or, where it
// manages grants, to principals. The service token tells the caller, by an [Identity].
const (
	ListKeysPath      = "/internal/v1/errands/keys/list"
	MintKeyPath       = "/internal/v1/errands/keys/mint"
	RotateKeyPath     = "/internal/v1/errands/keys/rotate"
	DeleteKeyPath     = "/internal/v1/errands/keys/delete"
	ListPrincipalPath = "/internal/v1/errands/principals/list"
	GetPrincipalPath  = "/internal/v1/errands/principals/get"
	EffectivePath     = "/internal/v1/errands/principals/effective"
	AddGrantsPath     = "/internal/v1/errands/principals/grant"
	RemoveGrantsPath  = "/internal/v1/errands/principals/revoke"
)

// A service token that has these claims is good for one errand, and for nothing that services do for themselves:
// IdentityClaim tells for whom the service asks, an [Identity], and ErrandClaim what, by the path.
const (
	IdentityClaim = "caller"
	ErrandClaim   = "errand"
)

// CallerField is the field of the problem that refuses a caller whose key opens nothing any more, rather than the service.
const CallerField = "caller"

// Identity is a caller as the data plane has verified it. The key manager believes none of it: it looks the key up again, and
// what it finds must still be all of this.
type Identity struct {
	// Digest stands for the secret that was shown: a key that was rotated since is another caller.
	Digest      apikey.Digest `json:"digest"`
	Context     string        `json:"context"`
	Incarnation string        `json:"incarnation"`
	KeyID       string        `json:"key_id"`
	PrincipalID string        `json:"principal_id"`
	// OnBehalfOf is empty when the caller acts for itself.
	OnBehalfOf string `json:"on_behalf_of,omitempty"`
}

// IdentityOf returns the identity of a caller who has shown the secret that digest stands for.
func IdentityOf(who *caller.Caller, digest apikey.Digest) Identity {
	id := Identity{
		Digest: digest, Context: who.Context, Incarnation: who.Incarnation, KeyID: who.KeyID, PrincipalID: who.Principal.ID,
	}
	if who.OnBehalfOf != nil {
		id.OnBehalfOf = who.OnBehalfOf.ID
	}
	return id
}

// MaxRows is the most rows that a list may be asked for.
const MaxRows = 1001

// ListErrand asks for at most Limit rows, those after the name or the id After.
type ListErrand struct {
	After string `json:"after,omitempty"`
	Limit int    `json:"limit"`
}

// OwnKey is a key as its holder sees it.
type OwnKey struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	PrincipalID string `json:"principal_id"`
	// Grants attenuates the principal's; nil (null) inherits them.
	Grants    grant.Map `json:"grants"`
	CreatedAt time.Time `json:"created_at"`
	// LastUsedAt is to the minute, and nil when the key was never used; ValidUntil is nil when it has no end.
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
	ValidUntil *time.Time `json:"valid_until,omitempty"`
}

// MintErrand asks for a key of the caller's own principal.
type MintErrand struct {
	// Name is made from the key's id when it is nil.
	Name *string `json:"name,omitempty"`
	// Grants are as the caller wrote them; nil (null) asks for as much as the calling key has.
	Grants     map[string][]string `json:"grants"`
	TTLSeconds *int64              `json:"ttl_seconds,omitempty"`
}

// KeyErrand names a key to rotate or to delete.
type KeyErrand struct {
	Name       string `json:"name"`
	TTLSeconds *int64 `json:"ttl_seconds,omitempty"`
}

// IssuedKey is a key right after it was minted or rotated. It alone holds the text of a key, on its way to whoever asked.
type IssuedKey struct {
	OwnKey
	Key      string `json:"key"`
	Revision int64  `json:"revision"`
	// Propagation is nil after a mint, which no verifier need hear of.
	Propagation *Propagation `json:"propagation,omitempty"`
}

// Propagation says how a change reached the verifiers before it was answered.
type Propagation struct {
	Acknowledged int   `json:"acknowledged"`
	Lapsed       int   `json:"lapsed"`
	WaitedMillis int64 `json:"waited_ms"`
}

// PrincipalErrand names a principal.
type PrincipalErrand struct {
	ID string `json:"id"`
}

// EffectiveErrand asks what a principal's grants hold at a path. AsOf is the moment; now when it is nil.
type EffectiveErrand struct {
	ID   string     `json:"id"`
	Path string     `json:"path"`
	AsOf *time.Time `json:"as_of,omitempty"`
}

// Effective answers an [EffectiveErrand]. Path is canonical.
type Effective struct {
	Path  string   `json:"path"`
	Verbs []string `json:"verbs"`
}

// GrantErrand asks for verbs over a pattern to be granted to a principal, or taken from it.
type GrantErrand struct {
	ID    string   `json:"id"`
	Path  string   `json:"path"`
	Verbs []string `json:"verbs"`
}
