package cli

import "github.com/spf13/cobra"

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version of this program",
		Args:  arguments(),
		RunE: func(*cobra.Command, []string) error {
			return a.printText(map[string]string{"version": a.Version}, "spectron "+a.Version)
		},
	}
}

// group makes cmd a command that only holds others.
func group(cmd *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.AddCommand(commands...)
	return cmd
}
