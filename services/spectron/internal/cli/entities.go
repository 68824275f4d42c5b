package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/spectron/table"
)

func (a *app) entities() *cobra.Command {
	return group(&cobra.Command{
		Use:   "entities",
		Short: "See what memories are about",
		Long:  "See, and forget, what facts are about. An entity is named by its type and its name, as in person/alice.",
		Example: `  spectron entities list --type person
  spectron entities show person/alice
  spectron entities history person/alice likes`,
	}, a.entitiesList(), a.entitiesShow(), a.entitiesHistory(), a.entitiesDelete())
}

func (a *app) entitiesList() *cobra.Command {
	var page client.Page
	var kind string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the entities",
		Long:    "List the entities within what the key may read, by type and name.",
		Example: "  spectron entities list --type person",
		Args:    arguments(),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			if err := checkLimit(cmd); err != nil {
				return err
			}
			list, err := c.ListEntities(cmd.Context(), kind, page)
			if err != nil {
				return err
			}
			rows := table.New("ENTITY", "CATEGORY", "IMPORTANCE", "UPDATED")
			for _, e := range list {
				rows.Row(e.EntityType+"/"+e.Name, e.MemoryCategory, fmt.Sprintf("%.2g", e.Importance), moment(&e.UpdatedAt, ""))
			}
			return a.printList(list, rows, "there are no entities")
		}),
	}
	addPage(cmd, &page)
	cmd.Flags().Lookup("limit").Usage = "most rows to show, up to 500 (default 500)"
	cmd.Flags().StringVar(&kind, "type", "", "only entities of this type")
	return cmd
}

func entityFields(e client.Entity) *table.Table {
	fields := table.New()
	fields.Field("ENTITY", e.EntityType+"/"+e.Name)
	fields.Field("ID", e.ID)
	fields.Field("CATEGORY", e.MemoryCategory)
	fields.Field("IMPORTANCE", fmt.Sprintf("%.2g", e.Importance))
	fields.Field("CREATED", moment(&e.CreatedAt, ""))
	fields.Field("UPDATED", moment(&e.UpdatedAt, ""))
	return fields
}

func attributeRows(attributes []client.Attribute) *table.Table {
	rows := table.New("KEY", "VALUE", "CATEGORY", "FROM", "UNTIL")
	for _, at := range attributes {
		rows.Row(at.Key, at.Value, at.MemoryCategory, moment(at.ValidFrom, ""), moment(at.ValidUntil, ""))
	}
	return rows
}

func relationRows(relations []client.Relation) *table.Table {
	rows := table.New("SUBJECT", "LABEL", "OBJECT", "CATEGORY")
	for _, r := range relations {
		rows.Row(r.Subject, r.Label, r.Object, r.MemoryCategory)
	}
	return rows
}

func (a *app) entitiesShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show <Type/name>",
		Short:   "Show an entity with what is current about it",
		Long:    "Show an entity with its current attributes and relations.",
		Example: "  spectron entities show person/alice",
		Args:    arguments("Type/name"),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
			entity, err := parseEntity(args[0])
			if err != nil {
				return err
			}
			got, err := c.GetEntity(cmd.Context(), entity)
			if err != nil {
				return err
			}
			return a.print(got, entityFields(got.Entity), attributeRows(got.Attributes), relationRows(got.Relations))
		}),
	}
}

func (a *app) entitiesHistory() *cobra.Command {
	return &cobra.Command{
		Use:     "history <Type/name> <key>",
		Short:   "Show every value that an attribute has had",
		Long:    "Show every value that an attribute of an entity has had, the newest first.",
		Example: "  spectron entities history person/alice likes",
		Args:    arguments("Type/name", "key"),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
			entity, err := parseEntity(args[0])
			if err != nil {
				return err
			}
			history, err := c.History(cmd.Context(), entity, args[1])
			if err != nil {
				return err
			}
			return a.printList(history, attributeRows(history), "there is no history")
		}),
	}
}

func (a *app) entitiesDelete() *cobra.Command {
	return &cobra.Command{
		Use:     "delete <Type/name>",
		Short:   "Forget an entity",
		Long:    "Forget an entity with its attributes and relations.",
		Example: "  spectron entities delete person/alice",
		Args:    arguments("Type/name"),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
			entity, err := parseEntity(args[0])
			if err != nil {
				return err
			}
			if err := c.DeleteEntity(cmd.Context(), entity); err != nil {
				return err
			}
			return a.printDone("deleted", "entity", args[0])
		}),
	}
}

func (a *app) state() *cobra.Command {
	return &cobra.Command{
		Use:     "state",
		Short:   "Show everything that is current",
		Long:    "Show everything that is current, within what the key may read.",
		Example: "  spectron state -o json",
		Args:    arguments(),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			got, err := c.State(cmd.Context())
			if err != nil {
				return err
			}
			return a.printList(got, stateRows(got), "nothing is known")
		}),
	}
}

func stateRows(state client.State) *table.Table {
	names := map[string]string{}
	categories := []struct {
		name string
		client.StateCategory
	}{{"identity", state.Identity}, {"knowledge", state.Knowledge}, {"context", state.Context}}
	for _, category := range categories {
		for _, e := range category.Entities {
			names[e.ID] = e.EntityType + "/" + e.Name
		}
	}
	// An entity outside of what is shown has no name here.
	name := func(id string) string {
		if known := names[id]; known != "" {
			return known
		}
		return id
	}
	rows := table.New("CATEGORY", "ABOUT", "KEY", "VALUE")
	for _, category := range categories {
		for _, e := range category.Entities {
			rows.Row(category.name, names[e.ID], "", "")
		}
		for _, at := range category.Attributes {
			rows.Row(category.name, name(at.Entity), at.Key, at.Value)
		}
		for _, r := range category.Relations {
			rows.Row(category.name, name(r.Subject), r.Label, "-> "+name(r.Object))
		}
	}
	for _, i := range state.Instructions {
		rows.Row("instruction", "", i.Label, i.Description)
	}
	for _, u := range state.Unknowns {
		rows.Row("unknown", u.About, "", u.Reason)
	}
	return rows
}

func (a *app) profile() *cobra.Command {
	return &cobra.Command{
		Use:     "profile",
		Short:   "Show what is known about the one whom memories are about",
		Long:    "Show what is known about the one whom the memories are about, within what the key may read.",
		Example: "  spectron profile",
		Args:    arguments(),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			got, err := c.Profile(cmd.Context())
			if err != nil {
				return err
			}
			rows := table.New("PART", "KEY", "VALUE")
			for _, part := range []struct {
				name    string
				entries []client.ProfileEntry
			}{{"static", got.Static}, {"dynamic", got.Dynamic}, {"preferences", got.Preferences}} {
				for _, entry := range part.entries {
					rows.Row(part.name, entry.Key, entry.Value)
				}
			}
			for _, i := range got.Instructions {
				rows.Row("instructions", i.Label, i.Description)
			}
			return a.printList(got, rows, "nothing is known")
		}),
	}
}
