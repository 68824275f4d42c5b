package seal_test

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/dataplane/internal/seal"
)

func sealer(t *testing.T, secret, purpose string) *seal.Sealer {
	t.Helper()
	s, err := seal.New(settings.Secret(strings.Repeat(secret, seal.MinSecret)), purpose)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOnlyItsOwnPlaceOpens(t *testing.T) {
	t.Parallel()
	s := sealer(t, "s", "a")
	others := map[string]*seal.Sealer{"secret": sealer(t, "t", "a"), "purpose": sealer(t, "s", "b")}
	rapid.Check(t, func(t *rapid.T) {
		text, place := rapid.String().Draw(t, "text"), rapid.String().Draw(t, "place")
		sealed := s.Seal(settings.Secret(text), place)
		if got, err := s.Open(sealed, place); err != nil || got.Reveal() != text {
			t.Fatalf("opened: %v", err)
		}
		if len(text) > 3 && bytes.Contains(sealed, []byte(text)) {
			t.Fatal("the text is not hidden")
		}
		if _, err := s.Open(sealed, place+"x"); err == nil {
			t.Fatal("it opens in another place")
		}
		for name, other := range others {
			if _, err := other.Open(sealed, place); err == nil {
				t.Fatalf("it opens with another %s", name)
			}
		}
		sealed[rapid.IntRange(0, len(sealed)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if _, err := s.Open(sealed, place); err == nil {
			t.Fatal("it opens although it was changed")
		}
	})
}

func TestWhatWasNeverSealed(t *testing.T) {
	t.Parallel()
	s := sealer(t, "s", "a")
	for _, sealed := range [][]byte{nil, {}, {1}, {1, 2, 3}, bytes.Repeat([]byte{1}, 64)} {
		if _, err := s.Open(sealed, ""); err == nil {
			t.Errorf("%v opens", sealed)
		}
	}
}

func TestAShortSecretIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := seal.New(settings.Secret(strings.Repeat("s", seal.MinSecret-1)), "a"); err == nil {
		t.Error("taken")
	}
}
