package cli

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/spectron/table"
)

func (a *app) principals() *cobra.Command {
	return group(&cobra.Command{
		Use:   "principals",
		Short: "See who there is in the context, and grant and revoke",
		Long: `See who there is in the context and what they may do, and grant and revoke. That needs grant:manage; nobody passes on
what they do not hold. To create a principal needs a management key.`,
		Example: `  spectron principals list
  spectron principals effective p1 org/acme
  spectron principals grant p1 'memory:read=org/acme/*'`,
	}, a.principalsList(), a.principalsShow(), a.principalsEffective(), a.principalsCreate(),
		a.principalsMutate("grant", "Let a principal do something", "Let a principal do something more.", (*client.Client).AddGrants),
		a.principalsMutate("revoke", "Take from a principal what it may do",
			"Take from a principal what it may do, at once. What is granted over a wider pattern stays: revoke the wider one.",
			(*client.Client).RemoveGrants),
	)
}

func (a *app) principalsList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the principals",
		Long:    "List the principals of the context, by id.",
		Example: "  spectron principals list",
		Args:    arguments(),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			list, err := c.ListPrincipals(cmd.Context())
			if err != nil {
				return err
			}
			rows := table.New("ID", "NAME", "KIND", "GRANTS")
			for _, p := range list {
				rows.Row(p.ID, p.DisplayName, string(p.Kind), grantsLine(p.Grants))
			}
			return a.printList(list, rows, "there are no principals")
		}),
	}
}

func (a *app) principalsShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show <id>",
		Short:   "Show a principal",
		Long:    "Show a principal with its grants.",
		Example: "  spectron principals show admin",
		Args:    arguments("id"),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
			p, err := c.GetPrincipal(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.print(p, principalFields(p.ID, p.DisplayName, p.Kind, p.Grants))
		}),
	}
}

func principalFields(id, name string, kind caller.Kind, grants client.Grants) *table.Table {
	fields := table.New()
	fields.Field("ID", id)
	fields.Field("NAME", name)
	fields.Field("KIND", string(kind))
	grantRows(fields, grants)
	return fields
}

func (a *app) principalsEffective() *cobra.Command {
	var asOf instant
	cmd := &cobra.Command{
		Use:   "effective <id> <path>",
		Short: "Tell what a principal may do at a path",
		Long:  "Tell what a principal may do at a path, now or at a moment in the past.",
		Example: `  spectron principals effective p1 org/acme
  spectron principals effective p1 org/acme --as-of 2026-09-01T12:00:00Z`,
		Args: arguments("id", "path"),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
			got, err := c.Effective(cmd.Context(), args[0], args[1], asOf.Time)
			if err != nil {
				return err
			}
			fields := table.New()
			fields.Field("PATH", got.Path)
			fields.Field("AS OF", moment(got.AsOf, ""))
			verbs := strings.Join(got.Verbs, " ")
			if verbs == "" {
				verbs = "none"
			}
			fields.Field("VERBS", verbs)
			return a.print(got, fields)
		}),
	}
	cmd.Flags().Var(&asOf, "as-of", "moment asked about (default now)")
	return cmd
}

// principalsMutate returns the command that changes the grants of a principal with change.
func (a *app) principalsMutate(
	verb, short, long string, change func(c *client.Client, ctx context.Context, id, pattern string, verbs ...string) (client.Principal, error),
) *cobra.Command {
	return &cobra.Command{
		Use:   verb + " <id> <verb=pattern>…",
		Short: short,
		Long: long + ` A pattern is a node (org/acme), a node and everything below it (org/acme/*), or everything (/*).

Several patterns are changed one after the other: where one is refused, those before it are done.`,
		Example: "  spectron principals " + verb + " p1 'memory:read=org/acme/*' 'memory:write=org/acme/*'",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return arguments("id", "verb=pattern")(cmd, args)
			}
			return nil
		},
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
			grants, err := parseGrants(args[1:])
			if err != nil {
				return err
			}
			var p client.Principal
			patterns := byPattern(grants)
			for _, pattern := range slices.Sorted(maps.Keys(patterns)) {
				if p, err = change(c, cmd.Context(), args[0], pattern, patterns[pattern]...); err != nil {
					return err
				}
			}
			return a.print(p, principalFields(p.ID, p.DisplayName, p.Kind, p.Grants))
		}),
	}
}

// byPattern returns the verbs of each pattern, in order.
func byPattern(grants client.Grants) map[string][]string {
	patterns := map[string][]string{}
	for _, verb := range slices.Sorted(maps.Keys(grants)) {
		for _, pattern := range grants[verb] {
			patterns[pattern] = append(patterns[pattern], verb)
		}
	}
	return patterns
}

func (a *app) principalsCreate() *cobra.Command {
	var opts client.CreatePrincipalOptions
	var management client.Config
	var grants []string
	kind := newChoice(string(caller.Agent), string(caller.Human), string(caller.Service), string(caller.Unknown))
	cmd := &cobra.Command{
		Use:   `create "<name>"`,
		Short: "Create a principal, with a management key",
		Long: `Create a principal in the context. It speaks to the management API: the URL is --management-url or
SPECTRON_MANAGEMENT_URL, else that of the data plane; the key is SPECTRON_MANAGEMENT_API_KEY, or in the file of
SPECTRON_MANAGEMENT_API_KEY_FILE, and in no profile.

With --external-id, a principal that has it already is shown as it is. The kind decides nothing: grants do.`,
		Example: `  spectron principals create "alpha bot" --grant 'memory:read=org/acme/*'
  spectron principals create Ada --kind human --external-id idp:ada`,
		Args: arguments("name"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if opts.Grants, err = parseGrants(grants); err != nil {
				return err
			}
			m, err := a.management(management)
			if err != nil {
				return err
			}
			opts.Kind = caller.Kind(kind.value)
			p, err := m.CreatePrincipal(cmd.Context(), a.settings.ContextID, args[0], opts)
			if err != nil {
				return err
			}
			fields := principalFields(p.ID, p.DisplayName, p.Kind, p.Grants)
			fields.Field("EXTERNAL ID", p.ExternalID)
			return a.print(p, fields)
		},
	}
	flags := cmd.Flags()
	kind.register(cmd, flags, "kind", "", "what it is")
	grantFlag(cmd, &grants)
	flags.StringVar(&opts.ExternalID, "external-id", "", "`id` of the principal elsewhere, such as idp:ada")
	flags.StringVar(&management.URL, "management-url", "", "URL of the management API (SPECTRON_MANAGEMENT_URL)")
	flags.StringVar((*string)(&management.APIKey), "management-api-key", "",
		"management key; prefer SPECTRON_MANAGEMENT_API_KEY: every user of the machine can see arguments in ps")
	return cmd
}

// management returns the client of the management API that flags and the environment describe.
func (a *app) management(flags client.Config) (*client.Management, error) {
	s, err := a.load(false)
	if err != nil {
		return nil, err
	}
	cfg, err := s.Management(flags, a.Environment)
	if err != nil {
		return nil, asUsage(err)
	}
	a.managementKey = cfg.APIKey
	if cfg.APIKey == "" || s.ContextID == "" {
		return nil, usagef("this needs a management key (SPECTRON_MANAGEMENT_API_KEY) and a context (--context-id or SPECTRON_CONTEXT_ID)")
	}
	m, err := client.NewManagement(cfg)
	if err != nil {
		return nil, asUsage(err)
	}
	return m, nil
}
