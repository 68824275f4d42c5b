package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// choice is the value of a flag that takes one of a few words.
type choice struct {
	value   string
	options []string
}

var _ pflag.Value = (*choice)(nil)

// newChoice returns a choice among options, of which the first is the default; an empty one is none of them.
func newChoice(options ...string) *choice { return &choice{value: options[0], options: options} }

func (c *choice) String() string { return c.value }

// Type is what the help shows in the place of a value.
func (c *choice) Type() string { return strings.TrimPrefix(strings.Join(c.options, "|"), "|") }

// Set refuses any word but the options.
func (c *choice) Set(text string) error {
	if !slices.Contains(c.options, text) {
		return fmt.Errorf("want one of %s", strings.TrimPrefix(strings.Join(c.options, ", "), ", "))
	}
	c.value = text
	return nil
}

// register makes c a flag of cmd, in flags, with completion.
func (c *choice) register(cmd *cobra.Command, flags *pflag.FlagSet, name, short, usage string) {
	flags.VarP(c, name, short, usage)
	// It fails only for a flag that does not exist.
	_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(c.options, cobra.ShellCompDirectiveNoFileComp))
}
