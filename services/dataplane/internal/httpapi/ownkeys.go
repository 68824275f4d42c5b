package httpapi

import (
	"context"

	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// ListOwnKeys lists the keys that the caller may manage.
func (p Parts) ListOwnKeys(ctx context.Context, request ListOwnKeysRequestObject) (ListOwnKeysResponseObject, error) {
	who, err := identityOf(ctx)
	if err != nil {
		return nil, err
	}
	errand, err := listOf(request.Params.Limit, request.Params.Cursor)
	if err != nil {
		return nil, err
	}
	keys, err := p.Keys.ListKeys(ctx, who, errand)
	if err != nil {
		return nil, err
	}
	keys, link := linked(who, "keys", errand, keys, func(k introspection.OwnKey) string { return k.Name })
	out := ListOwnKeys200JSONResponse{Body: []OwnKey{}, Headers: ListOwnKeys200ResponseHeaders{Link: link}}
	for _, k := range keys {
		shown := OwnKey{
			ID: k.ID, Name: k.Name, CreatedAt: k.CreatedAt, LastUsedAt: k.LastUsedAt, ValidUntil: k.ValidUntil, PrincipalID: given(k.PrincipalID),
		}
		if k.Grants != nil {
			shown.Grants = &k.Grants
		}
		out.Body = append(out.Body, shown)
	}
	return out, nil
}

// MintOwnKey makes a key of the caller's own principal.
func (p Parts) MintOwnKey(ctx context.Context, request MintOwnKeyRequestObject) (MintOwnKeyResponseObject, error) {
	who, err := identityOf(ctx)
	if err != nil {
		return nil, err
	}
	errand := introspection.MintErrand{TTLSeconds: request.Params.TTLSeconds}
	if request.Body != nil {
		errand.Name, errand.Grants = request.Body.Name, request.Body.Grants
	}
	minted, err := p.Keys.MintKey(ctx, who, errand)
	if err != nil {
		return nil, err
	}
	return MintOwnKey201JSONResponse(issuedBody(minted)), nil
}

// RotateOwnKey gives a key a new secret.
func (p Parts) RotateOwnKey(ctx context.Context, request RotateOwnKeyRequestObject) (RotateOwnKeyResponseObject, error) {
	who, err := identityOf(ctx)
	if err != nil {
		return nil, err
	}
	rotated, err := p.Keys.RotateKey(ctx, who, introspection.KeyErrand{Name: request.Name, TTLSeconds: request.Params.TTLSeconds})
	if err != nil {
		return nil, err
	}
	return RotateOwnKey200JSONResponse(issuedBody(rotated)), nil
}

// DeleteOwnKey removes a key.
func (p Parts) DeleteOwnKey(ctx context.Context, request DeleteOwnKeyRequestObject) (DeleteOwnKeyResponseObject, error) {
	who, err := identityOf(ctx)
	if err != nil {
		return nil, err
	}
	return DeleteOwnKey204Response{}, p.Keys.DeleteKey(ctx, who, introspection.KeyErrand{Name: request.Name})
}

// issuedBody is where the text of a key leaves.
func issuedBody(k introspection.IssuedKey) OwnMintedKey {
	body := OwnMintedKey{
		ID: k.ID, Name: k.Name, Key: k.Key, PrincipalID: k.PrincipalID, ValidUntil: k.ValidUntil, Revision: &k.Revision,
	}
	if reached := k.Propagation; reached != nil {
		body.Propagation = &Propagation{Acknowledged: reached.Acknowledged, Lapsed: reached.Lapsed, WaitedMs: reached.WaitedMillis}
	}
	return body
}
