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
// fault.BadCredential. A token that speaks for a caller is no good here: it is for one errand of that caller.
func (t *ServiceTokens) Verify(token string) (replica string, err error) {
	claims, err := t.parse(token)
	if err == nil && claims.Caller != nil {
		err = fault.BadCredential().Because(jwt.ErrTokenInvalidClaims)
	}
	return claims.Subject, err
}

// VerifyFor returns the caller that the token speaks for on the errand of the given path. Errors as those of Verify; a token
// that speaks for nobody, or on another errand, is refused, too.
func (t *ServiceTokens) VerifyFor(token, errand string) (who introspection.Identity, err error) {
	claims, err := t.parse(token)
	if err != nil {
		return who, err
	}
	if claims.Caller == nil || claims.Errand != errand {
		return who, fault.BadCredential().Because(jwt.ErrTokenInvalidClaims)
	}
	return *claims.Caller, nil
}

type serviceClaims struct {
	jwt.RegisteredClaims
	Caller *introspection.Identity `json:"caller"` // introspection.IdentityClaim
	Errand string                  `json:"errand"` // introspection.ErrandClaim
}

func (t *ServiceTokens) parse(token string) (claims serviceClaims, err error) {
	if _, err := t.parser.ParseWithClaims(token, &claims, t.key); err != nil {
		return serviceClaims{}, fault.BadCredential().Because(err)
	}
	if claims.Subject == "" {
		return serviceClaims{}, fault.BadCredential().Because(jwt.ErrTokenInvalidSubject)
	}
	return claims, nil
}

func (t *ServiceTokens) key(*jwt.Token) (any, error) { return t.secret, nil }
