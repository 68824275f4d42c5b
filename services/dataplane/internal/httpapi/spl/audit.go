package spl

import (
	"context"
	"log/slog"
	"time"

	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
)

// auditTimeout bounds the wait for a record about what is done already.
const auditTimeout = 5 * time.Second

// lifecycleKind is the kind of the records about service accounts and tokens.
const lifecycleKind = "core.token_lifecycle_event.v1"

// What happens to service accounts and tokens.
const (
	accountBootstrapped = "service_account.bootstrapped"
	accountCreated      = "service_account.created"
	accountEdited       = "service_account.edited"
	accountRevoked      = "service_account.revoked"
	tokenMinted         = "token.minted"
	tokensRotated       = "token.rotated"
	tokenRevoked        = "token.revoked"
)

// event is the body of a record about one of these. It holds names, never a secret.
type event struct {
	Kind      string   `json:"kind"`
	Event     string   `json:"event"`
	AccountID string   `json:"service_account_id"`
	Name      string   `json:"name,omitempty"`
	TokenID   string   `json:"token_id,omitempty"`
	EnvTag    string   `json:"env_tag,omitempty"`
	Scopes    []string `json:"scopes,omitempty"`
	Actors    []string `json:"actors,omitempty"`
	// Revoked are the ids of the tokens that died.
	Revoked []string `json:"revoked,omitempty"`
	Reason  string   `json:"reason,omitempty"`
	// Actor and By are who did it: the claimed identity, and the id of the service account that claimed it.
	Actor string `json:"actor,omitempty"`
	By    string `json:"by,omitempty"`
}

func createdEvents(made introspection.IssuedAccount) []event {
	events := []event{{Event: accountCreated, AccountID: made.ID, Name: made.Name, Scopes: made.Scopes, Actors: made.Actors}}
	if made.Token != nil {
		events = append(events, mintedEvent(tokenMinted, *made.Token, ""))
	}
	return events
}

func mintedEvent(what string, t introspection.IssuedToken, reason string) event {
	return event{Event: what, AccountID: t.AccountID, TokenID: t.ID, EnvTag: t.EnvTag, Scopes: t.Scopes, Reason: reason}
}

// audit leaves records of what a caller did. It is done, and its answer may hold a secret that is shown once: so a record that cannot
// be written is a line in the log, where the key manager's own audit has the rest.
func (s server) audit(ctx context.Context, who claim, events ...event) {
	for _, each := range events {
		each.Actor, each.By = who.actor, who.caller.Principal.ID
		s.leave(ctx, who.space, each)
	}
}

// auditFirst leaves records of the first account, which nobody in particular has made.
func (s server) auditFirst(ctx context.Context, made introspection.IssuedAccount) {
	standing, err := s.Accounts.Standing(context.WithoutCancel(ctx), s.Context)
	if err != nil {
		s.notRecorded(ctx, accountBootstrapped, err)
		return
	}
	events := createdEvents(made)
	events[0].Event = accountBootstrapped
	for _, each := range events {
		s.leave(ctx, standing.Incarnation, each)
	}
}

func (s server) leave(ctx context.Context, space string, each event) {
	each.Kind = lifecycleKind
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditTimeout)
	defer cancel()
	if _, err := s.Records.AppendSystem(ctx, space, record.AuditTokens, record.Learn, each); err != nil {
		s.notRecorded(ctx, each.Event, err)
	}
}

func (s server) notRecorded(ctx context.Context, what string, err error) {
	s.Log.ErrorContext(ctx, "leaving no audit record", slog.String("event", what), slog.Any("error", err))
}
