package cli

import (
	"io"

	"github.com/spf13/cobra"
)

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version of this program",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return a.print(map[string]string{"version": a.Version}, func(w io.Writer) {
				_, _ = io.WriteString(w, "spectron "+a.Version+"\n")
			})
		},
	}
}
