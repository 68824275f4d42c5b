package command

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/spectron/table"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
)

func newPrincipals(environ settings.Environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "principals",
		Short: "Create, show, change and delete the principals of a context",
		Long: `Work on the principals of a running deployment: who acts in a context, and what they may do. These commands speak to the
management API and need a management key.`,
		Example: `  spectrond principals create acme "alpha bot" --grant 'memory:read=org/acme/*'
  spectrond principals list acme -o json`,
	}
	out := addOutput(cmd, environ)
	settings.Flags(cmd.PersistentFlags(), &operatorSettings{})
	return cli.Group(cmd,
		newPrincipalsCreate(environ, out),
		newPrincipalsList(environ, out),
		newPrincipalsShow(environ, out),
		newPrincipalsPatch(environ, out),
		newPrincipalsMutate(environ, out, "grant", "Let a principal do something",
			"Let a principal do something more.", (*client.Management).AddGrants),
		newPrincipalsMutate(environ, out, "revoke", "Take from a principal what it may do",
			"Take from a principal what it may do, at once. What is granted over a wider pattern stays: revoke the wider one.",
			(*client.Management).RemoveGrants),
		newPrincipalsDelete(environ, out),
	)
}

func newPrincipalsCreate(environ settings.Environ, out *output) *cobra.Command {
	var opts client.CreatePrincipalOptions
	var kind string
	var grants []string
	cmd := &cobra.Command{
		Use:   `create <context_id> "<name>"`,
		Short: "Create a principal, or get the one of an external id",
		Long: `Create a principal and print its id. With --external-id, the id of a principal that has it already is printed, and nothing
is changed. Without, the name must be free. The kind decides nothing: grants do.`,
		Example: `  spectrond principals create acme "alpha bot" --kind service --grant 'memory:read=org/acme/*'
  ID=$(spectrond principals create acme Ada --kind human --external-id idp:ada)`,
		Args: cli.Arguments("context_id", "name"),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) (err error) {
			opts.Kind = caller.Kind(kind)
			if opts.Grants, err = parseGrants(grants); err != nil {
				return cli.Usage(cmd, err)
			}
			created, err := m.CreatePrincipal(cmd.Context(), args[0], args[1], opts)
			if err != nil {
				return err
			}
			return out.writeLine(cmd, created, created.ID)
		}),
	}
	cmd.Flags().StringVar(&kind, "kind", "", "human, agent, service or unknown (default agent)")
	cmd.Flags().StringArrayVar(&grants, "grant", nil, "verb=pattern that it may do; repeat for more")
	cmd.Flags().StringVar(&opts.ExternalID, "external-id", "", "id of the principal elsewhere, such as idp:ada")
	return cmd
}

func newPrincipalsList(environ settings.Environ, out *output) *cobra.Command {
	return &cobra.Command{
		Use:     "list <context_id>",
		Short:   "List the principals of a context",
		Long:    "List every principal of a context, ordered by id.",
		Example: "  spectrond principals list acme",
		Args:    cli.Arguments("context_id"),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) error {
			list, err := m.ListPrincipals(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			rows := table.New("ID", "NAME", "KIND", "EXTERNAL ID", "CREATED", "GRANTS")
			for _, p := range list {
				rows.Row(p.ID, p.DisplayName, string(p.Kind), p.ExternalID, moment(&p.CreatedAt), grantsLine(p.Grants))
			}
			return out.write(cmd, list, rows)
		}),
	}
}

func newPrincipalsShow(environ settings.Environ, out *output) *cobra.Command {
	return &cobra.Command{
		Use:     "show <context_id> <id>",
		Short:   "Show a principal",
		Long:    "Show a principal with its grants.",
		Example: "  spectrond principals show acme admin",
		Args:    cli.Arguments("context_id", "id"),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) error {
			p, err := m.GetPrincipal(cmd.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			return out.writePrincipal(cmd, p)
		}),
	}
}

