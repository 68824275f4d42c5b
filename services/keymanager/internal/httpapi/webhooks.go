package httpapi

import (
	"context"
	"strings"
	"time"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/webhook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/hook"
)

// ListWebhooks lists webhooks by id.
func (p Parts) ListWebhooks(ctx context.Context, request ListWebhooksRequestObject) (ListWebhooksResponseObject, error) {
	page, err := pageOf(request.Params.Limit, request.Params.Cursor)
	if err != nil {
		return nil, err
	}
	found, err := p.Hooks.List(ctx, page.after, page.limit+1)
	if err != nil {
		return nil, err
	}
	found, link := cut(page, "/api/v1/webhooks", found, func(e hook.Endpoint) string { return e.ID })
	body := make([]Webhook, len(found))
	for i, e := range found {
		body[i] = webhookBody(e)
	}
	return ListWebhooks200JSONResponse{Body: body, Headers: ListWebhooks200ResponseHeaders{Link: link}}, nil
}

// CreateWebhook makes a webhook.
func (p Parts) CreateWebhook(ctx context.Context, request CreateWebhookRequestObject) (CreateWebhookResponseObject, error) {
	b := request.Body
	e, secret, err := p.Hooks.Create(ctx, hook.Draft{
		URL: &b.Url, Description: b.Description, ContextID: b.ContextId, Events: eventsOf(b.Events), Enabled: b.Enabled,
	})
	if err != nil {
		return nil, err
	}
	return CreateWebhook201JSONResponse{Webhook: webhookBody(e), Secret: secret}, nil
}

// GetWebhook shows a webhook.
func (p Parts) GetWebhook(ctx context.Context, request GetWebhookRequestObject) (GetWebhookResponseObject, error) {
	e, err := p.Hooks.Get(ctx, request.WebhookId)
	if err != nil {
		return nil, err
	}
	return GetWebhook200JSONResponse(webhookBody(e)), nil
}

// PatchWebhook changes a webhook.
func (p Parts) PatchWebhook(ctx context.Context, request PatchWebhookRequestObject) (PatchWebhookResponseObject, error) {
	b := request.Body
	e, err := p.Hooks.Patch(ctx, request.WebhookId, hook.Draft{
		URL: b.Url, Description: b.Description, ContextID: b.ContextId, Events: eventsOf(b.Events), Enabled: b.Enabled,
	})
	if err != nil {
		return nil, err
	}
	return PatchWebhook200JSONResponse(webhookBody(e)), nil
}

// DeleteWebhook removes a webhook.
func (p Parts) DeleteWebhook(ctx context.Context, request DeleteWebhookRequestObject) (DeleteWebhookResponseObject, error) {
	return DeleteWebhook204Response{}, p.Hooks.Delete(ctx, request.WebhookId)
}

// RotateWebhookSecret gives a webhook another secret.
func (p Parts) RotateWebhookSecret(ctx context.Context, request RotateWebhookSecretRequestObject) (RotateWebhookSecretResponseObject, error) {
	var grace *time.Duration
	if request.Body != nil && request.Body.GraceSeconds != nil {
		grace = new(time.Duration(*request.Body.GraceSeconds) * time.Second)
	}
	e, secret, err := p.Hooks.RotateSecret(ctx, request.WebhookId, grace)
	if err != nil {
		return nil, err
	}
	return RotateWebhookSecret200JSONResponse{Webhook: webhookBody(e), Secret: secret}, nil
}

// TestWebhook sends a message to try a webhook.
func (p Parts) TestWebhook(ctx context.Context, request TestWebhookRequestObject) (TestWebhookResponseObject, error) {
	d, err := p.Hooks.Test(ctx, request.WebhookId)
	if err != nil {
		return nil, err
	}
	return TestWebhook202JSONResponse(deliveryBody(d)), nil
}

// ListWebhookDeliveries lists what was sent to a webhook, or will be.
func (p Parts) ListWebhookDeliveries(
	ctx context.Context, request ListWebhookDeliveriesRequestObject,
) (ListWebhookDeliveriesResponseObject, error) {
	page, err := pageOf(request.Params.Limit, request.Params.Cursor)
	if err != nil {
		return nil, err
	}
	var after hook.Place
	if page.after != "" {
		at, id, _ := strings.Cut(page.after, " ")
		if after.At, err = time.Parse(time.RFC3339Nano, at); err != nil || id == "" {
			return nil, fault.InvalidField("cursor", "is not one that was given out")
		}
		after.ID = id
	}
	found, err := p.Hooks.Deliveries(ctx, request.WebhookId, hook.State(value(request.Params.State)), after, page.limit+1)
	if err != nil {
		return nil, err
	}
	found, link := cut(page, "/api/v1/webhooks/"+request.WebhookId+"/deliveries", found, func(d hook.Delivery) string {
		return d.Message.Timestamp.Format(time.RFC3339Nano) + " " + d.MessageID
	})
	body := make([]WebhookDelivery, len(found))
	for i, d := range found {
		body[i] = deliveryBody(d)
	}
	return ListWebhookDeliveries200JSONResponse{Body: body, Headers: ListWebhookDeliveries200ResponseHeaders{Link: link}}, nil
}

// RedeliverWebhook sends a message again.
func (p Parts) RedeliverWebhook(ctx context.Context, request RedeliverWebhookRequestObject) (RedeliverWebhookResponseObject, error) {
	d, err := p.Hooks.Redeliver(ctx, request.WebhookId, request.MessageId)
	if err != nil {
		return nil, err
	}
	return RedeliverWebhook202JSONResponse(deliveryBody(d)), nil
}

func eventsOf(given *[]WebhookEvent) *[]webhook.Event {
	if given == nil {
		return nil
	}
	out := make([]webhook.Event, len(*given))
	for i, event := range *given {
		out[i] = webhook.Event(event)
	}
	return &out
}

// webhookBody is a webhook as it is shown: never with its secret.
func webhookBody(e hook.Endpoint) Webhook {
	body := Webhook{
		Id: e.ID, Url: e.URL, Description: e.Description, ContextId: given(e.ContextID), Enabled: e.Enabled, CreatedAt: e.CreatedAt,
		FailingSince: given(e.FailingSince), DisabledAt: given(e.DisabledAt), DisabledReason: given(e.DisabledReason),
		PreviousSecretUntil: given(e.PreviousUntil), Events: make([]WebhookEvent, len(e.Events)),
	}
	for i, event := range e.Events {
		body.Events[i] = WebhookEvent(event)
	}
	return body
}

func deliveryBody(d hook.Delivery) WebhookDelivery {
	body := WebhookDelivery{
		Id: d.MessageID, Type: string(d.Message.Type), Timestamp: d.Message.Timestamp, State: WebhookDeliveryState(d.State), Attempts: d.Attempts,
		KeyId: given(d.Message.Data.ID), ContextId: given(d.Message.Data.ContextID), NextAttemptAt: given(d.NextAt), LastAttemptAt: given(d.LastAt),
		LastError: given(d.LastError), FinishedAt: given(d.FinishedAt),
	}
	if d.LastStatus != 0 {
		body.LastStatus = &d.LastStatus
	}
	if d.LastTook > 0 {
		body.LastTookMs = new(d.LastTook.Milliseconds())
	}
	return body
}
