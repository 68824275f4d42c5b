package command

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/settings"
)

// usageError says that the command was called wrongly.
type usageError struct {
	err  error
	path string // of the command, as its help is asked for
}

// Error tells what is wrong and where to read on.
func (e *usageError) Error() string { return fmt.Sprintf("%v (see '%s --help')", e.err, e.path) }

// Unwrap returns what is wrong.
func (e *usageError) Unwrap() error { return e.err }

func usage(cmd *cobra.Command, err error) error {
	return &usageError{err: err, path: cmd.CommandPath()}
}

// load fills cfg from the flags of cmd and the environment.
func load(cmd *cobra.Command, environ settings.Environ, cfg any) error {
	if err := settings.Load(cfg, environ, cmd.Flags()); err != nil {
		return usage(cmd, err)
	}
	return nil
}

// addSettings gives cmd the flags of each configuration.
func addSettings(cmd *cobra.Command, configs ...any) {
	for _, cfg := range configs {
		settings.Flags(cmd.Flags(), cfg)
	}
}

// group makes cmd a command that only holds others.
func group(cmd *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		text := fmt.Sprintf("unknown command %q", args[0])
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			text += ": did you mean " + strings.Join(near, " or ") + "?"
		}
		return usage(cmd, errors.New(text))
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cmd.SetOut(cmd.ErrOrStderr()) // help that nobody asked for is no output
		return errors.Join(cmd.Help(), usage(cmd, errors.New("a command is missing")))
	}
	cmd.SuggestionsMinimumDistance = 2
	cmd.AddCommand(commands...)
	return cmd
}

// arguments accepts exactly the arguments with the given names. An argument that is too much is not echoed: it may be a
// secret whose flag was forgotten.
func arguments(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usage(cmd, fmt.Errorf("the argument <%s> is missing", names[len(args)]))
		case len(args) > len(names):
			return usage(cmd, fmt.Errorf("%d arguments where %d are expected", len(args), len(names)))
		default:
			return nil
		}
	}
}
