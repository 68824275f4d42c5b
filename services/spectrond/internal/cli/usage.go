package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/settings"
)

// UsageError says that the command was called wrongly.
type UsageError struct {
	err  error
	path string // of the command, as its help is asked for
}

// Error tells what is wrong and where to read on.
func (e *UsageError) Error() string { return fmt.Sprintf("%v (see '%s --help')", e.err, e.path) }

// Unwrap returns what is wrong.
func (e *UsageError) Unwrap() error { return e.err }

// Usage returns err as a mistake in calling cmd: nothing was tried.
func Usage(cmd *cobra.Command, err error) error {
	return &UsageError{err: err, path: cmd.CommandPath()}
}

// Load fills cfg from the flags of cmd and the environment.
func Load(cmd *cobra.Command, environ settings.Environ, cfg any) error {
	if err := settings.Load(cfg, environ, cmd.Flags()); err != nil {
		return Usage(cmd, err)
	}
	return nil
}

// AddSettings gives cmd the flags of each configuration.
func AddSettings(cmd *cobra.Command, configs ...any) {
	for _, cfg := range configs {
		settings.Flags(cmd.Flags(), cfg)
	}
}

// Group makes cmd a command that only holds others.
func Group(cmd *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		text := fmt.Sprintf("unknown command %q", args[0])
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			text += ": did you mean " + strings.Join(near, " or ") + "?"
		}
		return Usage(cmd, errors.New(text))
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cmd.SetOut(cmd.ErrOrStderr()) // help that nobody asked for is no output
		return errors.Join(cmd.Help(), Usage(cmd, errors.New("a command is missing")))
	}
	cmd.SuggestionsMinimumDistance = 2
	cmd.AddCommand(commands...)
	return cmd
}

// Arguments accepts exactly the arguments with the given names. An argument that is too much is not echoed: it may be a
// secret whose flag was forgotten.
func Arguments(names ...string) cobra.PositionalArgs {
	first := ArgumentsAndMore(names...)
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > len(names) {
			return Usage(cmd, fmt.Errorf("%d arguments where %d are expected", len(args), len(names)))
		}
		return first(cmd, args)
	}
}

// ArgumentsAndMore accepts the arguments with the given names, and any number behind them.
func ArgumentsAndMore(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return Usage(cmd, fmt.Errorf("the argument <%s> is missing", names[len(args)]))
		}
		return nil
	}
}
