package mcpconfig_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/spectron/internal/mcpconfig"
)

type entry struct {
	URL string `json:"url"`
}

var ours = entry{"https://spectron.example/mcp?a=1&b=2"}

func TestMerge(t *testing.T) {
	t.Parallel()
	const written = "{\n  \"url\": \"https://spectron.example/mcp?a=1&b=2\"\n}"
	tests := map[string]struct {
		config  string
		force   bool
		want    string
		outcome mcpconfig.Outcome
		err     error
	}{
		"nothing there": {
			"{}", false,
			"{\n  \"mcpServers\": {\n    \"spectron\": {\n      \"url\": \"https://spectron.example/mcp?a=1&b=2\"\n    }\n  }\n}\n",
			mcpconfig.Added, nil,
		},
		"all else stays": {
			`{"z":1.0,"big":123456789012345678901234567890,"mcpServers":{"b":{"x":1e400,"<":"é\u0001"},"a":null},"a":[{}]}`, false,
			`{
  "z": 1.0,
  "big": 123456789012345678901234567890,
  "mcpServers": {
    "b": {
      "x": 1e400,
      "<": "é\u0001"
    },
    "a": null,
    "spectron": {
      "url": "https://spectron.example/mcp?a=1&b=2"
    }
  },
  "a": [
    {}
  ]
}
`, mcpconfig.Added, nil,
		},
		"the same":              {`{ "mcpServers": {"spectron": ` + written + `}}`, false, `{ "mcpServers": {"spectron": ` + written + `}}`, mcpconfig.Unchanged, nil},
		"the same, with force":  {`{"mcpServers":{"spectron":` + written + `}}`, true, `{"mcpServers":{"spectron":` + written + `}}`, mcpconfig.Unchanged, nil},
		"another":               {`{"mcpServers":{"spectron":{"url":"x"}}}`, false, "", "", mcpconfig.ErrTaken},
		"null of that name":     {`{"mcpServers":{"spectron":null}}`, false, "", "", mcpconfig.ErrTaken},
		"more than ours":        {`{"mcpServers":{"spectron":{"url":"https://spectron.example/mcp?a=1&b=2","disabled":true}}}`, false, "", "", mcpconfig.ErrTaken},
		"another, with force":   {`{"mcpServers":{"spectron":{"url":"x"},"a":1}}`, true, "{\n  \"mcpServers\": {\n    \"spectron\": {\n      \"url\": \"https://spectron.example/mcp?a=1&b=2\"\n    },\n    \"a\": 1\n  }\n}\n", mcpconfig.Replaced, nil},
		"names are as written":  {`{"mcpservers":{"spectron":1}}`, false, "{\n  \"mcpservers\": {\n    \"spectron\": 1\n  },\n  \"mcpServers\": {\n    \"spectron\": {\n      \"url\": \"https://spectron.example/mcp?a=1&b=2\"\n    }\n  }\n}\n", mcpconfig.Added, nil},
		"empty":                 {"", true, "", "", mcpconfig.ErrMalformed},
		"blanks":                {" \n", true, "", "", mcpconfig.ErrMalformed},
		"comments":              {"{\n// mine\n}", true, "", "", mcpconfig.ErrMalformed},
		"trailing comma":        {`{"a":1,}`, true, "", "", mcpconfig.ErrMalformed},
		"cut off":               {`{"mcpServers":{`, true, "", "", mcpconfig.ErrMalformed},
		"two documents":         {"{}{}", true, "", "", mcpconfig.ErrMalformed},
		"more behind it":        {"{} x", true, "", "", mcpconfig.ErrMalformed},
		"byte order mark":       {"\ufeff{}", true, "", "", mcpconfig.ErrMalformed},
		"a list":                {"[]", true, "", "", mcpconfig.ErrMalformed},
		"null":                  {"null", true, "", "", mcpconfig.ErrMalformed},
		"servers are a list":    {`{"mcpServers":[]}`, true, "", "", mcpconfig.ErrMalformed},
		"servers are null":      {`{"mcpServers":null}`, true, "", "", mcpconfig.ErrMalformed},
		"servers twice":         {`{"mcpServers":{},"mcpServers":{}}`, true, "", "", mcpconfig.ErrMalformed},
		"one server twice":      {`{"mcpServers":{"a":1,"a":2}}`, true, "", "", mcpconfig.ErrMalformed},
		"not TOML, either":      {"mcpServers = 1", true, "", "", mcpconfig.ErrMalformed},
		"a number out of range": {`{"mcpServers":{"spectron":1e999}}`, false, "", "", mcpconfig.ErrMalformed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, outcome, err := mcpconfig.Merge([]byte(test.config), "spectron", ours, test.force)
			if !errors.Is(err, test.err) || (err != nil) != (test.err != nil) || outcome != test.outcome {
				t.Fatalf("got %q, %v; want %q, %v", outcome, err, test.outcome, test.err)
			}
			if diff := cmp.Diff(test.want, string(got)); diff != "" {
				t.Errorf("file (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "deep", "mcp.json")
	if outcome, err := mcpconfig.Write(path, "spectron", ours, false); err != nil || outcome != mcpconfig.Added {
		t.Fatal(outcome, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", info, err)
	}
	if outcome, err := mcpconfig.Write(path, "spectron", ours, false); err != nil || outcome != mcpconfig.Unchanged {
		t.Error(outcome, err)
	}
	if outcome, err := mcpconfig.Write(path, "spectron", entry{"x"}, false); !errors.Is(err, mcpconfig.ErrTaken) {
		t.Error(outcome, err)
	}
	link := filepath.Join(dir, "link.json")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if outcome, err := mcpconfig.Write(link, "spectron", entry{"x"}, true); err != nil || outcome != mcpconfig.Replaced {
		t.Error(outcome, err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link is gone", err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind %v, %v", entries, err)
	}
}

func TestAFileThatIsNotJSONIsLeftAsItWas(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mcp.json")
	const content = "{ // mine\n}"
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := mcpconfig.Write(path, "spectron", ours, true); !errors.Is(err, mcpconfig.ErrMalformed) {
		t.Errorf("got %v", err)
	}
	got, err := os.ReadFile(path)
	info, statErr := os.Stat(path)
	if err != nil || statErr != nil || string(got) != content || info.Mode().Perm() != 0o644 {
		t.Errorf("got %q, %v, %v", got, info, err)
	}
}

// Whatever is in the file: it is refused, or all of it is still there and our entry with it.
func FuzzMerge(f *testing.F) {
	for _, config := range []string{"{}", `{"mcpServers":{"a":{"b":[1e3,"\ud83d"]}},"x":null}`, `{"mcpServers":{"spectron":1}}`, `{"":{"":""}}`, "[", `{"a":1,"a":2}`} {
		f.Add([]byte(config), "spectron", false)
		f.Add([]byte(config), "a", true)
	}
	f.Fuzz(func(t *testing.T, config []byte, name string, force bool) {
		got, outcome, err := mcpconfig.Merge(config, name, ours, force)
		if err != nil {
			if !errors.Is(err, mcpconfig.ErrMalformed) && !errors.Is(err, mcpconfig.ErrTaken) {
				t.Fatalf("got %v", err)
			}
			return
		}
		before, after := parse(t, config), parse(t, got)
		// Invalid UTF-8 in a name is one and the same replacement character to every reader of JSON.
		encoded, err := json.Marshal(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(encoded, &name); err != nil {
			t.Fatal(err)
		}
		servers, ok := after["mcpServers"].(map[string]any)
		if !ok || !cmp.Equal(servers[name], any(map[string]any{"url": ours.URL})) {
			t.Fatalf("%s: the entry is not there: %s", outcome, got)
		}
		old, _ := before["mcpServers"].(map[string]any)
		if _, had := old[name]; had == (outcome == mcpconfig.Added) {
			t.Errorf("%s, but there was one before: %v", outcome, had)
		}
		delete(servers, name)
		delete(old, name)
		if len(servers) == 0 && len(old) == 0 {
			delete(after, "mcpServers")
			delete(before, "mcpServers")
		}
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("the rest has changed (-before +after):\n%s", diff)
		}
	})
}

func parse(t *testing.T, text []byte) map[string]any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var all map[string]any
	if err := decoder.Decode(&all); err != nil {
		t.Fatalf("%v: %q", err, text)
	}
	return all
}
