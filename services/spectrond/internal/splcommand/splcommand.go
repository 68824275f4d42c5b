// Package splcommand is the command line of spl. It promises that a token is printed only where it is what was asked for, once,
// and never in JSON; that no other secret is echoed; and that standard output carries what was asked for and nothing else.
package splcommand

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/process"
	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
	"github.com/spectron-hq/spectron/services/spectrond/internal/statedir"
)

// Main runs the command line of this process until it is done or told to stop, and returns the exit status.
func Main(version string) int {
	ctx, stop := process.Context()
	defer stop()
	a := &app{version: version, environ: settings.OS()}
	return cli.Run(ctx, a.root(), os.Stderr)
}

// Tree returns every command, to be looked at and not to be run.
func Tree() *cobra.Command { return (&app{environ: settings.Environ{}}).root() }

// app is one run of the command line.
type app struct {
	version string
	environ settings.Environ

	// What the flags of every command say.
	output output
	token  settings.Secret
	// namespace is empty when it was not said.
	namespace string
}

func (a *app) root() *cobra.Command {
	root := cli.Group(&cobra.Command{
		Use:   "spl",
		Short: "A local daemon that keeps records, behind service accounts and their tokens",
		Long: `spl runs a daemon on this machine and speaks to it. A fresh install is opened with four commands:

  spl serve --daemon --insecure-localhost
  spl service-account create --bootstrap --name admin --actors did:sync:user:$(whoami) --scopes admin --with-token
  spl token save spl_prod_sa_...
  spl serve --stop && spl serve --daemon

Its state is in ~/.syncro, or where SYNCROPEL_HOME says. The token that is sent is that of --token, else SPL_TOKEN, else
the one that 'spl token save' has kept. Commands speak to SPL_SERVE_URL, else to the daemon that runs here, else to
http://127.0.0.1:9100, and act as SPL_ACTOR, else as the actor in config.toml, else as did:sync:user:<your name>.

Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 already done before.`,
	},
		a.serve(),
		a.status(),
		a.stop(),
		a.restart(),
		a.showVersion(),
	)
	root.AddCommand(a.client()...)
	root.Version = a.version
	root.SetVersionTemplate("spl {{.Version}}\n") // as `spl version` has it
	flags := root.PersistentFlags()
	flags.VarP(&a.output, "output", "o", "text for people; json, or stream-json with one line per thing, for programs")
	flags.BoolFunc("json", "the same as -o json", func(string) error { return a.output.Set(string(outputJSON)) })
	flags.StringVar((*string)(&a.token), "token", "",
		"token to send [$SPL_TOKEN]; prefer the variable or 'spl token save': every user of the machine can see arguments in ps")
	flags.StringVar(&a.namespace, "namespace", "", "namespace that is meant; a daemon has one, and refuses others (default \"default\")")
	return root
}

// home returns the state directory.
func (a *app) home() (statedir.Dir, error) { return statedir.Find(a.environ) }

func (a *app) showVersion() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Long:    "Print the version of this program.",
		Example: "  spl version",
		Args:    cli.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.answer(cmd, map[string]string{"version": a.version}, "spl "+a.version)
		},
	}
}
