package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
)

// replacementSettings say where the management key is replaced.
type replacementSettings struct {
	ConnectionString settings.Secret `env:"SPECTRON_CONNECTION_STRING" flag:"connection-string" usage:"database of the key manager, postgres://… or sqlite:///path"`
	Pepper           settings.Secret `env:"SPECTRON_PEPPER" usage:"pepper of the key manager; required"`
}

func newReplaceKey(environ settings.Environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replace-key",
		Short: "Put a new management key in the place of the present one",
		Long: `Make a new management key, and print it as a NAME=value line on standard output, this once. Every management key that there was
is dead when this command succeeds. For when it is lost, or known to somebody who should not have it.

It works on the database itself, with the key manager's pepper, because there is no credential left to ask with: who holds both
owns the deployment anyway. The services may go on serving meanwhile.`,
		Example: `  SPECTRON_PEPPER_FILE=pepper spectrond management replace-key --connection-string postgres://spectron_keymanager@db/spectron`,
		Args:    cli.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var cfg replacementSettings
			if err := cli.Load(cmd, environ, &cfg); err != nil {
				return err
			}
			log, err := openLog(cmd, environ)
			if err != nil {
				return err
			}
			minted, err := apikey.Mint(apikey.NewID())
			if err != nil {
				return err
			}
			err = onDatabase(cmd.Context(), cmd, cfg.ConnectionString.Reveal(), cfg.Pepper, log, func(service *keymanager.Service) error {
				return service.ReplaceManagementKey(cmd.Context(), introspection.Enrol(minted))
			})
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "SPECTRON_MANAGEMENT_API_KEY=%s\n", minted.Reveal()); err != nil {
				return fmt.Errorf("the management key is replaced, but the new one could not be shown and is lost: run this again: %w", err)
			}
			return nil
		},
	}
	cli.AddSettings(cmd, &replacementSettings{}, &logSettings{})
	return cmd
}
