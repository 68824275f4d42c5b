package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
)

// PatchKey changes the settings of a key.
func (p Parts) PatchKey(ctx context.Context, request PatchKeyRequestObject) (PatchKeyResponseObject, error) {
	change, err := settingsOf(value(request.Body))
	if err != nil {
		return nil, err
	}
	edited, err := p.Keys.Edit(ctx, request.ContextId, request.Name, change)
	if err != nil {
		return nil, err
	}
	k := keyBody(edited.Listed)
	return PatchKey200JSONResponse{
		Id: k.Id, Name: k.Name, Grants: k.Grants, PrincipalId: k.PrincipalId, Principal: PatchedKeyPrincipal(k.Principal),
		ValidUntil: k.ValidUntil, CreatedAt: k.CreatedAt, Enabled: k.Enabled, RateLimit: k.RateLimit, AllowedCidrs: k.AllowedCidrs,
		LastUsedAt: k.LastUsedAt, UseCount: k.UseCount, Revision: edited.Revision,
		Propagation: propagationBody(edited.Propagation),
	}, nil
}

// settingsOf reads a change. What is null is no limit, what is absent stays. The document has checked the forms.
func settingsOf(body PatchKeyRequest) (key.Edit, error) {
	change := key.Edit{Enabled: body.Enabled}
	if body.RateLimit != nil {
		var limit *RateLimit
		if err := json.Unmarshal(body.RateLimit, &limit); err != nil {
			return change, fault.InvalidField("rate_limit", "cannot be read")
		}
		change.RateLimit = new(rateOf(limit))
	}
	if body.AllowedCidrs != nil {
		networks := []string{}
		if err := json.Unmarshal(body.AllowedCidrs, &networks); err != nil {
			return change, fault.InvalidField("allowed_cidrs", "cannot be read")
		}
		change.AllowedCIDRs = &networks
	}
	return change, nil
}

// firstSettings are those of a mint.
func firstSettings(enabled *bool, limit *RateLimit, networks *AllowedCIDRs) key.Edit {
	first := key.Edit{Enabled: enabled, AllowedCIDRs: networks}
	if limit != nil {
		first.RateLimit = new(rateOf(limit))
	}
	return first
}

func rateOf(limit *RateLimit) *key.RateLimit {
	if limit == nil {
		return nil
	}
	return &key.RateLimit{Requests: limit.Requests, PerSeconds: limit.PerSeconds, Burst: value(limit.Burst)}
}

func rateLimitBody(limits *caller.Limits) *RateLimit {
	if limits == nil || limits.RateLimit == nil {
		return nil
	}
	rate := limits.RateLimit
	return &RateLimit{Requests: int64(rate.Requests), PerSeconds: int64(rate.Per / time.Second), Burst: new(int64(rate.Burst))}
}

func networksBody(limits *caller.Limits) *AllowedCIDRs {
	if limits == nil || len(limits.AllowedCIDRs) == 0 {
		return nil
	}
	out := make(AllowedCIDRs, len(limits.AllowedCIDRs))
	for i, network := range limits.AllowedCIDRs {
		out[i] = network.String()
	}
	return &out
}

// soon is how near the end of a key is when nobody says.
const soon = 30 * 24 * time.Hour

// ListExpiringKeys lists the keys of all contexts that end soon.
func (p Parts) ListExpiringKeys(ctx context.Context, request ListExpiringKeysRequestObject) (ListExpiringKeysResponseObject, error) {
	page, err := pageOf(request.Params.Limit, request.Params.Cursor)
	if err != nil {
		return nil, err
	}
	after, err := placeOf(page.after)
	if err != nil {
		return nil, err
	}
	within := int64(soon / time.Second)
	if request.Params.Within != nil {
		within = *request.Params.Within
	}
	keys, err := p.Keys.Expiring(ctx, within, after, page.limit+1)
	if err != nil {
		return nil, err
	}
	keys, link := cutWith(page, "/api/v1/keys/expiring", filter(url.Values{}, "within", request.Params.Within), keys, func(k key.Listed) string {
		return fmt.Sprintf("%d %s", k.ExpiresAt.UnixMicro(), k.ID)
	})
	body, err := each(keys, expiringBody)
	return ListExpiringKeys200JSONResponse{Body: body, Headers: ListExpiringKeys200ResponseHeaders{Link: link}}, err
}

// placeOf reads what a cursor holds.
func placeOf(text string) (key.Place, error) {
	if text == "" {
		return key.Place{}, nil
	}
	at, id, ok := strings.Cut(text, " ")
	micros, err := strconv.ParseInt(at, 10, 64)
	if !ok || err != nil || id == "" {
		return key.Place{}, fault.InvalidField("cursor", "is not one that was given out")
	}
	return key.Place{EndsAt: time.UnixMicro(micros).UTC(), ID: id}, nil
}

func expiringBody(listed key.Listed) (ExpiringKey, error) {
	k := keyBody(listed)
	return ExpiringKey{
		Id: k.Id, Name: k.Name, Grants: k.Grants, PrincipalId: k.PrincipalId, Principal: ExpiringKeyPrincipal(k.Principal),
		ValidUntil: k.ValidUntil, CreatedAt: k.CreatedAt, Enabled: k.Enabled, RateLimit: k.RateLimit, AllowedCidrs: k.AllowedCidrs,
		LastUsedAt: k.LastUsedAt, UseCount: k.UseCount, ContextId: listed.ContextID,
	}, nil
}
