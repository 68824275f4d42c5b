package privatefile_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/spectron-hq/spectron/services/spectrond/internal/privatefile"
)

func TestReplaceIsPrivateAndWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "secret")
	if err := os.WriteFile(path, []byte("old and long"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := privatefile.Replace(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil || string(content) != "new" {
		t.Errorf("got %q, %v", content, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != privatefile.Mode {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%d files are left, %v", len(left), err)
	}
}

func TestReplaceNeedsTheDirectory(t *testing.T) {
	t.Parallel()
	if err := privatefile.Replace(filepath.Join(t.TempDir(), "none", "secret"), nil); err == nil {
		t.Error("a directory came from nowhere")
	}
}
