package cli

import (
	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/spectron/table"
)

func (a *app) scopes() *cobra.Command {
	return group(&cobra.Command{
		Use:   "scopes",
		Short: "Register, list and end the nodes that memories belong to",
		Long: `Register, list and end scopes: the nodes of the tree that memories belong to and that grants are about. A node is
registered before a memory is written to it.`,
		Example: `  spectron scopes create org/acme/user/alice
  spectron scopes list`,
	}, a.scopesList(), a.scopesCreate(), a.scopesDelete(), a.scopesForget())
}

func (a *app) scopesList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the nodes",
		Long:    "List the nodes over which the key may do anything, by path. Ended ones are among them.",
		Example: "  spectron scopes list -o json",
		Args:    arguments(),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			nodes, err := c.ListScopes(cmd.Context())
			if err != nil {
				return err
			}
			rows := table.New("PATH", "NAME", "CREATED", "ENDED")
			for _, node := range nodes {
				rows.Row(node.Path, node.DisplayName, moment(&node.CreatedAt, ""), moment(node.TombstonedAt, "no"))
			}
			return a.printList(nodes, rows, "there are no scopes")
		}),
	}
}

func (a *app) scopesCreate() *cobra.Command {
	var opts client.RegisterScopeOptions
	cmd := &cobra.Command{
		Use:   "create <path>",
		Short: "Register a node",
		Long:  "Register a node, and the ancestors that it lacks. A node that was ended lives again.",
		Example: `  spectron scopes create org/acme/user/alice
  spectron scopes create org/acme --display-name "Acme Inc."`,
		Args: arguments("path"),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
			node, err := c.RegisterScope(cmd.Context(), args[0], opts)
			if err != nil {
				return err
			}
			fields := table.New()
			fields.Field("PATH", node.Path)
			fields.Field("NAME", node.DisplayName)
			fields.Field("DESCRIPTION", node.Description)
			fields.Field("CREATED", moment(&node.CreatedAt, ""))
			return a.print(node, fields)
		}),
	}
	cmd.Flags().StringVar(&opts.DisplayName, "display-name", "", "name for people")
	cmd.Flags().StringVar(&opts.Description, "description", "", "what belongs there")
	return cmd
}

func (a *app) scopesDelete() *cobra.Command {
	return &cobra.Command{
		Use:     "delete <path>",
		Short:   "End a node",
		Long:    "End a node: it takes no new memories until it is registered again. What belongs to it stays.",
		Example: "  spectron scopes delete org/acme/user/alice",
		Args:    arguments("path"),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if err := c.DeleteScope(cmd.Context(), args[0]); err != nil {
				return err
			}
			return a.printDone("deleted", "scope", args[0])
		}),
	}
}

func (a *app) scopesForget() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "forget <path>",
		Short: "Erase everything that belongs to a node, or to one below it",
		Long: `Erase everything that belongs to a node or to one below it, with its history. This cannot be undone: a person at a
terminal is asked before that.`,
		Example: "  spectron scopes forget org/acme/user/alice --yes",
		Args:    arguments("path"),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if !yes {
				question := "Erase everything at and below " + table.Clean(args[0]) + "? This cannot be undone. [y/N]"
				if err := a.confirm(cmd.Context(), question); err != nil {
					return err
				}
			}
			rows, err := c.ForgetScope(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.printCount("forgotten", rows)
		}),
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}
