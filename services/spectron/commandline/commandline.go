// Package commandline is the command spectron, for the program of that name and for what documents it.
package commandline

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/spectron/internal/cli"
	"github.com/spectron-hq/spectron/services/spectron/internal/settings"
)

// Main runs the command line of this process until it is done or told to stop, and returns the exit status.
func Main(version string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	return cli.Run(ctx, cli.Process{
		Args: os.Args[1:], In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environment: settings.Environment, Version: version,
	})
}

// Tree returns every command, to be looked at and not to be run.
func Tree() *cobra.Command { return cli.Tree() }
