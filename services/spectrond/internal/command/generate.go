package command

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
	"github.com/spectron-hq/spectron/services/spectrond/internal/secret"
)

// maxKeyFile bounds what is read where a key is expected: far more than a key, so that what follows one is noticed.
const maxKeyFile = 4 << 10

func newGenerateKey() *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use:   "generate-key [--check [file]]",
		Short: "Make a key to pin at bootstrap, or check one",
		Long: `Print a new random key of the right form, for --context-api-key or --management-api-key of bootstrap. It opens
nothing until a bootstrap has enrolled it. To mint a key in a running deployment, use 'spectrond keys generate-key'.

With --check it reads a key from the file, or from standard input, and says whether it is well formed; it never prints
the key. Well formed is not genuine: only the deployment knows whether a key opens anything.`,
		Example: `  spectrond generate-key > management.key
  spectrond generate-key --check management.key`,
		Args: func(cmd *cobra.Command, args []string) error {
			if check && len(args) == 1 {
				return nil
			}
			return cli.Arguments()(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if check {
				return checkKey(cmd, args)
			}
			key, err := apikey.Mint(apikey.NewID())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), key.Reveal())
			return err
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "check a key instead of making one")
	return cmd
}

func checkKey(cmd *cobra.Command, args []string) error {
	in := cmd.InOrStdin()
	if len(args) == 1 && args[0] != "-" {
		file, err := os.Open(args[0])
		if err != nil {
			// Without the name: it may be a key that was taken for one.
			if path, ok := errors.AsType[*fs.PathError](err); ok {
				err = path.Err
			}
			return fmt.Errorf("opening the file with the key: %w (a key itself is read from standard input, never given as an argument)", err)
		}
		defer func() { _ = file.Close() }() // only read
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, maxKeyFile))
	if err != nil {
		return fmt.Errorf("reading the key: %w", err)
	}
	key, err := apikey.Parse(strings.TrimRight(string(text), "\r\n"))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "well formed, id %s\n", key.ID())
	return err
}

func newGenerateSecret() *cobra.Command {
	return &cobra.Command{
		Use:   "generate-secret",
		Short: "Make a pepper or a service secret",
		Long: `Print 32 random bytes in base64url, one line: a value for SPECTRON_PEPPER or SPECTRON_SERVICE_SECRET. Make one
for each, keep them in files that only the services can read, and back the pepper up: without it no stored key
verifies any more.`,
		Example: "  spectrond generate-secret > pepper",
		Args:    cli.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), secret.New())
			return err
		},
	}
}
