package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/spectron/client"
)

func (a *app) whoami() *cobra.Command {
	return &cobra.Command{
		Use:   "whoami",
		Short: "Show who the API key acts as, and what it may do",
		Long: `Show who the API key acts as, and what it may do.

The grants shown are the effective ones: those of the principal, narrowed by those of the key.`,
		Example: `  spectron whoami
  spectron whoami --profile staging -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			me, err := c.Me(cmd.Context())
			if err != nil {
				return err
			}
			return a.print(me, func(w io.Writer) {
				field(w, "PRINCIPAL", me.DisplayName+" ("+me.PrincipalID+")")
				field(w, "KIND", string(me.Kind))
				field(w, "CONTEXT", me.ContextID)
				field(w, "SERVER", a.settings.URL)
				printGrants(w, me.EffectiveGrants)
			})
		},
	}
}

// printGrants writes a row per verb.
func printGrants(w io.Writer, grants client.Grants) {
	title := "GRANTS"
	for _, verb := range slices.Sorted(maps.Keys(grants)) {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", title, oneLine(verb), oneLine(strings.Join(grants[verb], " ")))
		title = ""
	}
	if len(grants) == 0 {
		field(w, title, "none")
	}
}
