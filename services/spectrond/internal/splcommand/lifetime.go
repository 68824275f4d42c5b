package splcommand

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
	"github.com/spectron-hq/spectron/services/spectrond/internal/daemon"
	"github.com/spectron-hq/spectron/services/spectrond/internal/statedir"
)

func (a *app) stop() *cobra.Command {
	return &cobra.Command{
		Use:     "stop",
		Short:   "Stop the daemon, as 'spl serve --stop' does",
		Long:    "Stop the daemon: it may finish its requests, and is killed when it does not end. Exit status 3 when none runs.",
		Example: "  spl stop",
		Args:    cli.Arguments(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.runStop(cmd) },
	}
}

func (a *app) runStop(cmd *cobra.Command) error {
	dir, err := a.home()
	if err != nil {
		return err
	}
	stopped, err := daemon.Stop(cmd.Context(), dir, daemon.Grace)
	if errors.Is(err, statedir.ErrNotRunning) {
		return fault.New(fault.AlreadyDone, "not running")
	}
	if err != nil {
		return err
	}
	line := fmt.Sprintf("stopped (pid %d)", stopped.PID)
	if stopped.Killed {
		line = fmt.Sprintf("killed (pid %d): it did not end within %v", stopped.PID, daemon.Grace)
	}
	return a.answer(cmd, map[string]any{"status": "stopped", "pid": stopped.PID, "killed": stopped.Killed}, line)
}

func (a *app) restart() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "restart",
		Short:   "Stop the daemon and start it again, as 'spl serve --restart' does",
		Long:    "Stop the daemon and start it in the background with the same arguments. 'spl serve --restart' takes others besides.",
		Example: "  spl restart",
		Args:    cli.Arguments(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.runRestart(cmd, serveFlags{restart: true}) },
	}
	return cmd
}

// runRestart stops the daemon, if one runs, and starts one as the last one was started, but for what is said now.
func (a *app) runRestart(cmd *cobra.Command, f serveFlags) error {
	dir, err := a.home()
	if err != nil {
		return err
	}
	last, err := dir.ReadRun()
	if err != nil && !errors.Is(err, statedir.ErrNotRunning) {
		return err
	}
	var store settings.Secret
	if last.Arguments.StoreKept {
		content, err := os.ReadFile(dir.ChosenStore())
		if err != nil {
			return fmt.Errorf("finding the store of the last daemon: %w", err)
		}
		store = settings.Secret(strings.TrimSpace(string(content)))
	} else {
		store = settings.Secret(last.Arguments.Store)
	}
	// Before anything is stopped: what is said now must make sense.
	if _, err := a.options(cmd, dir, f, last.Arguments, store); err != nil {
		return err
	}
	switch stopped, err := daemon.Stop(cmd.Context(), dir, daemon.Grace); {
	case errors.Is(err, statedir.ErrNotRunning):
		a.tell(cmd, "not running: starting it")
	case err != nil:
		return err
	default:
		a.tell(cmd, "stopped (pid %d)", stopped.PID)
	}
	if words := spoken(last.Arguments); words != "" {
		a.tell(cmd, "starting as before, with %s", words)
	}
	return a.start(cmd, f, last.Arguments, store)
}

// spoken returns arguments as they are typed.
func spoken(arguments statedir.Arguments) string {
	var words []string
	if arguments.Insecure {
		words = append(words, "--insecure-localhost")
	}
	if arguments.Memory {
		words = append(words, "--memory")
	}
	if arguments.Discover {
		words = append(words, "--discover")
	}
	if len(arguments.Origins) > 0 {
		words = append(words, "--cors-origins "+strings.Join(arguments.Origins, ","))
	}
	if len(arguments.TrustedProxies) > 0 {
		words = append(words, "--trusted-proxies "+strings.Join(arguments.TrustedProxies, ","))
	}
	if arguments.Host != nil {
		words = append(words, "--host "+*arguments.Host)
	}
	if arguments.Port != nil {
		words = append(words, "--port "+strconv.Itoa(*arguments.Port))
	}
	switch {
	case arguments.StoreKept:
		words = append(words, "--store (as it was)")
	case arguments.Store != "":
		words = append(words, "--store "+arguments.Store)
	}
	return strings.Join(words, " ")
}