func newPrincipalsPatch(environ settings.Environ, out *output) *cobra.Command {
	var patch client.PrincipalPatch
	var kind string
	var grants []string
	cmd := &cobra.Command{
		Use:     "patch <context_id> <id>",
		Short:   "Change a principal",
		Long:    "Change a principal. What is not given stays. --grant replaces all of its grants, at once.",
		Example: `  spectrond principals patch acme p1 --display-name "beta bot"`,
		Args:    cli.Arguments("context_id", "id"),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) (err error) {
			patch.Kind = caller.Kind(kind)
			if patch.Grants, err = parseGrants(grants); err != nil {
				return cli.Usage(cmd, err)
			}
			if patch.DisplayName == "" && patch.Kind == "" && patch.Grants == nil {
				return cli.Usage(cmd, errors.New("nothing to change: give --display-name, --kind or --grant"))
			}
			p, err := m.PatchPrincipal(cmd.Context(), args[0], args[1], patch)
			if err != nil {
				return err
			}
			return out.writePrincipal(cmd, p)
		}),
	}
	cmd.Flags().StringVar(&patch.DisplayName, "display-name", "", "name for people")
	cmd.Flags().StringVar(&kind, "kind", "", "human, agent, supervisor, service or unknown")
	cmd.Flags().StringArrayVar(&grants, "grant", nil, "verb=pattern that it may do, instead of all that it could; repeat for more")
	return cmd
}

// newPrincipalsMutate returns the command that changes the grants of a principal with change.
func newPrincipalsMutate(
	environ settings.Environ, out *output, name, short, long string,
	change func(m *client.Management, ctx context.Context, contextID, id, pattern string, verbs ...string) (client.ManagedPrincipal, error),
) *cobra.Command {
	return &cobra.Command{
		Use:   name + " <context_id> <id> <verb=pattern>…",
		Short: short,
		Long: long + ` A pattern is a node (org/acme), a node and everything below it (org/acme/*), or everything (/*).

Several patterns are changed one after the other: where one is refused, those before it are done.`,
		Example: "  spectrond principals " + name + " acme p1 'memory:read=org/acme/*' 'memory:write=org/acme/*'",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 3 {
				return cli.Arguments("context_id", "id", "verb=pattern")(cmd, args)
			}
			return nil
		},
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) error {
			grants, err := parseGrants(args[2:])
			if err != nil {
				return cli.Usage(cmd, err)
			}
			var p client.ManagedPrincipal
			patterns := byPattern(grants)
			for _, pattern := range slices.Sorted(maps.Keys(patterns)) {
				if p, err = change(m, cmd.Context(), args[0], args[1], pattern, patterns[pattern]...); err != nil {
					return err
				}
			}
			return out.writePrincipal(cmd, p)
		}),
	}
}

func newPrincipalsDelete(environ settings.Environ, out *output) *cobra.Command {
	return &cobra.Command{
		Use:     "delete <context_id> <id>",
		Short:   "Delete a principal and its keys",
		Long:    "Delete a principal and its keys, which are refused from the next request on. system and admin cannot be deleted.",
		Example: "  spectrond principals delete acme p1",
		Args:    cli.Arguments("context_id", "id"),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) error {
			if err := m.DeletePrincipal(cmd.Context(), args[0], args[1]); err != nil {
				return err
			}
			return out.writeDone(cmd, "deleted", "principal", args[1])
		}),
	}
}

func (o *output) writePrincipal(cmd *cobra.Command, p client.ManagedPrincipal) error {
	fields := table.New()
	fields.Field("ID", p.ID)
	fields.Field("NAME", p.DisplayName)
	fields.Field("KIND", string(p.Kind))
	fields.Field("EXTERNAL ID", p.ExternalID)
	fields.Field("CREATED", moment(&p.CreatedAt))
	grantRows(fields, p.Grants)
	return o.write(cmd, p, fields)
}
