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
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Issuer:    introspection.Issuer,
		Audience:  jwt.ClaimStrings{introspection.Audience},
		Subject:   s.subject,
		IssuedAt:  jwt.NewNumericDate(now),
		ExpiresAt: jwt.NewNumericDate(now.Add(Lifetime)),
	}).SignedString(s.secret)
	if err != nil {
		return "", fmt.Errorf("signing a service token: %w", err)
	}
	s.token, s.renew = token, now.Add(Lifetime/2)
	return token, nil
}
