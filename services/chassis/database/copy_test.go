package database_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database"
)

func TestCopyIsOfOneMomentAndPrivate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from, to := filepath.Join(dir, "store.db"), filepath.Join(dir, "store.db.bak")
	db := opened(t, "sqlite://"+from)
	fill := func(text string) {
		t.Helper()
		if err := db.Exec("INSERT INTO words VALUES (?)", text).Error; err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Exec("CREATE TABLE words (word TEXT)").Error; err != nil {
		t.Fatal(err)
	}
	fill("first")
	if err := os.WriteFile(to, []byte("what was here before"), 0o644); err != nil {
		t.Fatal(err)
	}
	// The store is open, and what was written last is in its log only.
	if err := database.Copy(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	fill("second")
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	var words []string
	if err := opened(t, "sqlite://"+to).Raw("SELECT word FROM words").Scan(&words).Error; err != nil || strings.Join(words, " ") != "first" {
		t.Errorf("the copy has %q, %v", words, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".copy-*")); err != nil || len(left) != 0 {
		t.Errorf("left: %q, %v", left, err)
	}
}

func TestCopyLeavesTheOldOneWhenItFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from, to := filepath.Join(dir, "store.db"), filepath.Join(dir, "store.db.bak")
	for path, content := range map[string]string{from: strings.Repeat("this is no database\n", 500), to: "the last good copy"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := database.Copy(t.Context(), from, to); err == nil {
		t.Error("it copied what is no database")
	}
	if content, err := os.ReadFile(to); err != nil || string(content) != "the last good copy" {
		t.Errorf("got %q, %v", content, err)
	}
}

func opened(t *testing.T, url string) *database.DB {
	t.Helper()
	db, err := database.Open(t.Context(), url, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}
