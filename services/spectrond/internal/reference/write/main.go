// Command write writes the reference into a folder: write REPOSITORY FOLDER. go generate runs it.
package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spectron-hq/spectron/services/spectrond/internal/reference"
)

func main() {
	if err := run(context.Background(), os.Args[1], os.Args[2]); err != nil {
		slog.Error("writing the reference", slog.Any("error", err))
		os.Exit(1)
	}
}

func run(ctx context.Context, repository, folder string) (err error) {
	scratch, err := os.MkdirTemp("", "reference")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	pages, err := reference.Pages(ctx, repository, scratch)
	for name, page := range pages {
		err = errors.Join(err, os.WriteFile(filepath.Join(folder, name), []byte(page), 0o644)) //nolint:gosec // for everybody to read
	}
	return err
}
