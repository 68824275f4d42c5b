package client

import (
	"context"

	"github.com/spectron-hq/spectron/services/spectron/client/internal/dataapi"
)

// ForgetOptions says how to forget. The zero value ends rows now and keeps their history.
type ForgetOptions struct {
	// DryRun counts and changes nothing.
	DryRun bool
	// Purge erases the rows with their history. This cannot be undone.
	Purge bool
}

// Forget forgets what a query finds, within what the key may forget, and returns how many rows that were.
func (c *Client) Forget(ctx context.Context, query string, opts ForgetOptions) (int64, error) {
	req, err := dataapi.NewForgetMemoryRequest(c.server, c.contextID, nil, dataapi.ForgetRequest{
		Query: query, DryRun: optional(opts.DryRun), Purge: optional(opts.Purge),
	})
	done, err := call[dataapi.ForgetResponse](ctx, c.transport, req, err)
	return done.Deleted, err
}

// ReflectOptions says what becomes of a reflection.
type ReflectOptions struct {
	// Persist stores it as knowledge. An agent's key may not.
	Persist bool
}

// Reflection sums up what is remembered on a question.
type Reflection struct {
	Reflection string `json:"reflection"`
	// Evidence is what it rests on.
	Evidence            []string             `json:"evidence"`
	PersistedAttributes []ExtractedAttribute `json:"persistedAttributes"`
	TraceID             string               `json:"traceId"`
	// Method says how it was made: extractive is in the words that were remembered.
	Method string `json:"method"`
}

// Reflect sums up what is remembered on a question.
func (c *Client) Reflect(ctx context.Context, query string, opts ReflectOptions) (Reflection, error) {
	req, err := dataapi.NewReflectRequest(c.server, c.contextID, nil, dataapi.ReflectRequest{
		Query: query, Persist: optional(opts.Persist),
	})
	return call[Reflection](ctx, c.transport, req, err)
}

// Decay lowers the importance of what was not written for long, within what the key may write, and returns how many rows
// changed.
func (c *Client) Decay(ctx context.Context) (int64, error) {
	req, err := dataapi.NewDecayRequest(c.server, c.contextID, nil, dataapi.Nothing{})
	done, err := call[dataapi.LifecycleResult](ctx, c.transport, req, err)
	return done.Affected, err
}

// Expire ends what has outlived its validity, within what the key may forget, and returns how many rows that were.
func (c *Client) Expire(ctx context.Context) (int64, error) {
	req, err := dataapi.NewExpireRequest(c.server, c.contextID, nil, dataapi.Nothing{})
	done, err := call[dataapi.LifecycleResult](ctx, c.transport, req, err)
	return done.Affected, err
}
