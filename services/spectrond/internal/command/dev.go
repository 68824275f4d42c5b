package command

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
	"github.com/spectron-hq/spectron/services/spectrond/internal/node"
)

func newDev(version string, environ settings.Environ) *cobra.Command {
	return cli.Group(&cobra.Command{
		Use:     "dev",
		Short:   "Run everything in one process",
		Long:    `Run both planes in one process on one store: to try Spectron, to develop against it, or to serve one machine.`,
		Example: "  spectrond dev start --bootstrap",
	}, newDevStart(version, environ))
}

func newDevStart(version string, environ settings.Environ) *cobra.Command {
	var seed bool
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Serve both planes on one address",
		Long: `Serve both planes on one address, on a SQLite store in the data directory, or on the database that
--connection-string names. It migrates the store by itself and keeps its pepper in the data directory: whoever copies
the store needs both.

With --bootstrap an empty store is given its first context and keys, and standard output gets five NAME=value lines, an
env file, as soon as the address serves. It is the only time that these keys are shown. On a store that has been
bootstrapped before nothing happens, and the log says so.`,
		Example: `  spectrond dev start --bootstrap
  spectrond dev start --bootstrap --data-dir /var/lib/spectron > first.env
  spectrond dev start --connection-string postgres://spectron@localhost/spectron`,
		Args: cli.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var cfg node.Config
			if err := cli.Load(cmd, environ, &cfg); err != nil {
				return err
			}
			if seed {
				credentials, err := firstCredentials(cmd, environ)
				if err != nil {
					return err
				}
				cfg.Bootstrap, cfg.Credentials = &credentials, cmd.OutOrStdout()
			}
			var err error
			if cfg.Log, err = openLog(cmd, environ); err != nil {
				return err
			}
			cfg.Version = version
			var flush func(context.Context)
			if cfg.Tracing, flush, err = openTracing(cmd, environ, "spectron", version, cfg.Log); err != nil {
				return err
			}
			defer flush(cmd.Context())
			return node.Run(cmd.Context(), cfg)
		},
	}
	cli.AddSettings(cmd, &node.Config{}, &firstKeys{}, &logSettings{})
	cmd.Flags().BoolVar(&seed, "bootstrap", false, "give an empty store its first context and keys, and print them")
	return cmd
}
