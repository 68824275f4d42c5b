package database_test

import (
	"path/filepath"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database"
)

func TestAFileHasTheSamePathInItsURL(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"plain.db", "a b.db", "100%.db", "50%20off.db", "what?.db", "a#b.db", "é.db"} {
		want := filepath.Join(t.TempDir(), name)
		if got, err := database.FilePath(database.FileURL(want)); err != nil || got != want {
			t.Errorf("%s: got %s, %v", want, got, err)
		}
	}
	relative, err := filepath.Abs("a b.db")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := database.FilePath("sqlite:a%20b.db"); err != nil || got != relative {
		t.Errorf("got %s, %v", got, err)
	}
	for _, connection := range []string{"", "postgres://host/name", "sqlite://host/path", "sqlite:", "sqlite:///x?mode=ro", "sqlite:%zz"} {
		if got, err := database.FilePath(connection); err == nil {
			t.Errorf("%q is taken for the file %s", connection, got)
		}
	}
}
