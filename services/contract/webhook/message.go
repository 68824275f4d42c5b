package webhook

import "time"

// Event names what happened.
type Event string

// The events. A receiver ignores those that it does not know.
const (
	// KeyCreated: a key or a token was minted, or a key was imported.
	KeyCreated Event = "key.created"
	// KeyRotated: a key has another secret and its old one is dead; or the tokens of a service account were replaced by one.
	KeyRotated Event = "key.rotated"
	// KeyDisabled: a key opens nothing until it is enabled.
	KeyDisabled Event = "key.disabled"
	// KeyEnabled: a key that was disabled opens again what it did.
	KeyEnabled Event = "key.enabled"
	// KeyExpiring: a key or a token will end soon.
	KeyExpiring Event = "key.expiring"
	// KeyRevoked: a key or a token was deleted or revoked, alone, with its principal, with its account or with its context.
	KeyRevoked Event = "key.revoked"
	// Test: somebody asked for a message to try the endpoint. Every endpoint gets it that is asked for.
	Test Event = "webhook.test"
)

// Events returns what an endpoint can subscribe to, in order of a key's life.
func Events() []Event {
	return []Event{KeyCreated, KeyRotated, KeyDisabled, KeyEnabled, KeyExpiring, KeyRevoked}
}

// Message is the body of a webhook.
type Message struct {
	Type Event `json:"type"`
	// Timestamp is when it happened, the same at every attempt.
	Timestamp time.Time `json:"timestamp"`
	Data      Data      `json:"data"`
}

// The kinds of credentials in [Data].
const (
	KindKey        = "key"
	KindToken      = "token"
	KindManagement = "management"
)

// Data says which key it is about. There is no secret in it. All of it is empty in a [Test].
type Data struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
	// Kind is [KindKey], [KindToken] or [KindManagement].
	Kind      string `json:"kind,omitempty"`
	ContextID string `json:"context_id,omitempty"`
	// PrincipalID is that of the service account, of a token.
	PrincipalID string `json:"principal_id,omitempty"`
	// ExpiresAt is nil for a key that has no end.
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	// Reason is why it was revoked, where that is known.
	Reason string `json:"reason,omitempty"`
	// Replaced are the ids of the tokens that ended with a rotation of a service account's.
	Replaced []string `json:"replaced,omitempty"`
	// ThresholdSeconds is how long before the end this warning is given.
	ThresholdSeconds int64 `json:"threshold_seconds,omitempty"`
}
