package servicetoken_test

import (
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/verifier/servicetoken"
)

func TestTokenCarriesTheAgreedClaimsAndIsRenewedAtHalfLife(t *testing.T) {
	t.Parallel()
	secret := []byte(strings.Repeat("s", introspection.MinServiceSecret))
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	signer, err := servicetoken.New(secret, "replica-1", func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	first := token(t, signer)
	var claims jwt.RegisteredClaims
	_, err = jwt.ParseWithClaims(first, &claims, func(*jwt.Token) (any, error) { return secret, nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithIssuer(introspection.Issuer), jwt.WithAudience(introspection.Audience),
		jwt.WithExpirationRequired(), jwt.WithTimeFunc(func() time.Time { return now }))
	if err != nil {
		t.Fatal(err)
	}
	if claims.Subject != "replica-1" || !claims.ExpiresAt.Equal(now.Add(servicetoken.Lifetime)) {
		t.Errorf("subject %q, expires %v", claims.Subject, claims.ExpiresAt)
	}
	now = now.Add(servicetoken.Lifetime/2 - time.Second)
	if token(t, signer) != first {
		t.Error("renewed before half of its life was over")
	}
	now = now.Add(time.Second)
	if token(t, signer) == first {
		t.Error("not renewed at half of its life")
	}
}

func TestShortSecretsAreRefused(t *testing.T) {
	t.Parallel()
	if _, err := servicetoken.New(make([]byte, introspection.MinServiceSecret-1), "x", nil); err == nil {
		t.Error("31 bytes were taken")
	}
}

func token(t *testing.T, s *servicetoken.Signer) string {
	t.Helper()
	text, err := s.Token()
	if err != nil {
		t.Fatal(err)
	}
	return text
}
