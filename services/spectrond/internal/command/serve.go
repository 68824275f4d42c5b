package command

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/dataplane"
	"github.com/spectron-hq/spectron/services/keymanager"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
)

func newManagement(version string, environ settings.Environ) *cobra.Command {
	start := &cobra.Command{
		Use:   "start",
		Short: "Serve the key manager",
		Long: `Serve the key manager: contexts, keys and grants, for operators on the management API and for data planes that ask what a
key is worth. It keeps keys as HMACs under the pepper, so it needs SPECTRON_PEPPER (or SPECTRON_PEPPER_FILE), the same in
every replica, and SPECTRON_SERVICE_SECRET (or SPECTRON_SERVICE_SECRET_FILE), which the data planes have too. It refuses
to start while migrations are pending. Any number of replicas may run.`,
		Example: `  SPECTRON_PEPPER_FILE=pepper SPECTRON_SERVICE_SECRET_FILE=service-secret \
    spectrond management start --connection-string postgres://spectron_keymanager@db/spectron`,
		Args: cli.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var cfg keymanager.Config
			if err := cli.Load(cmd, environ, &cfg); err != nil {
				return err
			}
			var err error
			if cfg.Log, err = openLog(cmd, environ); err != nil {
				return err
			}
			cfg.Version = version
			var flush func(context.Context)
			if cfg.Tracing, flush, err = openTracing(cmd, environ, "spectron-keymanager", version, cfg.Log); err != nil {
				return err
			}
			defer flush(cmd.Context())
			return keymanager.Run(cmd.Context(), cfg)
		},
	}
	cli.AddSettings(start, &keymanager.Config{}, &logSettings{})
	return cli.Group(&cobra.Command{
		Use:     "management",
		Short:   "Run the key manager",
		Long:    "The key manager is the plane that owns contexts, keys and grants. Keep it from the public network.",
		Example: "  spectrond management start",
	}, start, newReplaceKey(environ))
}

func newAPI(version string, environ settings.Environ) *cobra.Command {
	start := &cobra.Command{
		Use:   "start",
		Short: "Serve the data plane",
		Long: `Serve the data plane: memory, for SDKs, agents and MCP clients. It verifies each key with the key manager at
SPECTRON_MANAGEMENT_URL, as a service that shares SPECTRON_SERVICE_SECRET (or SPECTRON_SERVICE_SECRET_FILE) with it, and
refuses every request that it cannot verify. It forwards the management routes, so that clients need one address only. It
refuses to start while migrations are pending. Any number of replicas may run.`,
		Example: `  SPECTRON_SERVICE_SECRET_FILE=service-secret spectrond api start \
    --connection-string postgres://spectron_dataplane@db/spectron --management-url http://keymanager:9091`,
		Args: cli.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var cfg dataplane.Config
			if err := cli.Load(cmd, environ, &cfg); err != nil {
				return err
			}
			var err error
			if cfg.Log, err = openLog(cmd, environ); err != nil {
				return err
			}
			cfg.Version = version
			var flush func(context.Context)
			if cfg.Tracing, flush, err = openTracing(cmd, environ, "spectron-dataplane", version, cfg.Log); err != nil {
				return err
			}
			defer flush(cmd.Context())
			return dataplane.Run(cmd.Context(), cfg)
		},
	}
	cli.AddSettings(start, &dataplane.Config{}, &logSettings{})
	return cli.Group(&cobra.Command{
		Use:     "api",
		Short:   "Run the data plane",
		Long:    "The data plane is what clients talk to: it verifies keys and serves memory.",
		Example: "  spectrond api start",
	}, start)
}
