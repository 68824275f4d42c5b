package secret_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
)

const (
	pepperA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	pepperB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	pepperC = "cccc:cccccccccccccccccccccccccccc"
)

func ring(t *testing.T, text string) *secret.Keyring {
	t.Helper()
	r, err := secret.ParseKeyring(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func digest(t *testing.T) apikey.Digest {
	t.Helper()
	k, err := apikey.Mint(apikey.NewID())
	if err != nil {
		t.Fatal(err)
	}
	return k.Digest()
}

func TestParseKeyring(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text string
		want uint16
	}{
		{pepperA, 1},
		{"\n " + pepperA + " \r\n", 1},
		{"7:" + pepperA, 7},
		{"65535:" + pepperA + ",1:" + pepperB, 65535},
		{"2:" + pepperB + "\n\n" + pepperA + "\r\n", 2},
		{pepperC, 1}, // a colon after something else than digits is part of the secret
		{":" + pepperA, 1},
		{"1:" + pepperA + ",2:" + pepperA, 1},
		{"3:" + pepperB + ", 1:" + pepperA + ",\n,\n", 3},
	} {
		r, err := secret.ParseKeyring(test.text)
		if err != nil {
			t.Errorf("%q: %v", test.text, err)
			continue
		}
		if _, version := r.Seal(digest(t)); version != test.want {
			t.Errorf("%q seals as version %d, want %d", test.text, version, test.want)
		}
	}
	for _, text := range []string{
		"", "\n", ",", "short", "1:short", "0:" + pepperA, "65536:" + pepperA, "99999999999999999999:" + pepperA,
		pepperA + "," + pepperB, "2:" + pepperA + ",2:" + pepperB, pepperA + ",2:short", pepperA[1:],
	} {
		_, err := secret.ParseKeyring(text)
		if err == nil {
			t.Errorf("%q is accepted", text)
			continue
		}
		for _, hidden := range []string{pepperA, pepperB, "short"} {
			if strings.Contains(err.Error(), hidden) {
				t.Errorf("the error about %q quotes a secret", text)
			}
		}
	}
}

func TestPeppersRotate(t *testing.T) {
	t.Parallel()
	before, during, after := ring(t, pepperA), ring(t, "2:"+pepperB+",1:"+pepperA), ring(t, "2:"+pepperB)
	old, other := digest(t), digest(t)
	sealed, version := before.Seal(old)
	fresh, freshVersion := during.Seal(old)
	if version != 1 || freshVersion != 2 || sealed == fresh {
		t.Errorf("sealed as %d, then as %d; equal: %v", version, freshVersion, sealed == fresh)
	}
	for _, test := range []struct {
		name   string
		ring   *secret.Keyring
		seal   secret.Seal
		digest apikey.Digest
		want   bool
	}{
		{"the pepper that sealed", before, sealed, old, true},
		{"another key", before, sealed, other, false},
		{"an old pepper that is kept", during, sealed, old, true},
		{"the new pepper beside the old", during, fresh, old, true},
		{"the old pepper is gone", after, sealed, old, false},
		{"the new pepper alone", after, fresh, old, true},
		{"an empty seal", during, secret.Seal{}, old, false},
	} {
		if got := slices.Contains(test.ring.Seals(test.digest), test.seal); got != test.want {
			t.Errorf("%s: verifies %v, want %v", test.name, got, test.want)
		}
	}
	digests := []apikey.Digest{other, old, other}
	seals := during.Seals(digests...)
	if len(seals) != 6 || seals[1] != fresh || seals[4] != sealed || seals[0] != seals[2] {
		t.Error("the seals of several digests are not in the promised order")
	}
}

func TestSealsArePrintedRedacted(t *testing.T) {
	t.Parallel()
	seal, _ := ring(t, pepperA).Seal(digest(t))
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "seal", seal)
	for _, text := range []string{
		fmt.Sprint(seal), fmt.Sprintf("%x %v %+v %#v %s %d", seal, seal, seal, seal, seal, seal), seal.String(), log.String(),
	} {
		if !strings.Contains(text, "REDACTED") || strings.Contains(text, fmt.Sprintf("%x", seal[:])) || strings.Contains(text, fmt.Sprint(seal[0], seal[1])) {
			t.Error("a seal is printed")
		}
	}
}

func TestNewID(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		id := secret.NewID(12)
		if len(id) != 12 || strings.Trim(id, "abcdefghijklmnopqrstuvwxyz234567") != "" || seen[id] {
			t.Fatalf("id %q is malformed or was given before", id)
		}
		seen[id] = true
	}
}
