package httpapi

import (
	"context"
	"net/url"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
)

// ListKeys lists the keys of a context by name.
func (p Parts) ListKeys(ctx context.Context, request ListKeysRequestObject) (ListKeysResponseObject, error) {
	page, err := pageOf(request.Params.Limit, request.Params.Cursor)
	if err != nil {
		return nil, err
	}
	within, usage := request.Params.ExpiringWithin, request.Params.Usage
	keys, err := p.Keys.ListWithin(ctx, request.ContextId, "", page.after, page.limit+1, within)
	if err != nil {
		return nil, err
	}
	path := "/api/v1/contexts/" + request.ContextId + "/keys"
	keys, link := cutWith(page, path, filter(filter(url.Values{}, "expiring_within", within), "usage", usage), keys, func(k key.Listed) string { return k.Name })
	body, err := each(keys, listedBody(usage))
	return ListKeys200JSONResponse{Body: body, Headers: ListKeys200ResponseHeaders{Link: link}}, err
}

// MintKey makes a key.
func (p Parts) MintKey(ctx context.Context, request MintKeyRequestObject) (MintKeyResponseObject, error) {
	body := value(request.Body)
	first := firstSettings(body.Enabled, body.RateLimit, body.AllowedCidrs)
	minted, err := p.Keys.Mint(ctx, request.ContextId, request.Name, request.Params.TtlSeconds, shapeOf(body), first)
	if err != nil {
		return nil, err
	}
	return MintKey201JSONResponse(mintedBody(minted)), nil
}

// RotateKey gives a key a new secret.
func (p Parts) RotateKey(ctx context.Context, request RotateKeyRequestObject) (RotateKeyResponseObject, error) {
	rotated, err := p.Keys.Rotate(ctx, request.ContextId, request.Name, request.Params.TtlSeconds)
	if err != nil {
		return nil, err
	}
	return RotateKey200JSONResponse(mintedBody(rotated)), nil
}

// DeleteKey removes a key.
func (p Parts) DeleteKey(ctx context.Context, request DeleteKeyRequestObject) (DeleteKeyResponseObject, error) {
	return DeleteKey204Response{}, p.Keys.Delete(ctx, request.ContextId, request.Name)
}

func shapeOf(body MintKeyRequest) principal.Shape {
	shape := principal.Shape{Kind: caller.Kind(value(body.Principal)), Grants: value(body.Grants)}
	if floor := body.ScopeFloor; floor != nil {
		shape.Floor = principal.Floor{}
		for name, pinned := range map[string]*string{"org": floor.Org, "team": floor.Team, "agent": floor.Agent, "user": floor.User} {
			if pinned != nil {
				shape.Floor[name] = *pinned
			}
		}
	}
	return shape
}

// mintedBody is the one place where the text of a key leaves.
func mintedBody(m key.Minted) MintedKey {
	body := MintedKey{
		Id: m.ID, Name: m.Name, Key: m.Secret.Reveal(), ValidUntil: given(m.ExpiresAt), PrincipalId: m.PrincipalID,
		Revision: m.Revision,
	}
	if m.Propagation != nil {
		body.Propagation = new(propagationBody(*m.Propagation))
	}
	return body
}

func propagationBody(p revision.Propagation) Propagation {
	return Propagation{Acknowledged: p.Acknowledged, Lapsed: p.Lapsed, WaitedMs: p.Waited.Milliseconds()}
}

// listedBody shows keys as lists of one context do. What published clients do not know of a key is told only where there is something to
// tell, or to whoever asks: its uses, which are in the self-service listing alone for them, and that it is enabled, as all are.
func listedBody(usage *bool) func(key.Listed) (Key, error) {
	return func(k key.Listed) (Key, error) {
		body := keyBody(k)
		if !value(usage) {
			body.LastUsedAt, body.UseCount = nil, nil
			if !k.Disabled {
				body.Enabled = nil
			}
		}
		return body, nil
	}
}

func keyBody(k key.Listed) Key {
	return Key{
		Id: k.ID, Name: k.Name, Grants: grantsBody(k.Grants), PrincipalId: k.PrincipalID, Principal: KeyPrincipal(k.PrincipalKind),
		ValidUntil: given(k.ExpiresAt), CreatedAt: k.CreatedAt,
		Enabled: new(!k.Disabled), RateLimit: rateLimitBody(k.Limits), AllowedCidrs: networksBody(k.Limits),
		LastUsedAt: given(k.LastUsedAt), UseCount: &k.Uses,
	}
}

// grantsBody is a grant map as it is shown; nil, which inherits, is absent.
func grantsBody(m grant.Map) *GrantMap {
	if m == nil {
		return nil
	}
	out := make(GrantMap, len(m))
	for verb, region := range m {
		patterns := make([]string, len(region))
		for i, pattern := range region {
			patterns[i] = pattern.String()
		}
		out[string(verb)] = patterns
	}
	return &out
}
