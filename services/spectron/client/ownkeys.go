package client

import (
	"context"
	"iter"
	"net/http"
	"time"

	"github.com/spectron-hq/spectron/services/spectron/client/internal/dataapi"
)

// OwnKey is what the data plane tells about a key that the caller may manage. It never holds the secret.
type OwnKey struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"createdAt"`
	// Grants attenuates the principal's; nil inherits them.
	Grants Grants `json:"grants,omitempty"`
	// LastUsedAt is to the minute; nil when the key was never used.
	LastUsedAt *time.Time `json:"lastUsedAt,omitempty"`
	// ValidUntil is nil when the key has no end.
	ValidUntil  *time.Time `json:"validUntil,omitempty"`
	PrincipalID string     `json:"principalId,omitempty"`
}

// ListKeys returns the keys that the caller may manage, ordered by name: its own key alone, or all keys of the context
// with grant:manage over /.
func (c *Client) ListKeys(ctx context.Context) ([]OwnKey, error) { return collect(c.Keys(ctx)) }

// Keys iterates over the keys that ListKeys returns.
func (c *Client) Keys(ctx context.Context) iter.Seq2[OwnKey, error] {
	return pages[OwnKey](ctx, c.transport, func(cursor *string) (*http.Request, error) {
		return dataapi.NewListOwnKeysRequest(c.server, c.contextID, &dataapi.ListOwnKeysParams{Cursor: cursor})
	})
}

// CreateKeyOptions says what a new key of the caller's own principal is like.
type CreateKeyOptions struct {
	// Name is made from the key's id when it is empty.
	Name string
	// Grants must lie within what the caller may do. Nil is as wide as the calling key, empty is nothing.
	Grants Grants
	// TTL ends the key that long from now, in whole seconds, rounded up; zero means no end, unless the context has a cap.
	TTL time.Duration
}

// CreateKey mints a key of the caller's own principal. The error is fault.Conflict when the name is taken, fault.Invalid
// when the grants exceed the caller's.
func (c *Client) CreateKey(ctx context.Context, opts CreateKeyOptions) (MintedKey, error) {
	params := &dataapi.MintOwnKeyParams{TTLSeconds: ttlSeconds(opts.TTL)}
	body := ownMint{Name: opts.Name}
	if opts.Grants != nil {
		body.Grants = &opts.Grants
	}
	content, err := compactJSON(body)
	if err != nil {
		return MintedKey{}, err
	}
	req, err := dataapi.NewMintOwnKeyRequestWithBody(c.server, c.contextID, params, contentJSON, content)
	return minted(ctx, c.transport, req, err)
}

// ownMint tells empty grants from none, which the generated type does not.
type ownMint struct {
	Grants *Grants `json:"grants,omitempty"`
	Name   string  `json:"name,omitempty"`
}

// RotateKey replaces the secret of a key that the caller may manage; the previous one is dead when this returns without
// error. A client whose own key it was needs the new one.
func (c *Client) RotateKey(ctx context.Context, name string, opts RotateOptions) (MintedKey, error) {
	if err := checkSegment("name", name); err != nil {
		return MintedKey{}, err
	}
	req, err := dataapi.NewRotateOwnKeyRequest(c.server, c.contextID, name, &dataapi.RotateOwnKeyParams{TTLSeconds: ttlSeconds(opts.TTL)})
	return minted(ctx, c.transport, req, err)
}

// DeleteKey deletes a key that the caller may manage. It is dead when this returns without error.
func (c *Client) DeleteKey(ctx context.Context, name string) error {
	if err := checkSegment("name", name); err != nil {
		return err
	}
	req, err := dataapi.NewDeleteOwnKeyRequest(c.server, c.contextID, name, nil)
	return discard(ctx, c.transport, req, err)
}
