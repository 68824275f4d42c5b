package apikey_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/contract/apikey"
)

func mint(tb testing.TB) apikey.Key {
	tb.Helper()
	key, err := apikey.Mint(apikey.NewID())
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func TestMintedKeyHasTheDocumentedForm(t *testing.T) {
	t.Parallel()
	id := apikey.NewID()
	key, err := apikey.Mint(id)
	if err != nil {
		t.Fatal(err)
	}
	text := key.Reveal()
	if len(text) != 55 || !strings.HasPrefix(text, "sp-"+id+"-") || key.ID() != id {
		t.Errorf("form: %d characters, id kept: %t", len(text), key.ID() == id)
	}
	parsed, err := apikey.Parse(text)
	if err != nil || parsed != key {
		t.Errorf("Parse: %v, same key: %t", err, parsed == key)
	}
}

func TestMintRefusesForeignIDs(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"", "short", "ABCDEFGHIJKLMNOP", "abcdefghijklmno1", "abcdefghijklmnopq", "abcdefgh-jklmnop"} {
		if _, err := apikey.Mint(id); err == nil {
			t.Errorf("Mint(%q) succeeded", id)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	good := mint(t).Reveal()
	tests := []struct {
		name string
		text string
		want error
	}{
		{"empty", "", apikey.ErrMalformed},
		{"prefix", "sk-" + good[3:], apikey.ErrMalformed},
		{"truncated", good[:54], apikey.ErrMalformed},
		{"extended", good + "0", apikey.ErrMalformed},
		{"upper-case id", good[:3] + "A" + good[4:], apikey.ErrMalformed},
		{"separator", good[:19] + "_" + good[20:], apikey.ErrMalformed},
		{"space in secret", good[:30] + " " + good[31:], apikey.ErrMalformed},
		{"trailing newline", good[:54] + "\n", apikey.ErrMalformed},
		{"all zero secret", "sp-aaaaaaaaaaaaaaaa-" + strings.Repeat("0", 35), apikey.ErrChecksum},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := apikey.Parse(tt.text); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// A CRC-32 finds every error that is confined to 32 consecutive bits, so any one wrong character is found.
func TestEveryChangedCharacterIsNoticed(t *testing.T) {
	t.Parallel()
	good := mint(t).Reveal()
	rapid.Check(t, func(t *rapid.T) {
		i := rapid.IntRange(0, len(good)-1).Draw(t, "position")
		c := rapid.Byte().Draw(t, "character")
		if c == good[i] {
			return
		}
		changed := []byte(good)
		changed[i] = c
		if _, err := apikey.Parse(string(changed)); err == nil {
			t.Fatalf("a change at %d went unnoticed", i)
		}
	})
}

func TestKeyAndDigestNeverPrint(t *testing.T) {
	t.Parallel()
	key := mint(t)
	text := key.Reveal()
	digest := key.Digest()
	encoded, err := digest.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb, key, digest)
		fmt.Fprintf(&out, verb, struct {
			K *apikey.Key
			D []apikey.Digest
		}{&key, []apikey.Digest{digest}})
	}
	if err := json.NewEncoder(&out).Encode(map[string]any{"key": key}); err != nil {
		t.Fatal(err)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "key", key, "digest", digest)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "key", key, "digest", digest)
	for name, secret := range map[string]string{
		"text": text, "secret": text[20:], "digest": string(encoded), "hex digest": fmt.Sprintf("%x", digest[:]),
	} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("the %s was printed", name)
		}
	}
}

func TestRedactKeepsOnlyTheID(t *testing.T) {
	t.Parallel()
	key := mint(t)
	line := apikey.Redact("Authorization: Bearer " + key.Reveal() + ", again " + key.Reveal()[:40] + ".")
	if strings.Contains(line, key.Reveal()[20:30]) || strings.Count(line, "sp-"+key.ID()+"-REDACTED") != 2 {
		t.Error("the secret survived, or the id did not")
	}
}

func TestDigestRoundTripsAndRefusesGarbage(t *testing.T) {
	t.Parallel()
	digest := mint(t).Digest()
	text, err := digest.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	var back apikey.Digest
	if err := back.UnmarshalText(text); err != nil || back != digest {
		t.Errorf("round trip: %v, equal: %t", err, back == digest)
	}
	for _, bad := range []string{"", "AAAA", string(text) + "A", string(text[:42]) + "=", strings.Repeat("*", 43)} {
		if err := back.UnmarshalText([]byte(bad)); !errors.Is(err, apikey.ErrDigest) {
			t.Errorf("UnmarshalText(%q) = %v", bad, err)
		}
	}
}

func TestParseAndDigestAllocateNothing(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts what the whole process allocates
	text := mint(t).Reveal()
	if n := testing.AllocsPerRun(100, func() {
		key, err := apikey.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		_ = key.Digest()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(mint(f).Reveal())
	f.Add("sp-aaaaaaaaaaaaaaaa-" + strings.Repeat("0", 35))
	f.Add("sp--")
	f.Fuzz(func(t *testing.T, text string) {
		key, err := apikey.Parse(text)
		if err != nil {
			return
		}
		if key.Reveal() != text || !apikey.ValidID(key.ID()) {
			t.Error("accepted text does not round-trip")
		}
		if strings.Contains(apikey.Redact(text), text[20:]) {
			t.Error("Redact kept the secret of a key that Parse accepts")
		}
	})
}
