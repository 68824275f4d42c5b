// Command spectron speaks to a Spectron server: whoami, remember, recall. spectron --help says more.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spectron-hq/spectron/services/spectron/internal/cli"
	"github.com/spectron-hq/spectron/services/spectron/internal/settings"
)

// version is set by the linker.
var version = "dev"

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	return cli.Run(ctx, cli.Process{
		Args: os.Args[1:], In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environment: settings.Environment, Version: version,
	})
}
