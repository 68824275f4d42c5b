package cli

import (
	"encoding/json"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/spectron/table"
)

func (a *app) sessions() *cobra.Command {
	return group(&cobra.Command{
		Use:   "sessions",
		Short: "Begin, list, read and delete conversations",
		Long:  "Begin, list, read and delete sessions: conversations that memories are written in.",
		Example: `  spectron sessions list
  spectron sessions turns s1`,
	}, a.sessionsList(), a.sessionsShow(), a.sessionsCreate(), a.sessionsTurns(), a.sessionsContext(), a.sessionsDelete())
}

func (a *app) sessionsList() *cobra.Command {
	var page client.Page
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the sessions",
		Long:    "List the sessions within what the key may read, the newest first.",
		Example: "  spectron sessions list --limit 20",
		Args:    arguments(),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			if err := checkLimit(cmd); err != nil {
				return err
			}
			list, err := c.ListSessions(cmd.Context(), page)
			if err != nil {
				return err
			}
			rows := table.New("ID", "CREATED", "TURNS", "SCOPES")
			for _, s := range list {
				rows.Row(s.ID, moment(&s.CreatedAt, ""), strconv.FormatInt(s.TurnCount, 10), clauses(s.Scopes))
			}
			return a.printList(list, rows, "there are no sessions")
		}),
	}
	addPage(cmd, &page)
	return cmd
}

func sessionFields(s client.Session) *table.Table {
	fields := table.New()
	fields.Field("ID", s.ID)
	fields.Field("CREATED", moment(&s.CreatedAt, ""))
	fields.Field("SCOPES", clauses(s.Scopes))
	fields.Field("TURNS", strconv.FormatInt(s.TurnCount, 10))
	fields.Field("METADATA", string(s.Metadata))
	return fields
}

func (a *app) sessionsShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show <id>",
		Short:   "Show a session",
		Long:    "Show a session. Its turns are shown by spectron sessions turns.",
		Example: "  spectron sessions show s1",
		Args:    arguments("id"),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
			s, err := c.GetSession(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.print(s, sessionFields(s))
		}),
	}
}

func (a *app) sessionsCreate() *cobra.Command {
	var scopes []string
	var metadata string
	cmd := &cobra.Command{
		Use:     "create",
		Short:   "Begin a session",
		Long:    "Begin a session. Without --scope it belongs to everything that the key may write.",
		Example: `  spectron sessions create --scope org/acme --metadata '{"channel": "chat"}'`,
		Args:    arguments(),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			if metadata != "" && !json.Valid([]byte(metadata)) {
				return usagef("--metadata: want JSON")
			}
			s, err := c.CreateSession(cmd.Context(), client.CreateSessionOptions{
				Scopes: client.AnyOf(scopes...), Metadata: json.RawMessage(metadata),
			})
			if err != nil {
				return err
			}
			return a.print(s, sessionFields(s))
		}),
	}
	cmd.Flags().StringArrayVar(&scopes, "scope", nil, "scope `path` that it belongs to, such as org/acme (repeatable)")
	cmd.Flags().StringVar(&metadata, "metadata", "", "any `JSON` to keep with it")
	return cmd
}

func (a *app) sessionsTurns() *cobra.Command {
	var page client.Page
	cmd := &cobra.Command{
		Use:     "turns <id>",
		Short:   "Show what was said in a session",
		Long:    "Show the turns of a session, the oldest first.",
		Example: "  spectron sessions turns s1 --limit 20",
		Args:    arguments("id"),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if err := checkLimit(cmd); err != nil {
				return err
			}
			turns, err := c.ListTurns(cmd.Context(), args[0], page)
			if err != nil {
				return err
			}
			rows := table.New("SEQ", "ROLE", "CREATED", "CONTENT")
			for _, t := range turns {
				rows.Row(strconv.FormatInt(t.Seq, 10), t.Role, moment(&t.CreatedAt, ""), t.Content)
			}
			return a.printList(turns, rows, "there are no turns")
		}),
	}
	addPage(cmd, &page)
	return cmd
}

func (a *app) sessionsContext() *cobra.Command {
	return &cobra.Command{
		Use:     `context <id> "<query>"`,
		Short:   "Put together what a session has on a question, as markdown for a prompt",
		Long:    "Put together what a session and the memories have on a question, as markdown for a prompt.",
		Example: `  spectron sessions context s1 "What was decided?"`,
		Args:    arguments("id", "query"),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
			text, err := c.SessionContext(cmd.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			return a.printText(map[string]string{"context": text}, text)
		}),
	}
}

func (a *app) sessionsDelete() *cobra.Command {
	return &cobra.Command{
		Use:     "delete <id>",
		Short:   "Delete a session and its turns",
		Long:    "Delete a session and its turns. What was learnt in it stays.",
		Example: "  spectron sessions delete s1",
		Args:    arguments("id"),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if err := c.DeleteSession(cmd.Context(), args[0]); err != nil {
				return err
			}
			return a.printDone("deleted", "session", args[0])
		}),
	}
}
