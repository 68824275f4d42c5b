package command

import (
	"path/filepath"
	"testing"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/database"
)

// Whatever the data directory is called, what is backed up is the store in it.
func TestTheStoreOfADataDirectoryIsTheOneInIt(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"plain", "a b", "50%20off", "what?", "a#b"} {
		dir := filepath.Join(t.TempDir(), name)
		connection, err := (&backupSettings{}).store(&cobra.Command{}, dir)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := database.FilePath(connection); err != nil || filepath.Dir(got) != dir {
			t.Errorf("%s: got %s, %v", dir, got, err)
		}
	}
}
