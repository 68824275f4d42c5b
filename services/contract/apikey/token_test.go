package apikey_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/contract/apikey"
)

func TestMintedTokensParse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		env := rapid.StringMatching(`[a-z0-9-]{1,16}`).Draw(t, "env")
		account := apikey.NewAccountID()
		token, err := apikey.MintToken(env, account)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := apikey.ParseToken(token.Reveal())
		if err != nil || parsed != token || parsed.Env() != env || parsed.Account() != account {
			t.Fatalf("env %q, account %q, %v", parsed.Env(), parsed.Account(), err)
		}
		sum, head, ok := apikey.PeekToken(token.Reveal())
		if !ok || hex.EncodeToString(sum[:]) != token.ID() || head != "spl_"+env+"_"+account+"_" {
			t.Fatal("peeked at another id")
		}
		if id := token.ID(); !apikey.ValidTokenID(id) || strings.Contains(token.Reveal(), id) {
			t.Fatalf("id %q", id)
		}
		if len(token.Reveal()) > apikey.MaxTokenLen || !apikey.IsToken(token.Reveal()) {
			t.Fatal("too long, or not known as a token")
		}
	})
}

func TestAWrongCharacterInATokenIsNoticed(t *testing.T) {
	t.Parallel()
	token, err := apikey.MintToken("prod", apikey.NewAccountID())
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(token.Reveal())
		at := rapid.IntRange(0, len(text)-1).Draw(t, "at")
		with := rapid.Byte().Draw(t, "with")
		if text[at] == with {
			return
		}
		text[at] = with
		if _, err := apikey.ParseToken(string(text)); err == nil {
			t.Fatalf("a byte at %d was replaced by %q and nobody noticed", at, with)
		}
	})
}

func TestMalformedTokens(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("x", 35)
	for _, text := range []string{
		"", "spl_", "spl_prod", "spl_prod_", "spl__sa_aaaaaaaaaaaaaaaa_" + secret, "spl_PROD_sa_aaaaaaaaaaaaaaaa_" + secret,
		"spl_prod_sa_aaaaaaaaaaaaaaa_" + secret, "spl_prod_sa_aaaaaaaaaaaaaaaa-" + secret, "spl_prod_aaaaaaaaaaaaaaaaaaa_" + secret,
		"spl_prod_sa-bootstrap-env_tooshort", "spl_prod_sa-bootstrap-env_" + strings.Repeat("x", 257), "spl_prod_sa-bootstrap-env_with a space in",
	} {
		if _, err := apikey.ParseToken(text); !errors.Is(err, apikey.ErrMalformedToken) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := apikey.ParseToken("spl_prod_sa_aaaaaaaaaaaaaaaa_" + secret); !errors.Is(err, apikey.ErrTokenChecksum) {
		t.Errorf("a wrong checksum: %v", err)
	}
}

func TestChosenTokens(t *testing.T) {
	t.Parallel()
	token, err := apikey.ChosenToken("correct-horse_battery")
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := apikey.ParseToken("spl_prod_sa-bootstrap-env_correct-horse_battery")
	if err != nil || parsed != token || parsed.Account() != apikey.BootstrapAccount || parsed.ID() != "" {
		t.Errorf("account %q, id %q, %v", parsed.Account(), parsed.ID(), err)
	}
	minted, err := apikey.MintToken("dev", apikey.BootstrapAccount)
	if err != nil {
		t.Fatal(err)
	}
	if parsed, err := apikey.ParseToken(minted.Reveal()); err != nil || parsed != minted || parsed.ID() != "" || parsed.Env() != "dev" {
		t.Errorf("minted for the same account: env %q, id %q, %v", parsed.Env(), parsed.ID(), err)
	}
	for _, unfit := range []string{"short", "has a space in it .", strings.Repeat("x", 257), "tab\tand enough of it", "nøt ascii at all ..."} {
		if _, err := apikey.ChosenToken(unfit); !errors.Is(err, apikey.ErrChosen) {
			t.Errorf("%q: %v", unfit, err)
		}
	}
}

func TestATokenShowsNothing(t *testing.T) {
	t.Parallel()
	token, err := apikey.MintToken("prod", apikey.NewAccountID())
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(map[string]any{"token": token})
	if err != nil {
		t.Fatal(err)
	}
	secret := token.Reveal()[len(token.Reveal())-35:]
	for how, shown := range map[string]string{
		"formatted": fmt.Sprintf("%v %+v %#v %s %q %x", token, token, token, token, token, token), "encoded": string(encoded),
		"masked": token.Masked(), "redacted": apikey.Redact("token=" + token.Reveal() + "\""), "cut": apikey.Redact(token.Reveal()[:len(token.Reveal())-5]),
		"escaped": apikey.Redact("token%3D" + token.Reveal()), "joined": apikey.Redact("x_" + token.Reveal()),
	} {
		if strings.Contains(shown, secret[:20]) {
			t.Errorf("%s, the secret shows", how)
		}
	}
	if got := apikey.Redact("spl_prod_sa-bootstrap-env_correct-horse_battery"); strings.Contains(got, "horse") {
		t.Error("a chosen secret shows")
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add("spl_prod_sa_aaaaaaaaaaaaaaaa_00000000000000000000000000000xxxxxx")
	f.Add("spl_prod_sa-bootstrap-env_correct-horse_battery")
	f.Add("spl_xxsa_sa-bootstrap-env_" + strings.Repeat("x", 35))
	f.Fuzz(func(t *testing.T, text string) {
		sum, head, known := apikey.PeekToken(text)
		token, err := apikey.ParseToken(text)
		if err != nil {
			return
		}
		if id := token.ID(); known != (id != "") || known && (hex.EncodeToString(sum[:]) != id || !strings.HasPrefix(text, head)) {
			t.Error("peeked at another id")
		}
		if token.Digest() != sha256.Sum256([]byte(text)) || apikey.DigestOf(text) != token.Digest() {
			t.Error("another digest")
		}
		if token.Reveal() != text || apikey.CheckEnv(token.Env()) != nil || !apikey.ValidAccountID(token.Account()) {
			t.Error("parsed into something else")
		}
		if strings.Contains(apikey.Redact(text), text[len(text)-16:]) {
			t.Error("not redacted")
		}
	})
}
