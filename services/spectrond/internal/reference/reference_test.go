package reference_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/spectrond/internal/reference"
)

func TestPagesAreCurrent(t *testing.T) {
	t.Parallel()
	pages, err := reference.Pages(t.Context(), "../../../..", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if len(pages) < 7 {
		t.Errorf("only %d pages", len(pages))
	}
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join("../../../../docs/reference", name))
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s: run go generate ./... in services/spectrond (-want +got):\n%s", name, diff)
		}
	}
}
