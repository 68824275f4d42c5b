// Package command is the command line of spectrond. It promises that no secret is echoed: not the value of a flag or
// variable that holds one, not a key given by mistake in another place. Standard output carries what was asked for and
// nothing else; everything said about it goes to standard error.
package command

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/process"
	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
)

// Main runs the command line of this process until it is done or told to stop, and returns the exit status.
func Main(version string) int {
	ctx, stop := process.Context()
	defer stop()
	return cli.Run(ctx, newRoot(version, settings.OS()), os.Stderr)
}

// Tree returns every command, to be looked at and not to be run.
func Tree() *cobra.Command { return newRoot("", settings.Environ{}) }

func newRoot(version string, environ settings.Environ) *cobra.Command {
	root := cli.Group(&cobra.Command{
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
		newManagement(version, environ),
		newAPI(version, environ),
		newDev(version, environ),
		newBootstrap(environ),
		newMigrate(environ),
		newContexts(environ),
		newPrincipals(environ),
		newKeys(environ),
		newAccessTokens(environ),
		newWebhooks(environ),
		newUsage(environ),
		newAudit(environ),
		newVerbs(environ),
		newMigrations(environ),
		newBackup(version, environ),
		newRestore(environ),
		newPepper(environ),
		newHealthcheck(environ),
		newGenerateKey(),
		newGenerateSecret(),
		newVersion(version),
	)
	start := newDevStart(version, environ) // what published instructions call the node
	start.Hidden = true
	root.AddCommand(start)
	root.Version = version
	root.SetVersionTemplate("spectrond {{.Version}}\n") // as `spectrond version` has it
	return root
}

func newVersion(version string) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Long:    "Print the version of this program.",
		Example: "  spectrond version",
		Args:    cli.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "spectrond", version)
			return err
		},
	}
}
