// Package introspection is what the planes say to each other: the data plane asks the key manager what a key is worth,
// which contexts to purge, and does errands for its callers, and an operator's bootstrap enrols the first keys. All of it is
// JSON over HTTP, authenticated by a short-lived service token (JWT, HS256). None of it holds the text of a key, for which a
// [apikey.Digest] stands, but the answer to a caller who asked for a new one.
package introspection

import (
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/grant"
)

// The claims of a service token. Its subject names the replica that asks.
const (
	Issuer   = "spectron"
	Audience = "spectron-keymanager"
	// MinServiceSecret is the least length in bytes of the secret that signs service tokens (RFC 7518, section 3.2).
	MinServiceSecret = 32
)

// Path is where the key manager answers a [Request], by POST.
const Path = "/internal/v1/introspections"

// MaxDigests is the most that one request may ask about.
const MaxDigests = 512

// MaxAnswer is the longest answer to more than one digest, in bytes. What would be longer is refused with 413: whoever asks then
// asks in two halves. An answer about one key is never as long.
const MaxAnswer = 16 << 20

// Request asks about keys, and about principals that some of them want to act for. The answers come in the order of the
// questions.
type Request struct {
	Digests []apikey.Digest `json:"digests"`
	Targets []Target        `json:"targets,omitempty"`
}

// MaxTargets is the most principals that one request may ask about: few, since they may all be of one key, which no half is less
// than.
const MaxTargets = 64

// Target is a principal in the context of a key.
type Target struct {
	// Key is the place of the key among the digests.
	Key int `json:"key"`
	// Principal is the id of the principal.
	Principal string `json:"principal"`
}

// Response answers a [Request]. All of it is of one snapshot.
type Response struct {
	// AsOf is the revision of that snapshot.
	AsOf     int64     `json:"as_of"`
	Verdicts []Verdict `json:"verdicts"`
	// Targets are the principals asked about. Nil (null) stands for one that does not exist in the context of its key, and for
	// any when the key opens nothing.
	Targets []*caller.Principal `json:"targets,omitempty"`
}

// Verdict says what one key is worth. The zero value is the verdict on every key that opens nothing, be it unknown,
// expired, deleted, rotated out or not bound to a principal: nothing tells these cases apart.
type Verdict struct {
	Active bool `json:"active"`
	// ExpiresInMicros is the time the key has left in microseconds, on the authority's clock; 0 when it has no end. It
	// is a duration because wall clocks of two machines are never compared.
	ExpiresInMicros int64 `json:"expires_in_us,omitempty"`

	Context     string `json:"context,omitempty"`
	Incarnation string `json:"incarnation,omitempty"`
	// Blocked says that the context's calls to language models are stopped.
	Blocked bool `json:"blocked,omitempty"`

	KeyID     string            `json:"key_id,omitempty"`
	KeyName   string            `json:"key_name,omitempty"`
	Principal *caller.Principal `json:"principal,omitempty"`
	// KeyGrants attenuates the principal's grants; nil (null) inherits them.
	KeyGrants grant.Map `json:"key_grants"`
	// Limits bound the use of the key; nil for nearly all. Whoever admits requests enforces them.
	Limits *caller.Limits `json:"limits,omitempty"`
}

// Caller returns the caller that an active verdict describes.
func (v Verdict) Caller() *caller.Caller {
	limits := v.Limits
	if v.Blocked {
		limits = limits.Stopped()
	}
	return &caller.Caller{
		Context:     v.Context,
		Incarnation: v.Incarnation,
		KeyID:       v.KeyID,
		KeyName:     v.KeyName,
		Principal:   v.Principal,
		KeyGrants:   v.KeyGrants,
		Effective:   v.Principal.Effective(v.KeyGrants),
		Limits:      limits,
	}
}
