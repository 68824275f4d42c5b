package command

import (
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// reading calls fn with the file at path, or with standard input for a dash.
func reading(cmd *cobra.Command, path string, fn func(io.Reader) error) (err error) {
	if path == "-" {
		return fn(cmd.InOrStdin())
	}
	file, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return err // it says what was opened, and why not
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return fn(file)
}
