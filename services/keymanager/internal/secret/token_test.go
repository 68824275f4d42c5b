package secret_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
)

const serviceSecret = "a service secret that is long enough"

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// claims of a token that is accepted.
func claims() jwt.MapClaims {
	return jwt.MapClaims{
		"iss": introspection.Issuer, "aud": introspection.Audience, "sub": "replica-1", "exp": noon.Add(5 * time.Minute).Unix(),
	}
}

func sign(t *testing.T, method jwt.SigningMethod, c jwt.MapClaims, key any) string {
	t.Helper()
	token, err := jwt.NewWithClaims(method, c).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestServiceTokens(t *testing.T) {
	t.Parallel()
	tokens, err := secret.NewServiceTokens([]byte(serviceSecret), func() time.Time { return noon })
	if err != nil {
		t.Fatal(err)
	}
	with := func(name string, value any) string {
		c := claims()
		c[name] = value
		if value == nil {
			delete(c, name)
		}
		return sign(t, jwt.SigningMethodHS256, c, []byte(serviceSecret))
	}
	for name, token := range map[string]string{
		"plain":                      with("x", 1),
		"several audiences":          with("aud", []string{"another", introspection.Audience}),
		"expired within the leeway":  with("exp", noon.Add(-59*time.Second).Unix()),
		"not yet, within the leeway": with("nbf", noon.Add(59*time.Second).Unix()),
	} {
		if replica, err := tokens.Verify(token); err != nil || replica != "replica-1" {
			t.Errorf("%s: %q, %v", name, replica, err)
		}
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	valid := with("x", 1)
	parts := strings.Split(valid, ".")
	for name, token := range map[string]string{
		"nothing":             "",
		"garbage":             "garbage",
		"two parts":           parts[0] + "." + parts[1],
		"no signature":        parts[0] + "." + parts[1] + ".",
		"another's signature": parts[0] + "." + parts[1] + "." + strings.Split(with("x", 2), ".")[2],
		"padded signature":    valid + "=",
		"alg none":            sign(t, jwt.SigningMethodNone, claims(), jwt.UnsafeAllowNoneSignatureType),
		"alg none, signed":    base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + "." + parts[2],
		"alg HS512":           sign(t, jwt.SigningMethodHS512, claims(), []byte(serviceSecret)),
		"alg RS256":           sign(t, jwt.SigningMethodRS256, claims(), rsaKey),
		"a public key as HS":  sign(t, jwt.SigningMethodHS256, claims(), publicPEM),
		"wrong secret":        sign(t, jwt.SigningMethodHS256, claims(), []byte(serviceSecret+"x")),
		"wrong issuer":        with("iss", "another"),
		"no issuer":           with("iss", nil),
		"wrong audience":      with("aud", "another"),
		"no audience":         with("aud", nil),
		"expired":             with("exp", noon.Add(-61*time.Second).Unix()),
		"no expiry":           with("exp", nil),
		"expiry of a string":  with("exp", "tomorrow"),
		"not yet":             with("nbf", noon.Add(61*time.Second).Unix()),
		"no subject":          with("sub", nil),
		"empty subject":       with("sub", ""),
	} {
		_, err := tokens.Verify(token)
		if !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("%s: %v, want Unauthenticated", name, err)
			continue
		}
		if got, want := fault.ProblemOf(err, "/", ""), fault.ProblemOf(fault.BadCredential(), "/", ""); got != want {
			t.Errorf("%s is answered %+v, unlike the rest", name, got)
		}
	}
}

func TestServiceSecretsHaveALeastLength(t *testing.T) {
	t.Parallel()
	for length, ok := range map[int]bool{0: false, 31: false, 32: true, 100: true} {
		if _, err := secret.NewServiceTokens(make([]byte, length), time.Now); (err == nil) != ok {
			t.Errorf("%d bytes: %v", length, err)
		}
	}
}
