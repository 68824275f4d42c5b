package command_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/spectrond/internal/command"
)

func TestExampleEnvironmentFileIsCurrent(t *testing.T) {
	t.Parallel()
	var want bytes.Buffer
	if err := command.WriteExample(&want); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../../../.env.example")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), string(got)); diff != "" {
		t.Errorf("run go generate ./... in services/spectrond (-want +got):\n%s", diff)
	}
}
