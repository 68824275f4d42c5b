package hook

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/webhook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// Draft says what an endpoint is to be like. In a change, what is nil stays.
type Draft struct {
	URL, Description *string
	// ContextID narrows it to one context; empty is all.
	ContextID *string
	// Events are those to tell of; an empty list is all.
	Events  *[]webhook.Event
	Enabled *bool
}

// Registry is the use of endpoints by operators.
type Registry struct {
	store Store
	ring  *secret.Keyring
	guard *Guard
}

// NewRegistry returns the registry of the endpoints in store, whose secrets are sealed with ring and whose URLs guard lets pass.
func NewRegistry(store Store, ring *secret.Keyring, guard *Guard) *Registry {
	return &Registry{store, ring, guard}
}

// Create makes an endpoint and returns it with its secret, which is shown this once. Errors: Invalid; Unprocessable for a
// context that does not exist; Conflict when there are too many.
func (r *Registry) Create(ctx context.Context, draft Draft) (Endpoint, string, error) {
	e := Endpoint{ID: idPrefix + secret.NewID(idLen), Events: webhook.Events(), Enabled: true}
	if draft.URL == nil {
		return Endpoint{}, "", fault.InvalidField("url", "is required")
	}
	e, err := r.apply(e, draft)
	if err != nil {
		return Endpoint{}, "", err
	}
	text := webhook.NewSecret()
	if e.Secret, err = r.ring.Lock(text, e.Label()); err != nil {
		return Endpoint{}, "", err
	}
	e, err = r.store.AddEndpoint(ctx, e)
	if err != nil {
		return Endpoint{}, "", err
	}
	return e, text, nil
}

// apply returns e with what draft changes. Errors: Invalid, Unprocessable.
func (r *Registry) apply(e Endpoint, draft Draft) (_ Endpoint, err error) {
	if draft.URL != nil {
		if err := r.guard.CheckURL(*draft.URL); err != nil {
			return e, err
		}
		e.URL = *draft.URL
	}
	if draft.Description != nil {
		if err := checkDescription(*draft.Description); err != nil {
			return e, err
		}
		e.Description = *draft.Description
	}
	if draft.ContextID != nil {
		if *draft.ContextID != "" {
			if err := tenant.CheckID(*draft.ContextID); err != nil {
				return e, err
			}
		}
		e.ContextID = *draft.ContextID
	}
	if draft.Events != nil {
		if e.Events, err = checkEvents(*draft.Events); err != nil {
			return e, err
		}
	}
	if draft.Enabled != nil {
		if *draft.Enabled && !e.Enabled { // whoever enables it says that it is well again
			e.FailingSince, e.DisabledAt, e.DisabledReason = time.Time{}, time.Time{}, ""
		}
		e.Enabled = *draft.Enabled
	}
	return e, nil
}

// List returns at most limit endpoints by id, those after the id after.
func (r *Registry) List(ctx context.Context, after string, limit int) ([]Endpoint, error) {
	return r.store.Endpoints(ctx, after, limit)
}

// Get returns an endpoint. Errors: NotFound.
func (r *Registry) Get(ctx context.Context, id string) (Endpoint, error) {
	if err := checkID(id); err != nil {
		return Endpoint{}, err
	}
	return r.store.Endpoint(ctx, id)
}

// checkID returns NotFound for what is no id of an endpoint: the database never sees it.
func checkID(id string) error {
	if rest, ok := strings.CutPrefix(id, idPrefix); !ok || !apikey.ValidID(rest) {
		return NotFound(id)
	}
	return nil
}

// Patch changes an endpoint and returns it as it is then. Errors: Invalid, Unprocessable, NotFound.
func (r *Registry) Patch(ctx context.Context, id string, draft Draft) (Endpoint, error) {
	if err := checkID(id); err != nil {
		return Endpoint{}, err
	}
	return r.store.ChangeEndpoint(ctx, id, audit.WebhookPatched, func(_ time.Time, e Endpoint) (Endpoint, error) {
		return r.apply(e, draft)
	})
}

