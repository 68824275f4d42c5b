// Package assertion signs what a verification has found, for services that stand behind a proxy and want more than its word: a
// short-lived JWT (RFC 7519) with an Ed25519 signature (EdDSA, RFC 8037), and the public keys to check it with as a JWK Set
// (RFC 7517).
//
// It promises that whoever has the database cannot sign, for the private keys are there only sealed, and cannot make a key of
// their own be published, for what is published is computed from what was unsealed. A key is published before it signs, and until
// the last assertion that it has signed has expired. It does not promise that an assertion is taken once: one that leaks is good
// until it expires, at the services of its audience.
package assertion

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
)

// MaxTTL is the longest that an assertion may be good for: it cannot be revoked.
const MaxTTL = time.Minute

// Claims are what an assertion says.
type Claims struct {
	// RegisteredClaims has the issuer, the subject (see [Subject]), the audience, the times, and an id that is never used again.
	jwt.RegisteredClaims
	Context       string      `json:"context"`
	Principal     string      `json:"principal"`
	PrincipalKind caller.Kind `json:"principal_kind"`
	// OnBehalfOf is the principal that the caller acts for; empty when it acts for itself.
	OnBehalfOf string `json:"on_behalf_of,omitempty"`
	KeyID      string `json:"key_id"`
	KeyName    string `json:"key_name"`
	// Verb and Path are what was asked for, and granted; empty when nothing was.
	Verb string `json:"verb,omitempty"`
	Path string `json:"path,omitempty"`
	// Scope is what the caller may do, as in RFC 9068. ScopeCut says that not all of it is told.
	Scope    string `json:"scope"`
	ScopeCut bool   `json:"scope_cut,omitempty"`
}

// Statement is what a verification has found.
type Statement struct {
	Caller *caller.Caller
	// Ends is when the key expires, by the clock of the Signer; zero when it does not.
	Ends time.Time
	// Audience is who is told; empty means the first one that there is.
	Audience   string
	Verb, Path string
	Scope      string
	ScopeCut   bool
}

// Subject names a principal among those of all contexts: the id of one is unique in its context only, and that of a context has
// no slash.
func Subject(who *caller.Caller) string { return who.Context + "/" + who.Principal.ID }

// Knows reports whether there are assertions for this audience.
func (s *Signer) Knows(audience string) bool {
	for _, known := range s.cfg.Audiences {
		if known == audience {
			return true
		}
	}
	return false
}

// Sign returns an assertion of what was found. Errors: fault.Unavailable while there is no key to sign with.
func (s *Signer) Sign(found Statement) (string, error) {
	now := s.cfg.Now()
	by, ok := s.current(now)
	if !ok {
		return "", fault.New(fault.Unavailable, "there is no key to sign with yet; try again")
	}
	audience := found.Audience
	if audience == "" {
		audience = s.cfg.Audiences[0]
	}
	who := found.Caller
	claims := Claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: s.cfg.Issuer, Subject: Subject(who), Audience: jwt.ClaimStrings{audience}, ID: rand.Text(),
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(s.expiry(now, found.Ends)),
		},
		Context: who.Context, Principal: who.Principal.ID, PrincipalKind: who.Principal.Kind, KeyID: who.KeyID, KeyName: who.KeyName,
		Verb: found.Verb, Path: found.Path, Scope: found.Scope, ScopeCut: found.ScopeCut,
	}
	if who.OnBehalfOf != nil {
		claims.OnBehalfOf = who.OnBehalfOf.ID
	}
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims)
	token.Header["kid"] = by.kid
	signed, err := token.SignedString(ed25519.PrivateKey(by.private))
	if err != nil {
		return "", fmt.Errorf("signing an assertion: %w", err)
	}
	return signed, nil
}

// expiry is when an assertion ends that is made now: never after the key of its caller, of which only the time that is left is
// comparable with this clock.
func (s *Signer) expiry(now, ends time.Time) time.Time {
	left := s.cfg.TTL
	if !ends.IsZero() {
		left = min(left, ends.Sub(now))
	}
	return now.Add(left)
}
