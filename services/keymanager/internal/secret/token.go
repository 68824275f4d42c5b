package secret

import (
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// tokenLeeway is how far the clocks of two machines may differ.
const tokenLeeway = time.Minute

// ServiceTokens verifies the tokens with which other services prove who they are.
type ServiceTokens struct {
	secret []byte
	parser *jwt.Parser
}

// NewServiceTokens returns a verifier of tokens signed with secret, or an error when that is too short to sign with.
func NewServiceTokens(secret []byte, now func() time.Time) (*ServiceTokens, error) {
	if len(secret) < introspection.MinServiceSecret {
		return nil, fmt.Errorf("the service secret has %d bytes, at least %d are needed", len(secret), introspection.MinServiceSecret)
	}
	return &ServiceTokens{
		secret: secret,
		parser: jwt.NewParser(
			// The one algorithm. Were the token's own header to choose, it could choose none.
			jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
			jwt.WithIssuer(introspection.Issuer),
			jwt.WithAudience(introspection.Audience),
			jwt.WithExpirationRequired(),
			jwt.WithLeeway(tokenLeeway),
			jwt.WithStrictDecoding(),
			jwt.WithTimeFunc(now),
		),
	}, nil
}

// Verify returns the replica that the token names. Whatever is wrong with a token, the error is the one of
// fault.BadCredential.
func (t *ServiceTokens) Verify(token string) (replica string, err error) {
	var claims jwt.RegisteredClaims
	if _, err := t.parser.ParseWithClaims(token, &claims, t.key); err != nil {
		return "", fault.BadCredential().Because(err)
	}
	if claims.Subject == "" {
		return "", fault.BadCredential().Because(jwt.ErrTokenInvalidSubject)
	}
	return claims.Subject, nil
}

// VerifyFor returns the replica that the token names and the caller that it speaks for. Errors as those of Verify; a token that
// speaks for nobody is refused, too.
func (t *ServiceTokens) VerifyFor(token string) (replica string, who introspection.Identity, err error) {
	var claims struct {
		jwt.RegisteredClaims
		Caller *introspection.Identity `json:"caller"` // introspection.IdentityClaim
	}
	if _, err := t.parser.ParseWithClaims(token, &claims, t.key); err != nil {
		return "", who, fault.BadCredential().Because(err)
	}
	if claims.Subject == "" || claims.Caller == nil {
		return "", who, fault.BadCredential().Because(jwt.ErrTokenInvalidSubject)
	}
	return claims.Subject, *claims.Caller, nil
}

func (t *ServiceTokens) key(*jwt.Token) (any, error) { return t.secret, nil }
