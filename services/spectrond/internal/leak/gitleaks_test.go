package leak_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/webhook"
)

const (
	root  = "../../../.."
	rules = root + "/deployments/gitleaks/spectron.toml"

	keyRule, tokenRule, chosenRule, hookRule = "spectron-key", "spectron-service-account-token", "spectron-chosen-token", "spectron-webhook-secret"
)

// rule is what gitleaks does with one of the file: it looks for a keyword, then for the expression, and then whether what it found is let be.
type rule struct {
	ID         string
	Regex      string
	Keywords   []string
	Allowlists []struct{ Regexes []string }
}

func readRules(t *testing.T) map[string]rule {
	t.Helper()
	text, err := os.ReadFile(rules)
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Rules []rule }
	if err := toml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	all := map[string]rule{}
	for _, r := range file.Rules {
		all[r.ID] = r
	}
	if len(all) != 4 {
		t.Fatalf("%d rules", len(all))
	}
	return all
}

// find returns what a rule finds in a text.
func (r rule) find(text string) []string {
	lower := strings.ToLower(text)
	for _, keyword := range r.Keywords {
		if !strings.Contains(lower, keyword) {
			continue
		}
		var found []string
		for _, secret := range regexp.MustCompile(r.Regex).FindAllString(text, -1) {
			if !r.allows(secret) {
				found = append(found, secret)
			}
		}
		return found
	}
	return nil
}

func (r rule) allows(secret string) bool {
	for _, list := range r.Allowlists {
		for _, expression := range list.Regexes {
			if regexp.MustCompile(expression).MatchString(secret) {
				return true
			}
		}
	}
	return false
}

func aKey(t *rapid.T) string {
	key, err := apikey.Mint(apikey.NewID())
	if err != nil {
		t.Fatal(err)
	}
	return key.Reveal()
}

func aToken(t *rapid.T, account string) string {
	env := rapid.StringMatching(`[a-z0-9-]{1,16}`).Draw(t, "env")
	token, err := apikey.MintToken(env, account)
	if err != nil {
		t.Fatal(err)
	}
	return token.Reveal()
}

// Whatever is minted is found, whole, wherever it stands.
func TestGitleaksRulesFindWhatIsMinted(t *testing.T) {
	t.Parallel()
	all := readRules(t)
	around := []string{"", " ", "\n", `"`, "'", "=", `\n`, "%3D", ":", "</b>", ",", "&", "_"}
	rapid.Check(t, func(t *rapid.T) {
		before := rapid.SampledFrom(around).Draw(t, "before")
		after := rapid.SampledFrom(around[:len(around)-1]).Draw(t, "after")
		raw := rapid.SliceOfN(rapid.Byte(), 24, 64).Draw(t, "a secret of another length")
		for id, secrets := range map[string][]string{
			keyRule:   {aKey(t)},
			tokenRule: {aToken(t, apikey.NewAccountID()), aToken(t, apikey.BootstrapAccount)},
			hookRule:  {webhook.NewSecret(), webhook.SecretPrefix + base64.StdEncoding.EncodeToString(append(raw[:23:23], 1+raw[23]%255))},
		} {
			for _, secret := range secrets {
				if id == hookRule && strings.HasPrefix(after, "=") {
					continue // it is base64 itself
				}
				if found := all[id].find(before + secret + after); len(found) != 1 || found[0] != secret {
					t.Fatalf("%s finds %d between %q and %q", id, len(found), before, after)
				}
			}
		}
	})
}

// A chosen secret has any printable characters, so its end is a blank.
func TestGitleaksRulesFindWhatIsChosen(t *testing.T) {
	t.Parallel()
	chosen := readRules(t)[chosenRule]
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`[0-9A-Za-wyz!?.-][!-~]{15,255}`).Draw(t, "secret")
		token, err := apikey.ChosenToken(secret)
		if err != nil {
			t.Fatal(err)
		}
		if found := chosen.find("SPL_TOKEN=" + token.Reveal() + "\n"); len(found) != 1 || found[0] != token.Reveal() {
			t.Fatalf("%d found", len(found))
		}
	})
}

func TestGitleaksRulesLeaveNearMissesBe(t *testing.T) {
	t.Parallel()
	all := readRules(t)
	rapid.Check(t, func(t *rapid.T) {
		key, token, hook := aKey(t), aToken(t, apikey.NewAccountID()), webhook.NewSecret()
		for name, miss := range map[string]string{
			"a key that is too short":       key[:len(key)-1],
			"a key that is too long":        key + "0",
			"a key without its prefix":      key[3:],
			"another prefix":                "sk-" + key[3:],
			"an id in capitals":             key[:3] + strings.ToUpper("a"+key[4:19]) + key[19:],
			"a digit that no id has":        key[:3] + "1" + key[4:],
			"a redacted key":                apikey.Redact(key),
			"a key with a hole":             key[:30] + " " + key[31:],
			"a placeholder":                 key[:20] + strings.Repeat("x", 35),
			"a token that is too short":     token[:len(token)-1],
			"a token that is too long":      token + "0",
			"a redacted token":              apikey.Redact(token),
			"a token's id":                  strings.Repeat("0a", 32),
			"a token without a tag":         "spl_" + token[strings.Index(token, "_sa_"):],
			"a token without a secret":      token[:len(token)-35] + "…",
			"a token of no account":         strings.Replace(token, "_sa_", "_", 1),
			"a variable":                    "spl_prod_" + apikey.BootstrapAccount + "_${SPL_BOOTSTRAP_TOKEN}",
			"a chosen secret too short":     "spl_prod_" + apikey.BootstrapAccount + "_" + strings.Repeat("a", 15),
			"a webhook secret too short":    hook[:len(webhook.SecretPrefix)+31],
			"a webhook secret's prefix":     webhook.SecretPrefix + "…",
			"a webhook secret's prefix off": hook[len(webhook.SecretPrefix):],
		} {
			for id, r := range all {
				if found := r.find(miss); len(found) > 0 {
					t.Fatalf("%s finds %s", id, name)
				}
			}
		}
	})
}

// Each expression of the README is one of the file.
func TestGitleaksReadmeHasTheSameExpressions(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join(filepath.Dir(rules), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(readme), `\|`, "|")
	for id, r := range readRules(t) {
		if !strings.Contains(text, "`"+strings.TrimSuffix(r.Regex, `\b`)+"`") {
			t.Errorf("the README has not the expression of %s", id)
		}
	}
}

// Nothing in this repository is taken for a secret.
func TestGitleaksRulesFindNothingHere(t *testing.T) {
	t.Parallel()
	list := exec.CommandContext(t.Context(), "git", "ls-files", "-z")
	list.Dir = root
	names, err := list.Output()
	if err != nil {
		t.Fatalf("listing the files of the repository: %v", err)
	}
	all, count := readRules(t), 0
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil || bytes.IndexByte(text, 0) >= 0 {
			continue // deleted and not committed yet, or no text
		}
		count++
		for id, r := range all {
			if found := r.find(string(text)); len(found) > 0 {
				t.Errorf("%s: %s finds %d", name, id, len(found))
			}
		}
	}
	if count < 500 {
		t.Errorf("only %d files were looked at", count)
	}
}
