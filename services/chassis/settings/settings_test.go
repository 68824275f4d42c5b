package settings_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/spectron-hq/spectron/services/chassis/settings"
)

// Store is shared by several configurations.
type Store struct {
	URL settings.Secret `env:"APP_STORE,required" flag:"store" usage:"where the data is"`
}

type config struct {
	Store
	Address string          `env:"APP_ADDRESS" envDefault:"127.0.0.1:80" flag:"address" usage:"address to listen on; loopback, for it is an example"`
	TTL     time.Duration   `env:"APP_TTL" envDefault:"2s" flag:"ttl" usage:"how long things live"`
	Verbose bool            `env:"APP_VERBOSE" flag:"verbose" usage:"say more"`
	Log     logging         // nested, and not embedded
	Pepper  settings.Secret `env:"APP_PEPPER" usage:"a secret without a flag"`

	private string //nolint:unused // the walk must pass over it
}

type logging struct {
	Level   slog.Level `env:"APP_LEVEL" envDefault:"info" flag:"level" usage:"least level"`
	Retries int        `env:"APP_RETRIES" envDefault:"3" usage:"how often"`
	Names   []string   `env:"APP_NAMES" usage:"several"`
}

// Verify refuses what only makes no sense together.
func (c *config) Verify() error {
	if c.Verbose && c.TTL < time.Second {
		return errors.New("APP_VERBOSE and a APP_TTL below 1s exclude each other")
	}
	return nil
}

func load(t *testing.T, environ settings.Environ, args ...string) (config, error) {
	t.Helper()
	var c config
	fs := pflag.NewFlagSet("app", pflag.ContinueOnError)
	settings.Flags(fs, &c)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	err := settings.Load(&c, environ, fs)
	return c, err
}

func TestLoadOrder(t *testing.T) {
	t.Parallel()
	got, err := load(t, settings.Environ{
		"APP_STORE": "from-variable", "APP_ADDRESS": "from-variable", "APP_TTL": "3s", "APP_LEVEL": "", "APP_NAMES": "a,b", "OTHER": "x",
	}, "--address", "from-flag", "--verbose")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"store": "from-variable", "address": "from-flag", "ttl": 3 * time.Second, "verbose": true, "level": slog.LevelInfo,
		"retries": 3, "names": []string{"a", "b"},
	}
	if diff := cmp.Diff(want, map[string]any{
		"store": got.URL.Reveal(), "address": got.Address, "ttl": got.TTL, "verbose": got.Verbose, "level": got.Log.Level,
		"retries": got.Log.Retries, "names": got.Log.Names,
	}); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

func TestLoadWithoutFlags(t *testing.T) {
	t.Parallel()
	var c config
	if err := settings.Load(&c, settings.Environ{"APP_STORE": "x"}, nil); err != nil {
		t.Fatal(err)
	}
	if c.Address != "127.0.0.1:80" || c.TTL != 2*time.Second {
		t.Errorf("defaults not applied: %+v", c)
	}
}

func TestLoadErrors(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		environ settings.Environ
		args    []string
		want    []string // parts of the message
	}{
		"required":        {settings.Environ{}, nil, []string{"APP_STORE (--store) is required: set it"}},
		"empty is unset":  {settings.Environ{"APP_STORE": ""}, nil, []string{"APP_STORE (--store) is required"}},
		"duration":        {settings.Environ{"APP_STORE": "x", "APP_TTL": "soon"}, nil, []string{`APP_TTL (--ttl): "soon" is not a duration such as 250ms or 2s`}},
		"flag's duration": {settings.Environ{"APP_STORE": "x"}, []string{"--ttl", "5"}, []string{`APP_TTL (--ttl): "5" is not a duration`}},
		"bool":            {settings.Environ{"APP_STORE": "x", "APP_VERBOSE": "maybe"}, nil, []string{`APP_VERBOSE (--verbose): "maybe" is neither true nor false`}},
		"number":          {settings.Environ{"APP_STORE": "x", "APP_RETRIES": "1e30"}, nil, []string{`APP_RETRIES: "1e30" is not a whole number in range`}},
		"text":            {settings.Environ{"APP_STORE": "x", "APP_LEVEL": "loud"}, nil, []string{`APP_LEVEL (--level): "loud" cannot be read`}},
		"all at once":     {settings.Environ{"APP_TTL": "soon", "APP_RETRIES": "x"}, nil, []string{"APP_STORE", "APP_TTL", "APP_RETRIES"}},
		"both":            {settings.Environ{"APP_STORE": "x", "APP_STORE_FILE": "/y"}, nil, []string{"APP_STORE and APP_STORE_FILE are both set: unset one"}},
		"no such file":    {settings.Environ{"APP_STORE_FILE": "/does/not/exist"}, nil, []string{"APP_STORE_FILE", "/does/not/exist", "no such file"}},
		"verify":          {settings.Environ{"APP_STORE": "x", "APP_TTL": "1ms"}, []string{"--verbose"}, []string{"exclude each other"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, test.environ, test.args...)
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not say %q", err, part)
				}
			}
		})
	}
}

