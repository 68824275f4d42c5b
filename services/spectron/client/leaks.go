package client

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/spectron/client/internal/managementapi"
)

// maxDigests is how many credentials one request may be about.
const maxDigests = 256

// KeyStatus says what a credential is worth. Beside State all is empty for one that is unknown.
type KeyStatus struct {
	// State is live, expired or unknown: made up, rotated, revoked, or another deployment's.
	State string `json:"state"`
	// Kind is key, token or management.
	Kind        string     `json:"kind,omitempty"`
	ID          string     `json:"id,omitempty"`
	Name        string     `json:"name,omitempty"`
	ContextID   string     `json:"context_id,omitempty"`
	PrincipalID string     `json:"principal_id,omitempty"`
	ValidUntil  *time.Time `json:"valid_until,omitempty"`
	LastUsedAt  *time.Time `json:"last_used_at,omitempty"`
}

// RevokedKey says what became of a credential that was to be revoked.
type RevokedKey struct {
	// Outcome is revoked, unknown, or refused for a management key.
	Outcome   string `json:"outcome"`
	Kind      string `json:"kind,omitempty"`
	ID        string `json:"id,omitempty"`
	ContextID string `json:"context_id,omitempty"`
	Revision  int64  `json:"revision,omitempty"`
}

// LookupKeys says what keys and tokens are, by their digests and in their order. Their texts are not sent.
func (m *Management) LookupKeys(ctx context.Context, digests []apikey.Digest) ([]KeyStatus, error) {
	return inParts(digests, func(part []string) ([]KeyStatus, error) {
		req, err := managementapi.NewLookupKeysRequest(m.server, managementapi.LookupKeysRequest{Digests: part})
		return call[[]KeyStatus](ctx, m.transport, req, err)
	})
}

// RevokeKeys deletes keys and revokes tokens by their digests. They are dead when this returns without error; what has been rotated since
// stays. After an error, what was revoked before it is returned.
func (m *Management) RevokeKeys(ctx context.Context, digests []apikey.Digest, reason string) ([]RevokedKey, error) {
	return inParts(digests, func(part []string) ([]RevokedKey, error) {
		req, err := managementapi.NewRevokeKeysRequest(m.server, managementapi.RevokeKeysRequest{Digests: part, Reason: optional(reason)})
		return call[[]RevokedKey](ctx, m.transport, req, err)
	})
}

// inParts asks about as many digests at a time as may be.
func inParts[T any](digests []apikey.Digest, ask func(part []string) ([]T, error)) ([]T, error) {
	out := make([]T, 0, len(digests))
	for part := range slices.Chunk(digests, maxDigests) {
		texts := make([]string, len(part))
		for i, digest := range part {
			text, err := digest.MarshalText()
			if err != nil {
				return out, fmt.Errorf("encoding a digest: %w", err)
			}
			texts[i] = string(text)
		}
		got, err := ask(texts)
		if err != nil {
			return out, err
		}
		if len(got) != len(part) {
			return out, fmt.Errorf("the server answered about %d of %d keys", len(got), len(part))
		}
		out = append(out, got...)
	}
	return out, nil
}
