package spl

import (
	"cmp"
	"context"
	"time"

	"github.com/spectron-hq/spectron/services/contract/grant"
)

// features are the capabilities that every server of this kind has.
var features = []string{"service_accounts", "tokens", "records", "threads", "config", "permission_rules", "sync"}

// GetManifest tells everybody what this server can do.
func (s server) GetManifest(context.Context, GetManifestRequestObject) (GetManifestResponseObject, error) {
	out := GetManifest200JSONResponse{CapabilitiesManifest: s.capabilities()}
	if s.Identity != nil {
		out.FederationManifest = &struct {
			Did            string `json:"did"`
			KeyFingerprint string `json:"key_fingerprint"`
			// Sync Where changes are read.
			Sync string `json:"sync"`
		}{s.Identity.DID(), s.Identity.Fingerprint(), "/v1/sync/changes"}
	}
	return out, nil
}

// GetCapabilities tells the same to callers.
func (s server) GetCapabilities(context.Context, GetCapabilitiesRequestObject) (GetCapabilitiesResponseObject, error) {
	return GetCapabilities200JSONResponse(s.capabilities()), nil
}

func (s server) capabilities() Capabilities {
	return Capabilities{Version: s.Version, Namespace: s.Context, Scopes: scopesOf(grant.Scopes()), Features: features}
}

func scopesOf(verbs []grant.Verb) []Scope {
	out := []Scope{}
	for _, verb := range verbs {
		out = append(out, Scope(verb))
	}
	return out
}

// GetDaemonHealth tells how the server is, in numbers.
func (s server) GetDaemonHealth(ctx context.Context, _ GetDaemonHealthRequestObject) (GetDaemonHealthResponseObject, error) {
	who, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	standing, err := s.Accounts.Standing(ctx, s.Context)
	if err != nil {
		return nil, err
	}
	counted, err := s.Threads.Count(ctx, who.space)
	if err != nil {
		return nil, err
	}
	pairs, err := s.Federation.Pairs(ctx, who.space)
	if err != nil {
		return nil, err
	}
	out := GetDaemonHealth200JSONResponse{
		Status: DaemonHealthStatusOk, Version: s.Version, Auth: DaemonHealthAuthRequired, ServiceAccounts: standing.Active,
		Records: counted.Records, Threads: counted.Threads, Pairs: len(pairs),
	}
	if who.off {
		out.Auth = DaemonHealthAuthOff
	}
	return out, nil
}

// GetIdentity tells who the server is, and who asks.
func (s server) GetIdentity(ctx context.Context, _ GetIdentityRequestObject) (GetIdentityResponseObject, error) {
	who, err := claimOf(ctx)
	if err != nil {
		return nil, err
	}
	principal := who.caller.Principal
	out := GetIdentity200JSONResponse{
		Actor: who.actor, DisplayName: cmp.Or(principal.DisplayName, who.actor), IsAuthenticated: !who.off,
		Scopes: scopesOf(who.caller.Effective.ScopesOf()),
	}
	if !who.off {
		out.ServiceAccountID = &principal.ID
	}
	if !who.ends.IsZero() {
		// Two readings of one clock apart, not the wall clock of when it was asked.
		now := s.Now()
		out.ExpiresAt = new(now.Add(who.ends.Sub(now)).UTC().Truncate(time.Second))
	}
	if s.Identity != nil {
		out.Did, out.Method, out.KeyFingerprint = new(s.Identity.DID()), new("did:key"), new(s.Identity.Fingerprint())
		if who.has(grant.Admin) {
			out.KeyPath = new(s.Identity.Path())
		}
	}
	return out, nil
}
