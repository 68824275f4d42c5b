package settings_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/spectron/internal/settings"
)

// home returns a getenv of environ, with a home directory of its own, and the path of its file of profiles.
func home(t *testing.T, environ map[string]string) (settings.Getenv, string) {
	t.Helper()
	dir := t.TempDir()
	getenv := func(name string) string {
		if name == "HOME" {
			return dir
		}
		return environ[name]
	}
	return getenv, filepath.Join(dir, ".config", "spectron", "config.toml")
}

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

const profiles = `[profiles.default]
url = "http://profile"
api_key = "key-of-profile"
context_id = "context-of-profile"

[profiles.work]
url = "http://work"
`

func TestPrecedence(t *testing.T) {
	t.Parallel()
	all := map[string]string{"SPECTRON_URL": "http://variable", "SPECTRON_API_KEY": "key-of-variable", "SPECTRON_CONTEXT_ID": "context-of-variable"}
	type values struct{ URL, Key, ContextID, Origins, Profile string }
	tests := map[string]struct {
		flags    settings.Flags
		environ  map[string]string
		profiles string
		want     values
	}{
		"nothing": {settings.Flags{}, nil, "", values{client.DefaultURL, "", "", "the default||", "default"}},
		"profile": {settings.Flags{}, nil, profiles, values{
			"http://profile", "key-of-profile", "context-of-profile",
			`from profile "default"|from profile "default"|from profile "default"`, "default",
		}},
		"environment before profile": {settings.Flags{}, all, profiles, values{
			"http://variable", "key-of-variable", "context-of-variable", "from the environment|from the environment|from the environment", "default",
		}},
		"flags before environment": {
			settings.Flags{URL: "http://flag", APIKey: "key-of-flag", ContextID: "context-of-flag"},
			all, profiles,
			values{"http://flag", "key-of-flag", "context-of-flag", "from --url|from --api-key|from --context-id", "default"},
		},
		"each value on its own": {settings.Flags{ContextID: "c"}, map[string]string{"SPECTRON_API_KEY": "k"}, profiles, values{
			"http://profile", "k", "c", `from profile "default"|from the environment|from --context-id`, "default",
		}},
		"profile of the environment": {settings.Flags{}, map[string]string{"SPECTRON_PROFILE": "work"}, profiles, values{
			"http://work", "", "", `from profile "work"||`, "work",
		}},
		"profile of the flag": {settings.Flags{Profile: "default"}, map[string]string{"SPECTRON_PROFILE": "work"}, profiles, values{
			"http://profile", "key-of-profile", "context-of-profile",
			`from profile "default"|from profile "default"|from profile "default"`, "default",
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			getenv, path := home(t, test.environ)
			if test.profiles != "" {
				write(t, path, test.profiles, 0o600)
			}
			s, err := settings.Resolve(test.flags, getenv, false)
			if err != nil {
				t.Fatal(err)
			}
			got := values{s.URL, s.APIKey.Reveal(), s.ContextID, s.URLOrigin + "|" + s.APIKeyOrigin + "|" + s.ContextIDOrigin, s.Profile}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExplicitLeavesOutTheProfile(t *testing.T) {
	t.Parallel()
	getenv, path := home(t, map[string]string{"SPECTRON_URL": "http://variable"})
	write(t, path, profiles, 0o600)
	s, err := settings.Resolve(settings.Flags{ContextID: "c"}, getenv, false)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(client.Config{URL: "http://variable", ContextID: "c"}, s.Explicit); diff != "" {
		t.Errorf("explicit (-want +got):\n%s", diff)
	}
}

func TestProfileMustExistAndHaveAName(t *testing.T) {
	t.Parallel()
	getenv, _ := home(t, nil)
	if _, err := settings.Resolve(settings.Flags{Profile: "none"}, getenv, false); !errors.Is(err, fault.NotFound) {
		t.Errorf("got %v, want fault.NotFound", err)
	}
	if _, err := settings.Resolve(settings.Flags{Profile: "none"}, getenv, true); err != nil {
		t.Errorf("a profile that is to be made: %v", err)
	}
	for _, name := range []string{"a b", "../x", strings.Repeat("a", 65), "é"} {
		if _, err := settings.Resolve(settings.Flags{Profile: name}, getenv, true); !errors.Is(err, fault.Invalid) {
			t.Errorf("%q: got %v, want fault.Invalid", name, err)
		}
	}
}

func TestPath(t *testing.T) {
	t.Parallel()
	getenv, atHome := home(t, nil)
	if got, err := settings.Path(getenv); err != nil || got != atHome {
		t.Errorf("got %s, %v, want %s", got, err, atHome)
	}
	dir := t.TempDir()
	getenv, _ = home(t, map[string]string{"XDG_CONFIG_HOME": dir})
	if got, err := settings.Path(getenv); err != nil || got != filepath.Join(dir, "spectron", "config.toml") {
		t.Errorf("got %s, %v", got, err)
	}
	getenv, atHome = home(t, map[string]string{"XDG_CONFIG_HOME": "relative"})
	if got, err := settings.Path(getenv); err != nil || got != atHome {
		t.Errorf("a relative XDG_CONFIG_HOME: got %s, %v, want %s", got, err, atHome)
	}
}

func TestFileRoundTrip(t *testing.T) {
	t.Parallel()
	_, path := home(t, nil)
	file, err := settings.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]settings.Profile{
		"default": {URL: "http://a", APIKey: "k", ContextID: "c"}, "a.b": {URL: `quote " and ' and \`}, "empty": {},
	}
	file.Profiles = want
	if err := file.Save(); err != nil {
		t.Fatal(err)
	}
	if got := mode(t, path); got != 0o600 {
		t.Errorf("the file has mode %o", got)
	}
	if got := mode(t, filepath.Dir(path)); got != 0o700 {
		t.Errorf("the directory has mode %o", got)
	}
	again, err := settings.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	reveal := cmp.Transformer("reveal", client.APIKey.Reveal)
	if diff := cmp.Diff(want, again.Profiles, reveal); diff != "" {
		t.Errorf("profiles (-saved +read):\n%s", diff)
	}
	if again.Mended {
		t.Error("a private file was mended")
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind %v, %v", entries, err)
	}
}

func TestSaveMakesWhatItFindsPrivate(t *testing.T) {
	t.Parallel()
	_, path := home(t, nil)
	write(t, path, profiles, 0o644)
	if err := os.Chmod(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	file, err := settings.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if !file.Mended || mode(t, path) != 0o600 {
		t.Errorf("mended %v, mode %o", file.Mended, mode(t, path))
	}
	if err := file.Save(); err != nil {
		t.Fatal(err)
	}
	if got := mode(t, filepath.Dir(path)); got != 0o700 {
		t.Errorf("the directory has mode %o", got)
	}
}

func TestSaveFollowsALink(t *testing.T) {
	t.Parallel()
	_, path := home(t, nil)
	target := filepath.Join(t.TempDir(), "dotfiles.toml")
	write(t, target, profiles, 0o600)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
	file, err := settings.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	file.Profiles["new"] = settings.Profile{URL: "http://new"}
	if err := file.Save(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v, %v", info.Mode(), err)
	}
	if content, err := os.ReadFile(target); err != nil || !strings.Contains(string(content), "http://new") {
		t.Errorf("the target was not written: %v", err)
	}
}

func TestErrorsOfTheFileShowNothingOfIt(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ content, want string }{
		"unknown name": {"[profiles.default]\napikey = \"hunter2\"\n", "line 2: unknown name profiles.default.apikey"},
		"no TOML":      {"[profiles.default]\napi_key = hunter2\n", "line 2, column "},
		"wrong type":   {"[profiles]\ndefault = \"hunter2\"\n", "config.toml: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, path := home(t, nil)
			write(t, path, test.content, 0o600)
			_, err := settings.Open(path)
			if err == nil {
				t.Fatal("want an error")
			}
			if strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error holds the key, or not %q", test.want)
			}
		})
	}
}

func TestManagementComesFromFlagsThenVariables(t *testing.T) {
	t.Parallel()
	key := filepath.Join(t.TempDir(), "key")
	write(t, key, "from-file\n", 0o600)
	tests := map[string]struct {
		flags   client.Config
		environ map[string]string
		url     string
		key     string
	}{
		"nothing: where the data plane is": {client.Config{}, nil, "http://profile", ""},
		"variables": {
			client.Config{}, map[string]string{"SPECTRON_MANAGEMENT_URL": "http://m", "SPECTRON_MANAGEMENT_API_KEY": "m"}, "http://m", "m",
		},
		"a file": {client.Config{}, map[string]string{"SPECTRON_MANAGEMENT_API_KEY_FILE": key}, "http://profile", "from-file"},
		"flags before variables": {
			client.Config{URL: "http://f", APIKey: "f"},
			map[string]string{"SPECTRON_MANAGEMENT_URL": "http://m", "SPECTRON_MANAGEMENT_API_KEY": "m"},
			"http://f", "f",
		},
		"the data plane's key is never used": {client.Config{}, map[string]string{"SPECTRON_API_KEY": "d"}, "http://profile", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			getenv, path := home(t, test.environ)
			write(t, path, profiles, 0o600)
			s, err := settings.Resolve(settings.Flags{}, getenv, false)
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Management(test.flags, getenv)
			if err != nil || got.URL != test.url || got.APIKey.Reveal() != test.key || got.ContextID != "" {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	getenv, _ := home(t, map[string]string{"SPECTRON_MANAGEMENT_API_KEY": "m", "SPECTRON_MANAGEMENT_API_KEY_FILE": key})
	s, err := settings.Resolve(settings.Flags{}, getenv, false)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Management(client.Config{}, getenv)
	if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "SPECTRON_MANAGEMENT_API_KEY and SPECTRON_MANAGEMENT_API_KEY_FILE") {
		t.Errorf("both: got %v", err)
	}
}

// Whatever is in the file: it is refused without a word of what stands there, or it is the same after it is saved.
func FuzzFile(f *testing.F) {
	f.Add([]byte(profiles))
	f.Add([]byte("[profiles.\"a.b\"]\nurl = 'x'\n"))
	f.Add([]byte("profiles = 1"))
	f.Add([]byte("\xff"))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "config.toml")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := settings.Open(path)
		if err != nil {
			return
		}
		if err := file.Save(); err != nil {
			t.Fatal(err)
		}
		again, err := settings.Open(path)
		if err != nil {
			t.Fatalf("what was saved cannot be read: %v", err)
		}
		if diff := cmp.Diff(file.Profiles, again.Profiles, cmp.Transformer("reveal", client.APIKey.Reveal)); diff != "" {
			t.Errorf("profiles (-saved +read):\n%s", diff)
		}
	})
}
