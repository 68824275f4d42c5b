package secret_test

import (
	"encoding/base64"
	"testing"

	"github.com/spectron-hq/spectron/services/spectrond/internal/secret"
)

func TestNewIs32RandomBytesInBase64URL(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 100 {
		text := secret.New()
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil || len(raw) != 32 {
			t.Fatalf("%d bytes, error %v; want 32 bytes in base64url", len(raw), err)
		}
		if seen[text] {
			t.Fatal("the same secret twice")
		}
		seen[text] = true
	}
}