func TestSecretFile(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		content string
		want    string
		err     string
	}{
		"plain":           {"secret", "secret", ""},
		"newline":         {"secret\n", "secret", ""},
		"windows newline": {"secret\r\n", "secret", ""},
		"one newline":     {"secret\n\n", "secret\n", ""},
		"spaces stay":     {" secret ", " secret ", ""},
		"empty":           {"\n", "", "is empty"},
		"too large":       {strings.Repeat("a", 70_000), "", "is too large to be a secret"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "secret")
			if err := os.WriteFile(path, []byte(test.content), 0o600); err != nil {
				t.Fatal(err)
			}
			c, err := load(t, settings.Environ{"APP_STORE": "x", "APP_PEPPER_FILE": path})
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error %v, want one that says %q", err, test.err)
				}
				return
			}
			if err != nil || c.Pepper.Reveal() != test.want {
				t.Errorf("the secret was read wrongly (error %v)", err)
			}
		})
	}
}

func TestSecretIsNeverPrinted(t *testing.T) {
	t.Parallel()
	const plain = "tell-nobody"
	holder := struct{ S settings.Secret }{plain}
	marshalled, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("secret", "s", holder.S)
	printed := []string{string(marshalled), log.String(), holder.S.String(), holder.S.GoString()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T %v"} {
		printed = append(printed, strings.ReplaceAll(fmt.Sprintf(verb, holder.S), "%!v(MISSING)", ""), fmt.Sprintf("%+v %#v", holder, &holder))
	}
	for _, text := range printed {
		if strings.Contains(text, plain) || strings.Contains(text, fmt.Sprintf("%x", plain)) {
			t.Errorf("printed in %d characters", len(text)) // not the text: it may be what must not be seen
		}
	}
	if settings.Secret("").String() != "" {
		t.Error("an empty secret looks like one that is set")
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	fs := pflag.NewFlagSet("app", pflag.ContinueOnError)
	settings.Flags(fs, &config{})
	settings.Flags(fs, &config{}) // a second configuration with the same flags
	help := fs.FlagUsages()
	for _, want := range []string{
		"--address string", "address to listen on; loopback, for it is an example [$APP_ADDRESS] (default \"127.0.0.1:80\")",
		"--ttl duration", "(default 2s)", "--verbose", "[$APP_VERBOSE]", "--store string",
	} {
		if !strings.Contains(help, want) {
			t.Errorf("help does not say %q:\n%s", want, help)
		}
	}
	if fs.Lookup("retries") != nil {
		t.Error("a field without the tag has a flag")
	}
}

func TestExample(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	err := settings.Example(&text, settings.Section{Title: "The application", Config: &config{}}, settings.Section{Title: "Its log", Config: &logging{}})
	if err != nil {
		t.Fatal(err)
	}
	const want = `# The application

# where the data is (--store)
# Or APP_STORE_FILE, the path of a file that holds it.
# APP_STORE=

# address to listen on; loopback, for it is an example (--address)
# APP_ADDRESS=127.0.0.1:80

# how long things live (--ttl)
# APP_TTL=2s

# say more (--verbose)
# APP_VERBOSE=

# least level (--level)
# APP_LEVEL=info

# how often
# APP_RETRIES=3

# several
# APP_NAMES=

# a secret without a flag
# Or APP_PEPPER_FILE, the path of a file that holds it.
# APP_PEPPER=

# Its log

# least level (--level)
# APP_LEVEL=info

# how often
# APP_RETRIES=3

# several
# APP_NAMES=
`
	if diff := cmp.Diff(want, text.String()); diff != "" {
		t.Errorf("example (-want +got):\n%s", diff)
	}
}

func TestOS(t *testing.T) {
	t.Setenv("CHASSIS_SETTINGS_TEST", "a=b")
	if got := settings.OS()["CHASSIS_SETTINGS_TEST"]; got != "a=b" {
		t.Errorf("got %q", got)
	}
}
