// Package servicetoken makes the short-lived token by which a service proves itself to the key manager: a JWT (RFC
// 7519) signed with HS256 under a secret that both hold. The issuer and the audience are those of contract/introspection,
// the subject names the replica.
package servicetoken

import (
	"fmt"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// Lifetime is how long a token is good for. Short, because a token cannot be revoked; long enough that two clocks a
// few minutes apart still agree on it.
const Lifetime = 5 * time.Minute

// Signer signs tokens for one subject. It is safe for concurrent use.
type Signer struct {
	secret  []byte
	subject string
	now     func() time.Time

	mu    sync.Mutex // guards the following fields
	token string
	renew time.Time
}

// New returns a Signer. The secret must have at least introspection.MinServiceSecret bytes. If now is nil, the system
// clock is used.
func New(secret []byte, subject string, now func() time.Time) (*Signer, error) {
	if len(secret) < introspection.MinServiceSecret {
		return nil, fmt.Errorf("the service secret has %d bytes, at least %d are needed: make one with `spectrond generate-secret`",
			len(secret), introspection.MinServiceSecret)
	}
	if now == nil {
		now = time.Now //nolint:forbidigo // the default of the injected clock
	}
	return &Signer{secret: secret, subject: subject, now: now}, nil
}

// Token returns a token that is good for at least half of its lifetime.
func (s *Signer) Token() (string, error) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token != "" && now.Before(s.renew) {
		return s.token, nil
	}
	token, err := s.sign(s.claims(now))
	if err != nil {
		return "", err
	}
	s.token, s.renew = token, now.Add(Lifetime/2)
	return token, nil
}

// TokenFor returns a token by which the service speaks for a caller that it has verified, on the one errand of the given path.
func (s *Signer) TokenFor(who introspection.Identity, errand string) (string, error) {
	return s.sign(callerClaims{s.claims(s.now()), who, errand})
}

// callerClaims are those of a service that speaks for a caller.
type callerClaims struct {
	jwt.RegisteredClaims
	Caller introspection.Identity `json:"caller"` // introspection.IdentityClaim
	Errand string                 `json:"errand"` // introspection.ErrandClaim
}

func (s *Signer) claims(now time.Time) jwt.RegisteredClaims {
	return jwt.RegisteredClaims{
		Issuer:    introspection.Issuer,
		Audience:  jwt.ClaimStrings{introspection.Audience},
		Subject:   s.subject,
		IssuedAt:  jwt.NewNumericDate(now),
		ExpiresAt: jwt.NewNumericDate(now.Add(Lifetime)),
	}
}

func (s *Signer) sign(claims jwt.Claims) (string, error) {
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(s.secret)
	if err != nil {
		return "", fmt.Errorf("signing a service token: %w", err)
	}
	return token, nil
}
