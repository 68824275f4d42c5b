package httpapi

import (
	"context"
	"log/slog"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
)

// BrokerAccessToken exchanges an outside identity for a key.
func (p Parts) BrokerAccessToken(ctx context.Context, request BrokerAccessTokenRequestObject) (BrokerAccessTokenResponseObject, error) {
	draft, ttl, err := brokerage(*request.Body)
	if err != nil {
		return nil, err
	}
	minted, owner, err := p.Keys.Broker(ctx, request.ContextId, draft, ttl)
	if err != nil {
		return nil, err
	}
	if len(owner.Grants) == 0 {
		p.log().WarnContext(ctx, "brokered a key of a principal without grants: it opens nothing",
			slog.String("context_id", request.ContextId), slog.String("principal_id", owner.ID))
	}
	body := mintedBody(minted)
	return BrokerAccessToken201JSONResponse{
		Id: body.Id, Name: body.Name, Key: body.Key, ValidUntil: minted.ExpiresAt, PrincipalId: body.PrincipalId,
		Revision: body.Revision, Propagation: body.Propagation,
	}, nil
}

// brokerage reads a request, each name in whichever spelling it is given.
func brokerage(b AccessTokenRequest) (draft principal.Draft, ttl int64, err error) {
	externalID, err := either("external_id", b.ExternalId, b.ExternalIdAlias)
	if err != nil {
		return draft, 0, err
	}
	name, err := either("display_name", b.DisplayName, b.DisplayNameAlias)
	if err != nil {
		return draft, 0, err
	}
	seconds, err := either("ttl_seconds", b.TtlSeconds, b.TtlSecondsAlias)
	switch {
	case err != nil:
		return draft, 0, err
	case externalID == nil:
		return draft, 0, fault.InvalidField("external_id", "is required")
	case seconds == nil:
		return draft, 0, fault.InvalidField("ttl_seconds", "is required")
	}
	draft = principal.Draft{
		DisplayName: value(name), Kind: caller.Kind(value(b.Kind)), ExternalID: *externalID, Grants: value(b.Grants),
	}
	return draft, *seconds, nil
}

// either returns what is given under one of the two spellings of a field.
func either[T comparable](field string, snake, camel *T) (*T, error) {
	if snake == nil {
		return camel, nil
	}
	if camel != nil && *camel != *snake {
		return nil, fault.InvalidField(field, "must not be given twice")
	}
	return snake, nil
}

// log is where what no caller is told goes.
func (p Parts) log() *slog.Logger {
	if p.Log == nil {
		return slog.Default()
	}
	return p.Log
}
