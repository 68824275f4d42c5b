package httpapi

import (
	"context"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/webhook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
)

// LookupKeys says what credentials are.
func (p Parts) LookupKeys(ctx context.Context, request LookupKeysRequestObject) (LookupKeysResponseObject, error) {
	digests, err := digestsOf(request.Body.Digests)
	if err != nil {
		return nil, err
	}
	found, err := p.Leaks.Lookup(ctx, digests)
	if err != nil {
		return nil, err
	}
	body := make(LookupKeys200JSONResponse, len(found))
	for i, s := range found {
		body[i].State = KeyStatusState(s.State)
		if f := s.Found; f != nil {
			body[i].Kind = new(KeyStatusKind(kindName(f.Kind)))
			body[i].Id, body[i].Name, body[i].ContextId, body[i].PrincipalId = &f.ID, &f.Name, given(f.ContextID), given(f.Principal.ID)
			body[i].ValidUntil, body[i].LastUsedAt = given(f.ExpiresAt), given(s.LastUsedAt)
		}
	}
	return body, nil
}

// RevokeKeys revokes credentials.
func (p Parts) RevokeKeys(ctx context.Context, request RevokeKeysRequestObject) (RevokeKeysResponseObject, error) {
	digests, err := digestsOf(request.Body.Digests)
	if err != nil {
		return nil, err
	}
	revoked, err := p.Leaks.Revoke(ctx, digests, value(request.Body.Reason))
	if err != nil {
		return nil, err
	}
	body := make(RevokeKeys200JSONResponse, len(revoked))
	for i, r := range revoked {
		body[i].Outcome = RevokedKeyOutcomeUnknown
		if r.Key == nil {
			continue
		}
		body[i].Outcome = RevokedKeyOutcomeRefused
		body[i].Id, body[i].ContextId, body[i].Kind = &r.Key.ID, given(r.Key.ContextID), new(RevokedKeyKind(kindName(r.Key.Kind)))
		if r.Revision != 0 {
			body[i].Outcome, body[i].Revision = RevokedKeyOutcomeRevoked, &r.Revision
		}
	}
	return body, nil
}

// kindName is how a kind of keys is called outside.
func kindName(kind key.Kind) string {
	if kind == key.Context {
		return webhook.KindKey
	}
	return string(kind)
}

func digestsOf(texts Digests) ([]apikey.Digest, error) {
	out := make([]apikey.Digest, len(texts))
	for i, text := range texts {
		if err := out[i].UnmarshalText([]byte(text)); err != nil {
			return nil, fault.InvalidField("digests", "must be SHA-256 in base64url, without padding")
		}
	}
	return out, nil
}
