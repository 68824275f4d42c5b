package leak_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/spectrond/internal/leak"
)

func mintKey(tb testing.TB) string {
	tb.Helper()
	k, err := apikey.Mint(apikey.NewID())
	if err != nil {
		tb.Fatal(err)
	}
	return k.Reveal()
}

func mintToken(tb testing.TB, env string) string {
	tb.Helper()
	k, err := apikey.MintToken(env, apikey.NewAccountID())
	if err != nil {
		tb.Fatal(err)
	}
	return k.Reveal()
}

func scan(tb testing.TB, r io.Reader) []leak.Hit {
	tb.Helper()
	var hits []leak.Hit
	if err := leak.Scan(r, func(h leak.Hit) error {
		hits = append(hits, h)
		return nil
	}); err != nil {
		tb.Fatal(err)
	}
	return hits
}

// places are where secrets are, as digest at line:column.
func places(hits []leak.Hit) []string {
	out := make([]string, len(hits))
	for i, h := range hits {
		out[i] = fmt.Sprintf("%d:%d", h.Line, h.Column)
	}
	return out
}

func TestWhereSecretsAre(t *testing.T) {
	t.Parallel()
	k, token := mintKey(t), mintToken(t, "prod")
	longTag, shortTag := mintToken(t, "abcdefghijklmnop"), mintToken(t, "a")
	quoted, err := json.Marshal(map[string]string{"k": k})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"nothing":           {"", nil},
		"alone":             {k, []string{"1:1"}},
		"a token":           {token, []string{"1:1"}},
		"tags":              {longTag + " " + shortTag, []string{"1:1", fmt.Sprint("1:", len(longTag)+2)}},
		"JSON":              {string(quoted), []string{"1:7"}},
		"a URL":             {"https://x/?k=" + url.QueryEscape(k) + "&a=b", []string{"1:14"}},
		"lines":             {"a\nb " + k + "\r\n\n " + token + "\n", []string{"2:3", "4:2"}},
		"side by side":      {k + k + token + k, []string{"1:1", "1:56", "1:111", fmt.Sprint("1:", 111+len(token))}},
		"within a word":     {"x" + k + "x", []string{"1:2"}},
		"after a beginning": {"sp-sp-sp-" + k + "spl_spl_" + token, []string{"1:10", fmt.Sprint("1:", 10+55+8)}},
		"binary":            {"\x00\xff\n\x00" + k + "\x00", []string{"2:2"}},
		"a shell line":      {"export SPECTRON_API_KEY='" + k + "'", []string{"1:26"}},
		"cut off":           {k[:54], nil},
		"cut off token":     {token[:len(token)-1], nil},
		"a bent key":        {k[:30] + flip(k[30]) + k[31:], nil},
		"a bent token":      {token[:30] + flip(token[30]) + token[31:], nil},
		"upper case":        {strings.ToUpper(k), nil},
		"a chosen token":    {"spl_prod_sa-bootstrap-env_correct-horse-battery", nil},
		"a placeholder":     {"sp-xxxxxxxxxxxxxxxx-" + strings.Repeat("x", 35) + " sp-… spl_prod_sa_…", nil},
	} {
		for chunking, r := range map[string]io.Reader{
			"whole": strings.NewReader(test.text), "byte by byte": iotest.OneByteReader(strings.NewReader(test.text)),
		} {
			hits := scan(t, r)
			if diff := cmp.Diff(append([]string{}, test.want...), places(hits)); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", name, chunking, diff)
			}
			for _, h := range hits {
				if shown := fmt.Sprintf("%+v %#v", h, h); strings.Contains(shown, k[len(k)-20:]) || strings.Contains(shown, token[len(token)-20:]) {
					t.Errorf("%s: a hit shows the secret", name)
				}
			}
		}
	}
}

// flip returns another character of the alphabet.
func flip(c byte) string {
	if c == 'a' {
		return "b"
	}
	return "a"
}

// TestNothingIsMissedBetweenChunks puts secrets at random places of inputs of many chunks.
func TestNothingIsMissedBetweenChunks(t *testing.T) {
	t.Parallel()
	secrets := []string{mintKey(t), mintToken(t, "prod"), mintKey(t), mintToken(t, "x")}
	rapid.Check(t, func(t *rapid.T) {
		var text bytes.Buffer
		var want []string
		line, column := 1, 1
		for range rapid.IntRange(0, 6).Draw(t, "secrets") {
			pad := rapid.IntRange(0, 300<<10).Draw(t, "pad")
			fill := rapid.SampledFrom([]string{"a", "\n", "s", "sp-", "ab\n"}).Draw(t, "fill")
			padding := strings.Repeat(fill, pad/len(fill))
			text.WriteString(padding)
			if n := strings.Count(padding, "\n"); n > 0 {
				line += n
				column = len(padding) - strings.LastIndex(padding, "\n")
			} else {
				column += len(padding)
			}
			secret := rapid.SampledFrom(secrets).Draw(t, "secret")
			want = append(want, fmt.Sprintf("%d:%d", line, column))
			text.WriteString(secret)
			column += len(secret)
		}
		var got []string
		err := leak.Scan(&text, func(h leak.Hit) error {
			got = append(got, fmt.Sprintf("%d:%d", h.Line, h.Column))
			return nil
		})
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Fatalf("%v (-want +got):\n%s", err, diff)
		}
	})
}

func TestErrorsEndAScan(t *testing.T) {
	t.Parallel()
	stop := errors.New("stop")
	if err := leak.Scan(strings.NewReader(mintKey(t)), func(leak.Hit) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v, want the error of the callback", err)
	}
	n := 0
	r := io.MultiReader(strings.NewReader(mintKey(t)), iotest.ErrReader(stop))
	if err := leak.Scan(r, func(leak.Hit) error { n++; return nil }); !errors.Is(err, stop) || n != 1 {
		t.Errorf("%v after %d hits, want the error of the reader after what came before", err, n)
	}
}

// FuzzScan compares with a scan of every place.
func FuzzScan(f *testing.F) {
	f.Add([]byte("x"+mintKey(f)+mintToken(f, "prod")), 0, 1)
	f.Add([]byte("sp-spl_"), 3, 7)
	f.Fuzz(func(t *testing.T, text []byte, at, repeat int) {
		// A real secret somewhere in it, and long enough to be read in parts.
		k := mintKey(t)
		place := 0
		if len(text) > 0 {
			place = max(0, at) % (len(text) + 1)
		}
		whole := bytes.Join([][]byte{bytes.Repeat(text, max(0, repeat)%64), text[:place], []byte(k), text[place:]}, nil)
		naive := map[string]int{}
		for i := range whole {
			if i+55 <= len(whole) {
				if parsed, err := apikey.Parse(string(whole[i : i+55])); err == nil {
					naive[parsed.ID()]++
				}
			}
		}
		got := map[string]int{}
		for _, h := range scan(t, iotest.HalfReader(bytes.NewReader(whole))) {
			if !h.Token {
				got[h.ID]++
			}
		}
		for id := range naive {
			if got[id] == 0 {
				t.Errorf("a key is missed: %s", id)
			}
		}
		if len(got) > len(naive) {
			t.Error("a key is found that is none")
		}
	})
}
