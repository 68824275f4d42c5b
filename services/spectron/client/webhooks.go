package client

import (
	"context"
	"iter"
	"net/http"
	"time"

	"github.com/spectron-hq/spectron/services/contract/webhook"
	"github.com/spectron-hq/spectron/services/spectron/client/internal/managementapi"
)

// Webhook is a URL that is told what becomes of keys.
type Webhook struct {
	ID          string `json:"id"`
	URL         string `json:"url"`
	Description string `json:"description"`
	// ContextID is the only context that it is told of; empty is all.
	ContextID string          `json:"context_id,omitempty"`
	Events    []webhook.Event `json:"events"`
	Enabled   bool            `json:"enabled"`
	CreatedAt time.Time       `json:"created_at"`
	// FailingSince is nil when the last attempt was accepted.
	FailingSince *time.Time `json:"failing_since,omitempty"`
	// DisabledAt and DisabledReason say when and why the server itself disabled it.
	DisabledAt     *time.Time `json:"disabled_at,omitempty"`
	DisabledReason string     `json:"disabled_reason,omitempty"`
	// PreviousSecretUntil says until when the secret before the last one signs, too.
	PreviousSecretUntil *time.Time `json:"previous_secret_until,omitempty"`
}

// WebhookSecret is a webhook with the secret that its messages are signed with, which is not shown again.
type WebhookSecret struct {
	Webhook Webhook `json:"webhook"`
	Secret  string  `json:"secret"`
}

// WebhookDelivery is a message to a webhook, and what became of it.
type WebhookDelivery struct {
	// ID is the webhook-id of the message.
	ID        string        `json:"id"`
	Type      webhook.Event `json:"type"`
	Timestamp time.Time     `json:"timestamp"`
	// State is pending, delivered or failed.
	State         string     `json:"state"`
	Attempts      int        `json:"attempts"`
	KeyID         string     `json:"key_id,omitempty"`
	ContextID     string     `json:"context_id,omitempty"`
	NextAttemptAt *time.Time `json:"next_attempt_at,omitempty"`
	LastAttemptAt *time.Time `json:"last_attempt_at,omitempty"`
	// LastStatus is 0 when there was no answer.
	LastStatus int        `json:"last_status,omitempty"`
	LastError  string     `json:"last_error,omitempty"`
	LastTookMS int64      `json:"last_took_ms,omitempty"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
}

// WebhookOptions says what a webhook is like. In a change, what is nil stays.
type WebhookOptions struct {
	URL, Description *string
	// ContextID narrows it to one context; empty is all.
	ContextID *string
	// Events are those it is told of; empty is all.
	Events  []webhook.Event
	Enabled *bool
}

func (o WebhookOptions) events() *[]managementapi.WebhookEvent {
	if o.Events == nil {
		return nil
	}
	out := make([]managementapi.WebhookEvent, len(o.Events))
	for i, event := range o.Events {
		out[i] = managementapi.WebhookEvent(event)
	}
	return &out
}

// CreateWebhook makes a webhook. The answer holds its secret.
func (m *Management) CreateWebhook(ctx context.Context, url string, opts WebhookOptions) (WebhookSecret, error) {
	req, err := managementapi.NewCreateWebhookRequest(m.server, managementapi.CreateWebhookRequest{
		URL: url, Description: opts.Description, ContextID: opts.ContextID, Events: opts.events(), Enabled: opts.Enabled,
	})
	return call[WebhookSecret](ctx, m.transport, req, err)
}

// Webhooks iterates over every webhook, ordered by id.
func (m *Management) Webhooks(ctx context.Context) iter.Seq2[Webhook, error] {
	return pages[Webhook](ctx, m.transport, func(cursor *string) (*http.Request, error) {
		return managementapi.NewListWebhooksRequest(m.server, &managementapi.ListWebhooksParams{Cursor: cursor})
	})
}

// GetWebhook returns one webhook.
func (m *Management) GetWebhook(ctx context.Context, id string) (Webhook, error) {
	if err := checkSegment("webhook_id", id); err != nil {
		return Webhook{}, err
	}
	req, err := managementapi.NewGetWebhookRequest(m.server, id)
	return call[Webhook](ctx, m.transport, req, err)
}

// PatchWebhook changes a webhook and returns it as it is then.
func (m *Management) PatchWebhook(ctx context.Context, id string, opts WebhookOptions) (Webhook, error) {
	if err := checkSegment("webhook_id", id); err != nil {
		return Webhook{}, err
	}
	req, err := managementapi.NewPatchWebhookRequest(m.server, id, managementapi.PatchWebhookRequest{
		URL: opts.URL, Description: opts.Description, ContextID: opts.ContextID, Events: opts.events(), Enabled: opts.Enabled,
	})
	return call[Webhook](ctx, m.transport, req, err)
}

// DeleteWebhook deletes a webhook with everything that waits for it.
func (m *Management) DeleteWebhook(ctx context.Context, id string) error {
	if err := checkSegment("webhook_id", id); err != nil {
		return err
	}
	req, err := managementapi.NewDeleteWebhookRequest(m.server, id)
	return discard(ctx, m.transport, req, err)
}

// RotateWebhookSecret replaces the secret of a webhook. For grace, in whole seconds, both sign; nil is a day.
func (m *Management) RotateWebhookSecret(ctx context.Context, id string, grace *time.Duration) (WebhookSecret, error) {
	if err := checkSegment("webhook_id", id); err != nil {
		return WebhookSecret{}, err
	}
	var body managementapi.RotateWebhookSecretRequest
	if grace != nil {
		body.GraceSeconds = new(int64(*grace / time.Second))
	}
	req, err := managementapi.NewRotateWebhookSecretRequest(m.server, id, body)
	return call[WebhookSecret](ctx, m.transport, req, err)
}

// TestWebhook sends a message of the type webhook.test, once. The delivery says what becomes of it.
func (m *Management) TestWebhook(ctx context.Context, id string) (WebhookDelivery, error) {
	if err := checkSegment("webhook_id", id); err != nil {
		return WebhookDelivery{}, err
	}
	req, err := managementapi.NewTestWebhookRequest(m.server, id, managementapi.Nothing{})
	return call[WebhookDelivery](ctx, m.transport, req, err)
}

// WebhookDeliveries iterates over the deliveries of a webhook, the newest first; only those in a state unless that is empty.
func (m *Management) WebhookDeliveries(ctx context.Context, id, state string) iter.Seq2[WebhookDelivery, error] {
	if err := checkSegment("webhook_id", id); err != nil {
		return failed[WebhookDelivery](err)
	}
	return pages[WebhookDelivery](ctx, m.transport, func(cursor *string) (*http.Request, error) {
		return managementapi.NewListWebhookDeliveriesRequest(m.server, id, &managementapi.ListWebhookDeliveriesParams{
			Cursor: cursor, State: optional(managementapi.ListWebhookDeliveriesParamsState(state)),
		})
	})
}

// RedeliverWebhook sends a message again, with the same id.
func (m *Management) RedeliverWebhook(ctx context.Context, id, messageID string) (WebhookDelivery, error) {
	if err := checkSegments("webhook_id", id, "message_id", messageID); err != nil {
		return WebhookDelivery{}, err
	}
	req, err := managementapi.NewRedeliverWebhookRequest(m.server, id, messageID, managementapi.Nothing{})
	return call[WebhookDelivery](ctx, m.transport, req, err)
}
