// Package hook tells endpoints of operators, by signed messages over HTTP, what becomes of keys.
//
// It promises that a message is in the database as soon as its change is, and only then; that it is tried until the endpoint
// accepts it, for as long as is configured, and so may come more than once but always with the same id; that one attempt is under way at a time,
// whatever the number of replicas; that an endpoint that is slow or dead holds no other up; and that no address is called but a
// public one or one of the networks that the operator allows. It does not promise any order.
package hook

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/webhook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
)

const (
	// MaxEndpoints bounds the endpoints of a deployment, and with that the work that one change makes.
	MaxEndpoints = 100
	// maxDescription is the longest description in characters.
	maxDescription = 256
	// idPrefix begins an endpoint's id, idLen is the length of the rest: as that of a key's id.
	idPrefix = "wh_"
	idLen    = 16
	// messageIDLen is the length of the random part of a message's id.
	messageIDLen = 20
	// DefaultGrace is how long the old secret signs, too, after a new one was made.
	DefaultGrace = 24 * time.Hour
	// MaxGrace is the longest that may be asked for.
	MaxGrace = 7 * 24 * time.Hour
)

// Endpoint is somebody who is told.
type Endpoint struct {
	ID, URL, Description string
	// ContextID narrows it to one context; empty is all.
	ContextID string
	Events    []webhook.Event
	Enabled   bool
	// Secret and Previous are what messages are signed with, sealed with the endpoint's id as label. Previous signs until PreviousUntil,
	// and has no content before the first change.
	Secret, Previous secret.Box
	PreviousUntil    time.Time
	CreatedAt        time.Time
	// FailingSince is zero when the last attempt was accepted.
	FailingSince time.Time
	// DisabledAt and DisabledReason say when and why the service itself disabled it.
	DisabledAt     time.Time
	DisabledReason string
}

// Label is what the secrets of an endpoint are sealed with.
func (e Endpoint) Label() string { return "webhook " + e.ID }

// Wants reports whether e is to be told of an event in a context.
func (e Endpoint) Wants(event webhook.Event, contextID string) bool {
	return e.Enabled && slices.Contains(e.Events, event) && (e.ContextID == "" || e.ContextID == contextID)
}

// State says what became of a message to an endpoint.
type State string

// The states of deliveries.
const (
	// Pending ones are tried, or wait to be tried again.
	Pending State = "pending"
	// Delivered ones were accepted.
	Delivered State = "delivered"
	// Failed ones were given up.
	Failed State = "failed"
)

// Delivery is a message to an endpoint.
type Delivery struct {
	EndpointID string
	// MessageID is the webhook-id: the same at every attempt and for every endpoint.
	MessageID string
	Message   webhook.Message
	State     State
	Attempts  int
	// NextAt says when it is tried next, of a pending one.
	NextAt time.Time
	// LastAt is zero before the first attempt. LastStatus is 0 when there was no answer; LastError says why it was not accepted.
	LastAt     time.Time
	LastStatus int
	LastError  string
	LastTook   time.Duration
	// FinishedAt is zero while it is pending.
	FinishedAt time.Time
}

// Body returns the body of the message, the same at every attempt.
func (d Delivery) Body() ([]byte, error) {
	body, err := json.Marshal(d.Message)
	if err != nil {
		return nil, fmt.Errorf("encoding a message: %w", err)
	}
	return body, nil
}

// NotFound is the answer about an endpoint that does not exist.
func NotFound(id string) error { return fault.New(fault.NotFound, "there is no webhook %q", id) }

// DeliveryNotFound is the answer about a delivery that does not exist, or not any more.
func DeliveryNotFound(id string) error {
	return fault.New(fault.NotFound, "there is no delivery %q of that webhook", id)
}

// TooMany is the answer to one endpoint more than [MaxEndpoints].
func TooMany() error {
	return fault.New(fault.Conflict, "there are %d webhooks already; delete one first", MaxEndpoints)
}

// NoContext is the answer to an endpoint for a context that does not exist.
func NoContext(id string) error {
	err := fault.New(fault.Unprocessable, "context_id: there is no context %q", id)
	err.Field = "context_id"
	return err
}

// Store keeps endpoints and what is sent to them.
type Store interface {
	// AddEndpoint stores an endpoint and its creation time. Errors: [TooMany], [NoContext].
	AddEndpoint(ctx context.Context, e Endpoint) (Endpoint, error)
	// Endpoints returns at most limit endpoints by id, those after the id after.
	Endpoints(ctx context.Context, after string, limit int) ([]Endpoint, error)
	// Endpoint returns one. Errors: [NotFound].
	Endpoint(ctx context.Context, id string) (Endpoint, error)
	// ChangeEndpoint stores what change makes of an endpoint, alone with it, with an audit entry of that action. Errors: [NotFound],
	// [NoContext], and those of change.
	ChangeEndpoint(ctx context.Context, id string, action audit.Action, change func(at time.Time, e Endpoint) (Endpoint, error)) (Endpoint, error)
	// DeleteEndpoint removes an endpoint and its deliveries. Errors: [NotFound].
	DeleteEndpoint(ctx context.Context, id string) error
	// Deliveries returns at most limit deliveries of an endpoint, newest first, those before the place that after names; only those in a
	// state unless that is empty. Errors: [NotFound].
	Deliveries(ctx context.Context, endpointID string, state State, after Place, limit int) ([]Delivery, error)
	// Enqueue stores a message of the type webhook.Test to one endpoint. Errors: [NotFound], [Disabled].
	Enqueue(ctx context.Context, endpointID, messageID string) (Delivery, error)
	// Redeliver makes a delivery pending again, at once. Errors: [NotFound], [DeliveryNotFound], [Disabled].
	Redeliver(ctx context.Context, endpointID, messageID string) (Delivery, error)
}

// Place is a place in a list of deliveries: the message of that time and id. The zero value is the beginning.
type Place struct {
	At time.Time
	ID string
}

// checkDescription returns an Invalid fault when text cannot describe an endpoint.
func checkDescription(text string) error {
	if !apikey.Presentable(text, maxDescription) {
		return fault.InvalidField("description", "must have at most %d printable characters, and no secret", maxDescription)
	}
	return nil
}

// checkEvents returns the events in their order, without repetitions; all of them for none. Errors: Invalid.
func checkEvents(events []webhook.Event) ([]webhook.Event, error) {
	if len(events) == 0 {
		return webhook.Events(), nil
	}
	var out []webhook.Event
	for _, known := range webhook.Events() {
		if slices.Contains(events, known) {
			out = append(out, known)
		}
	}
	for _, event := range events {
		if !slices.Contains(out, event) {
			return nil, fault.InvalidField("events", "must be of %v", webhook.Events())
		}
	}
	return out, nil
}
