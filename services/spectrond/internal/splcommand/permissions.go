package splcommand

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
	"github.com/spectron-hq/spectron/services/spectrond/internal/daemon"
	"github.com/spectron-hq/spectron/services/spectrond/internal/remote"
	"github.com/spectron-hq/spectron/services/spectrond/internal/splclient"
)

// switchPermissions is the command that turns the permission rules on, or off.
func (a *app) switchPermissions(on bool) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "permissions-disable",
		Short: "Turn the permission rules off",
		Long: `Turn the permission rules off: tokens may then do all that their scopes and actors allow. The rules stay. Whom they keep
from doing this finds a way out in 'spl config permissions-unlock --help'. The scope is config:write.`,
		Example: "  spl config permissions-disable",
		Args:    cli.Arguments(),
	}
	done := "the permission rules are off"
	if on {
		cmd.Use, cmd.Short, cmd.Example = "permissions-enable", "Turn the permission rules on", "  spl config permissions-enable"
		cmd.Long = `Turn the permission rules on, from the next request on. That is refused while they would keep you, as the actor that you
are now, from writing records, reading threads or reading the configuration. The scope is config:write.`
		done = "the permission rules are on"
	}
	cmd.RunE = a.asking(func(cmd *cobra.Command, s *session, _ []string) error {
		config, err := remote.Read[splclient.EngineConfig](
			s.SwitchPermissions(cmd.Context(), nil, splclient.SwitchPermissionsJSONRequestBody{Enabled: on}))
		if err != nil {
			return err
		}
		return a.answer(cmd, config, done)
	})
	return cmd
}

// unlockSettings say which store is meant, where it is not the one in the state directory.
type unlockSettings struct {
	Store settings.Secret `env:"SPL_STORE" flag:"store" usage:"store to write to, sqlite:///path or postgres://…, instead of hub.db in the state directory; prefer the variable, or config.toml, for one with a password"`
}

func (a *app) unlockPermissions() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "permissions-unlock",
		Short: "Turn the permission rules off in the store of a stopped daemon",
		Long: `Turn the permission rules off when they keep you out. It needs no token, but the daemon must be stopped, and the store be
yours to write. The rules stay, so mend them before you turn them on again.

A start with --insecure-localhost is another way: the rules are skipped while authentication is off.

Exit status 3 when the rules are off.`,
		Example: `  spl serve --stop
  spl config permissions-unlock
  spl serve --daemon`,
		Args: cli.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runUnlock(cmd, force) },
	}
	cli.AddSettings(cmd, &unlockSettings{})
	cmd.Flags().BoolVar(&force, "force", false, "do not ask")
	return cmd
}

func (a *app) runUnlock(cmd *cobra.Command, force bool) error {
	var chosen unlockSettings
	if err := cli.Load(cmd, a.environ, &chosen); err != nil {
		return err
	}
	dir, err := a.home()
	if err != nil {
		return err
	}
	config, err := dir.ReadConfig()
	if err != nil {
		return cli.Usage(cmd, err)
	}
	operator, err := config.Operator(a.environ)
	if err != nil {
		return err
	}
	store := chosen.Store
	if store == "" {
		store = config.StoreURL
	}
	if store, err = absolute(store); err != nil {
		return cli.Usage(cmd, err)
	}
	if !force {
		if err := a.confirm(cmd, "Turn the permission rules off?"); err != nil {
			return err
		}
	}
	err = daemon.UnlockPermissions(cmd.Context(), dir, store, operator, a.version)
	if errors.Is(err, fault.Conflict) {
		return &cli.AdvisedError{Err: err, Advice: []string{
			"spl serve --stop", "spl config permissions-unlock", "spl serve --daemon",
		}}
	}
	if err != nil {
		return err
	}
	return a.answer(cmd, map[string]any{"permissions_enabled": false}, "the permission rules are off; start the daemon: spl serve --daemon")
}
