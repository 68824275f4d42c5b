// Package command is the command line of spectrond. It promises that no secret is echoed: not the value of a flag or
// variable that holds one, not a key given by mistake in another place. Standard output carries what was asked for and
// nothing else; everything said about it goes to standard error.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/process"
	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
)

// The exit statuses of every command.
const (
	exitDone        = 0
	exitFailed      = 1 // refused or failed
	exitUsage       = 2 // the command line or the configuration is wrong: nothing was tried
	exitAlreadyDone = 3 // a once-only act was done before
)

// Main runs the command line of this process until it is done or told to stop, and returns the exit status.
func Main(version string) int {
	ctx, stop := process.Context()
	defer stop()
	return run(ctx, newRoot(version, settings.OS()), os.Stderr)
}

func run(ctx context.Context, root *cobra.Command, stderr io.Writer) int {
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	_, _ = fmt.Fprintf(stderr, "spectrond: %s\n", describe(err)) // nowhere left to report a failure to
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	if errors.Is(err, fault.AlreadyDone) {
		return exitAlreadyDone
	}
	return exitFailed
}

// describe returns err as one line for people.
func describe(err error) string {
	text := err.Error()
	if public, ok := errors.AsType[*fault.Error](err); ok {
		// The kind is a word for programs, and the exit status tells it.
		whole := public.Error()
		text = strings.Replace(text, whole, strings.TrimPrefix(whole, public.Kind.String()+": "), 1)
	}
	return apikey.Redact(strings.ReplaceAll(strings.TrimSpace(text), "\n", "; "))
}

func newRoot(version string, environ settings.Environ) *cobra.Command {
	root := group(&cobra.Command{
		Use:   "spectrond",
		Short: "Spectron: keys that are dead on the next request once they are revoked",
		Long: `spectrond is the server and the operator's tool of Spectron, an authority for API keys and the memory
service that trusts it.

To try it, start both planes in one process and keep what it prints:

  spectrond dev start --bootstrap

To deploy it, run the two planes on one Postgres: 'spectrond migrate up' once per release, then any number of
'spectrond management start' and 'spectrond api start', and 'spectrond bootstrap' once.

Every flag that has a variable shows it in brackets; a flag wins over its variable. A variable that holds a
secret may be replaced by NAME_FILE, the path of a file with the secret in it; prefer that to a flag, which
every user of the machine can read in the list of processes.

Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 already done before.`,
	},
		newManagement(environ),
		newAPI(version, environ),
		newDev(version, environ),
		newBootstrap(environ),
		newMigrate(environ),
		newContexts(environ),
		newPrincipals(environ),
		newKeys(environ),
		newAccessTokens(environ),
		newUsage(environ),
		newVerbs(environ),
		newMigrations(environ),
		newHealthcheck(environ),
		newGenerateKey(),
		newGenerateSecret(),
		newVersion(version),
	)
	start := newDevStart(version, environ) // what published instructions call the node
	start.Hidden = true
	root.AddCommand(start)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, err) })
	return root
}

func newVersion(version string) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Long:    "Print the version of this program.",
		Example: "  spectrond version",
		Args:    arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "spectrond", version)
			return err
		},
	}
}
