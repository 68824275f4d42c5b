package command

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/spectron/table"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
)

func newAccessTokens(environ settings.Environ) *cobra.Command {
	var opts client.AccessTokenOptions
	var kind string
	var grants []string
	var ttl lifetime
	create := &cobra.Command{
		Use:     "create <context_id> <external_id>",
		Aliases: []string{"broker"},
		Short:   "Exchange an outside identity for a key",
		Long: `Exchange an outside identity for a key and print it on standard output, this once. The principal of the external id is
created, or taken as it is; with --grant its grants are replaced. There are no refresh tokens: ask again.`,
		Example: `  spectrond access-tokens create acme idp:ada --display-name Ada --kind human --grant 'memory:read=user/ada/*' --expires-in 3600`,
		Args:    cli.Arguments("context_id", "external_id"),
	}
	create.Flags().StringVar(&opts.DisplayName, "display-name", "", "name of a principal that is created (default the external id)")
	create.Flags().StringVar(&kind, "kind", "", "human, agent, service or unknown, of a principal that is created (default agent)")
	create.Flags().StringArrayVar(&grants, "grant", nil, "verb=pattern that the principal may do, instead of all that it could; repeat for more")
	create.Flags().Var(&ttl, "expires-in", "seconds until the key ends (required)")
	cmd := &cobra.Command{
		Use:   "access-tokens",
		Short: "Exchange outside identities for keys",
		Long: `Exchange outside identities for keys of a running deployment. These commands speak to the management API and need a
management key.`,
		Example: "  spectrond access-tokens create acme idp:ada --expires-in 3600",
	}
	out := addOutput(cmd, environ)
	settings.Flags(cmd.PersistentFlags(), &operatorSettings{})
	create.RunE = operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) (err error) {
		opts.ExternalID, opts.Kind, opts.TTL = args[1], caller.Kind(kind), ttl.duration()
		if opts.TTL == 0 {
			return cli.Usage(cmd, errors.New("--expires-in is required"))
		}
		if opts.Grants, err = parseGrants(grants); err != nil {
			return cli.Usage(cmd, err)
		}
		minted, err := m.BrokerAccessToken(cmd.Context(), args[0], opts)
		if err != nil {
			return err
		}
		return out.writeSecret(cmd, "minted", minted)
	})
	return cli.Group(cmd, create)
}

// operatorCommand makes cmd, which stands alone, a command of the operator that answers with act.
func operatorCommand(
	environ settings.Environ, cmd *cobra.Command, act func(cmd *cobra.Command, m *client.Management, out *output, args []string) error,
) *cobra.Command {
	out := addOutput(cmd, environ)
	settings.Flags(cmd.Flags(), &operatorSettings{})
	cmd.RunE = operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) error {
		return act(cmd, m, out, args)
	})
	return cmd
}

func newUsage(environ settings.Environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "usage <context_id>",
		Short:   "Show what a context has used of its language model tokens",
		Long:    "Show what a context has used of its language model tokens in this month (UTC).",
		Example: "  spectrond usage default",
		Args:    cli.Arguments("context_id"),
	}
	return operatorCommand(environ, cmd, func(cmd *cobra.Command, m *client.Management, out *output, args []string) error {
		got, err := m.GetUsage(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		limit, percent := "none", "none"
		if got.TokenLimit != nil {
			limit = strconv.FormatInt(*got.TokenLimit, 10)
		}
		if got.TokenUsagePct != nil {
			percent = strconv.FormatFloat(*got.TokenUsagePct, 'f', 1, 64)
		}
		fields := table.New()
		fields.Field("LIMIT", limit)
		fields.Field("USED", strconv.FormatInt(got.TokenUsageCurrentMonth, 10))
		fields.Field("PERCENT", percent)
		fields.Field("FROM", moment(&got.PeriodStart))
		fields.Field("UNTIL", moment(&got.PeriodEnd))
		return out.write(cmd, got, fields)
	})
}

func newVerbs(environ settings.Environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "verbs",
		Short:   "List what grants can allow",
		Long:    "List the verbs of grants.",
		Example: "  spectrond verbs",
		Args:    cli.Arguments(),
	}
	return operatorCommand(environ, cmd, func(cmd *cobra.Command, m *client.Management, out *output, _ []string) error {
		verbs, err := m.ListVerbs(cmd.Context())
		if err != nil {
			return err
		}
		rows := table.New("VERB", "DESCRIPTION")
		for _, v := range verbs {
			rows.Row(v.Verb, v.Description)
		}
		return out.write(cmd, verbs, rows)
	})
}

func newMigrations(environ settings.Environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "migrations",
		Short:   "Show which version of the schema contexts are on",
		Long:    "Show which version of the schema the contexts of a running deployment are on. To migrate, use 'spectrond migrate'.",
		Example: "  spectrond migrations",
		Args:    cli.Arguments(),
	}
	return operatorCommand(environ, cmd, func(cmd *cobra.Command, m *client.Management, out *output, _ []string) error {
		got, err := m.GetMigrations(cmd.Context())
		if err != nil {
			return err
		}
		fields := table.New()
		for _, version := range slices.Sorted(maps.Keys(got.Versions)) {
			fields.Field("VERSION "+version, strconv.FormatInt(got.Versions[version], 10)+" contexts")
		}
		behind := strings.Join(got.ContextsBehind, " ")
		if behind == "" {
			behind = "none"
		}
		fields.Field("BEHIND", behind)
		fields.Field("GIVEN UP", strconv.Itoa(len(got.DeadLetters)))
		return out.write(cmd, got, fields)
	})
}
