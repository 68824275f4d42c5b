// Command envexample writes the example of an environment file to the path it is given. go generate runs it.
package main

import (
	"bytes"
	"log/slog"
	"os"

	"github.com/spectron-hq/spectron/services/spectrond/internal/command"
)

func main() {
	var text bytes.Buffer
	err := command.WriteExample(&text)
	if err == nil {
		err = os.WriteFile(os.Args[1], text.Bytes(), 0o644) //nolint:gosec // for everybody to read: it holds defaults only
	}
	if err != nil {
		slog.Error("writing the example environment file", slog.Any("error", err))
		os.Exit(1)
	}
}
