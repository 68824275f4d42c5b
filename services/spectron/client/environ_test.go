package client_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/spectron/client"
)

func getenvIn(environ map[string]string) func(string) string {
	return func(name string) string { return environ[name] }
}

func TestFromEnviron(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		environ map[string]string
		want    client.Config
	}{
		"nothing": {nil, client.Config{}},
		"names": {
			map[string]string{"SPECTRON_URL": "http://a", "SPECTRON_API_KEY": "k", "SPECTRON_CONTEXT_ID": "c"},
			client.Config{URL: "http://a", APIKey: "k", ContextID: "c"},
		},
		"names before aliases": {
			map[string]string{
				"SPECTRON_URL": "http://a", "SPECTRON_BASE_URL": "http://b", "SPECTRON_ENDPOINT": "http://e",
				"SPECTRON_CONTEXT_ID": "c", "SPECTRON_CONTEXT": "d",
			},
			client.Config{URL: "http://a", ContextID: "c"},
		},
		"aliases":         {map[string]string{"SPECTRON_BASE_URL": "http://b", "SPECTRON_ENDPOINT": "http://e", "SPECTRON_CONTEXT": "d"}, client.Config{URL: "http://b", ContextID: "d"}},
		"last alias":      {map[string]string{"SPECTRON_ENDPOINT": "http://e"}, client.Config{URL: "http://e"}},
		"empty is unset":  {map[string]string{"SPECTRON_URL": "", "SPECTRON_ENDPOINT": "http://e"}, client.Config{URL: "http://e"}},
		"key from a file": {map[string]string{"SPECTRON_API_KEY": "", "SPECTRON_API_KEY_FILE": file}, client.Config{APIKey: "from-file"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := client.FromEnviron(getenvIn(test.environ))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("config (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFromEnvironRefusesTwoKeys(t *testing.T) {
	t.Parallel()
	_, err := client.FromEnviron(getenvIn(map[string]string{"SPECTRON_API_KEY": "hunter2", "SPECTRON_API_KEY_FILE": "/x"}))
	if !errors.Is(err, fault.Invalid) || strings.Contains(err.Error(), "hunter2") {
		t.Error("want fault.Invalid without the key")
	}
}

func TestFromEnvironNamesTheVariableOfAMissingFile(t *testing.T) {
	t.Parallel()
	_, err := client.FromEnviron(getenvIn(map[string]string{"SPECTRON_API_KEY_FILE": filepath.Join(t.TempDir(), "none")}))
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "SPECTRON_API_KEY_FILE") {
		t.Errorf("got %v", err)
	}
}