// Delete removes an endpoint with everything that waits for it. An attempt that is under way is not called back. Errors: NotFound.
func (r *Registry) Delete(ctx context.Context, id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	return r.store.DeleteEndpoint(ctx, id)
}

// RotateSecret gives an endpoint another secret, which is shown this once. For grace both sign: 0 ends the old one at once, nil is
// [DefaultGrace]. Errors: Invalid, NotFound.
func (r *Registry) RotateSecret(ctx context.Context, id string, grace *time.Duration) (Endpoint, string, error) {
	if err := checkID(id); err != nil {
		return Endpoint{}, "", err
	}
	keep := DefaultGrace
	if grace != nil {
		keep = *grace
	}
	if keep < 0 || keep > MaxGrace {
		return Endpoint{}, "", fault.InvalidField("grace_seconds", "must be from 0 to %d", int64(MaxGrace/time.Second))
	}
	text := webhook.NewSecret()
	e, err := r.store.ChangeEndpoint(ctx, id, audit.WebhookSecretRotated, func(at time.Time, e Endpoint) (_ Endpoint, err error) {
		e.Previous, e.PreviousUntil = secret.Box{}, time.Time{}
		if keep > 0 {
			if old, err := r.ring.Unlock(e.Secret, e.Label()); err == nil { // otherwise its pepper is gone, and it signs nothing any more
				if e.Previous, err = r.ring.Lock(old, e.Label()); err != nil {
					return e, err
				}
				e.PreviousUntil = at.Add(keep)
			}
		}
		e.Secret, err = r.ring.Lock(text, e.Label())
		return e, err
	})
	if err != nil {
		return Endpoint{}, "", err
	}
	return e, text, nil
}

// Test sends a message of the type webhook.Test, once, whatever the endpoint subscribes to. Errors: NotFound; Conflict for one that is
// disabled.
func (r *Registry) Test(ctx context.Context, id string) (Delivery, error) {
	if err := checkID(id); err != nil {
		return Delivery{}, err
	}
	return r.store.Enqueue(ctx, id, NewMessageID())
}

// Deliveries returns at most limit deliveries of an endpoint, newest first, those before the place after; only those in a state unless
// that is empty. They are kept for a week after their end. Errors: NotFound.
func (r *Registry) Deliveries(ctx context.Context, id string, state State, after Place, limit int) ([]Delivery, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	return r.store.Deliveries(ctx, id, state, after, limit)
}

// Redeliver sends a message again, with its id. Errors: NotFound, Conflict for an endpoint that is disabled.
func (r *Registry) Redeliver(ctx context.Context, id, messageID string) (Delivery, error) {
	if err := checkID(id); err != nil {
		return Delivery{}, err
	}
	if !utf8.ValidString(messageID) || strings.ContainsRune(messageID, 0) {
		return Delivery{}, DeliveryNotFound(messageID)
	}
	return r.store.Redeliver(ctx, id, messageID)
}

// Disabled is the answer to what needs an endpoint that is enabled.
func Disabled(id string) error {
	return fault.New(fault.Conflict, "the webhook %q is disabled; enable it first", id)
}

// StillSealed is the refusal to serve without a pepper that the secrets of webhooks need.
func StillSealed(version uint16, webhooks int64) error {
	return fault.New(fault.Conflict, "the secrets of %d webhooks are sealed under version %d of the pepper, which is not configured, and would "+
		"sign nothing: configure it again, behind the current one (SPECTRON_PEPPER=NEW,%d:OLD), for one start, which seals them anew; or give "+
		"them up with SPECTRON_RETIRED_PEPPERS=%d (--retired-peppers), and rotate the secret of each", webhooks, version, version, version)
}

// NewMessageID returns a random id for a message. It has no dot: a dot ends it in what is signed.
func NewMessageID() string { return "msg_" + secret.NewID(messageIDLen) }
