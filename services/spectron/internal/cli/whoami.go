package cli

import (
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/spectron/table"
)

func (a *app) whoami() *cobra.Command {
	return &cobra.Command{
		Use:   "whoami",
		Short: "Show who the API key acts as, and what it may do",
		Long: `Show who the API key acts as, and what it may do.

The grants shown are the effective ones: those of the principal, narrowed by those of the key, and by those of the
principal of --on-behalf-of.`,
		Example: `  spectron whoami
  spectron whoami --profile staging -o json`,
		Args: arguments(),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			me, err := c.Me(cmd.Context())
			if err != nil {
				return err
			}
			fields := table.New()
			fields.Field("PRINCIPAL", me.DisplayName+" ("+me.PrincipalID+")")
			fields.Field("KIND", string(me.Kind))
			fields.Field("ON BEHALF OF", me.DelegatedPrincipalID)
			fields.Field("CONTEXT", me.ContextID)
			fields.Field("SERVER", a.settings.URL)
			grantRows(fields, me.EffectiveGrants)
			return a.print(me, fields)
		}),
	}
}

// grantRows adds a row per verb.
func grantRows(fields *table.Table, grants client.Grants) {
	title := "GRANTS"
	for _, verb := range slices.Sorted(maps.Keys(grants)) {
		fields.Row(title, verb, strings.Join(grants[verb], " "))
		title = ""
	}
	if len(grants) == 0 {
		fields.Field(title, "none")
	}
}

// grantsLine returns grants in one cell.
func grantsLine(grants client.Grants) string {
	all := make([]string, 0, len(grants))
	for _, verb := range slices.Sorted(maps.Keys(grants)) {
		all = append(all, verb+"="+strings.Join(grants[verb], ","))
	}
	return strings.Join(all, " ")
}
