package command

import (
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// A file that cannot be read as far as an earlier run got is refused; the command does not wait for lines that never come.
func TestAnImportGoesOnOnlyInAFileThatCanBeRead(t *testing.T) {
	t.Parallel()
	i := keysImport{state: importState{Lines: 2}}
	err := i.skip(newImportFile(strings.NewReader(strings.Repeat("x", maxImportLine+1)), false))
	if err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("a line that is too long: %v", err)
	}
}

func TestReadingNamesTheFileThatIsMissing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.jsonl")
	err := reading(&cobra.Command{}, path, func(io.Reader) error { return nil })
	if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "backup") {
		t.Errorf("got %v", err)
	}
}
