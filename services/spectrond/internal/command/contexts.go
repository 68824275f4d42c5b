package command

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/spectron/table"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
)

func newContexts(environ settings.Environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "contexts",
		Short: "Create, show, change and delete contexts",
		Long: `Work on the contexts of a running deployment. A context is an isolated tenant: it holds memory, and the keys that
open it and nothing else. These commands speak to the management API and need a management key.`,
		Example: `  spectrond contexts create acme
  spectrond contexts list -o json`,
	}
	out := addOutput(cmd, environ)
	settings.Flags(cmd.PersistentFlags(), &operatorSettings{})
	return cli.Group(cmd,
		newContextsCreate(environ, out),
		newContextsList(environ, out),
		newContextsGet(environ, out),
		newContextsPatch(environ, out),
		newContextsDelete(environ, out),
		newContextsLifecycle(environ, out, "decay", "Age everything in a context",
			"Lower the importance of everything in a context that was not written for long.", (*client.Management).Decay),
		newContextsLifecycle(environ, out, "reindex", "Build the search index of a context anew",
			"Build the search index of a context anew.", (*client.Management).Reindex),
	)
}

func newContextsCreate(environ settings.Environ, out *output) *cobra.Command {
	var opts client.CreateContextOptions
	var config string
	cmd := &cobra.Command{
		Use:   "create <id>",
		Short: "Create a context",
		Long: `Create a context, with its principals system and admin. The id is lower-case letters, digits, hyphens and
underscores. The file given with --config is a JSON object of the settings that differ from the defaults.`,
		Example: `  spectrond contexts create acme
  echo '{"max_token_ttl_seconds": 86400}' > capped.json
  spectrond contexts create acme-short-lived --config capped.json`,
		Args: cli.Arguments("id"),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) error {
			var err error
			if opts.Config, err = readConfig(cmd, config); err != nil {
				return err
			}
			created, err := m.CreateContext(cmd.Context(), args[0], opts)
			if err != nil {
				return err
			}
			return out.writeContext(cmd, created)
		}),
	}
	cmd.Flags().StringVar(&opts.Namespace, "namespace", "", "namespace (default the id)")
	cmd.Flags().StringVar(&opts.Database, "database", "", "database (default the id)")
	cmd.Flags().StringVar(&opts.DisplayName, "display-name", "", "name for people")
	cmd.Flags().StringVar(&opts.Description, "description", "", "what the context is for")
	cmd.Flags().StringVar(&config, "config", "", "file with a JSON object of settings")
	cmd.Flags().StringVar(&opts.AdminExternalID, "admin-external-id", "", "identity elsewhere that the principal admin is bound to")
	cmd.Flags().StringVar(&opts.AdminDisplayName, "admin-display-name", "", "name of that principal (default admin)")
	return cmd
}

func newContextsList(environ settings.Environ, out *output) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the contexts",
		Long:    "List every context of the deployment, ordered by id.",
		Example: "  spectrond contexts list",
		Args:    cli.Arguments(),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, _ []string) error {
			list, err := m.ListContexts(cmd.Context())
			if err != nil {
				return err
			}
			rows := table.New("ID", "NAMESPACE", "DATABASE", "CREATED")
			for _, c := range list {
				rows.Row(c.ID, c.Namespace, c.Database, moment(&c.CreatedAt))
			}
			return out.write(cmd, list, rows)
		}),
	}
}

func newContextsGet(environ settings.Environ, out *output) *cobra.Command {
	return &cobra.Command{
		Use:     "get <id>",
		Short:   "Show a context with its settings",
		Long:    "Show one context with its effective settings, the defaults filled in.",
		Example: "  spectrond contexts get acme",
		Args:    cli.Arguments("id"),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) error {
			got, err := m.GetContext(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return out.writeContext(cmd, got)
		}),
	}
}

func newContextsPatch(environ settings.Environ, out *output) *cobra.Command {
	var config string
	var blocked bool
	cmd := &cobra.Command{
		Use:   "patch <id>",
		Short: "Change the settings of a context",
		Long: `Change a context. The JSON object in the file given with --config is merged, deeply, into the settings that are
stored; null takes a setting back to its default. A change counts for the next request.`,
		Example: `  echo '{"max_token_ttl_seconds": 3600}' > patch.json
  spectrond contexts patch acme --config patch.json
  spectrond contexts patch acme --enforcement-blocked=false`,
		Args: cli.Arguments("id"),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) error {
			var patch client.ContextPatch
			var err error
			if patch.Config, err = readConfig(cmd, config); err != nil {
				return err
			}
			if cmd.Flags().Changed("enforcement-blocked") {
				patch.EnforcementBlocked = &blocked
			}
			if patch.Config == nil && patch.EnforcementBlocked == nil {
				return cli.Usage(cmd, errors.New("nothing to change: give --config or --enforcement-blocked"))
			}
			patched, err := m.PatchContext(cmd.Context(), args[0], patch)
			if err != nil {
				return err
			}
			return out.writeContext(cmd, patched)
		}),
	}
	cmd.Flags().StringVar(&config, "config", "", "file with a JSON object of settings")
	cmd.Flags().BoolVar(&blocked, "enforcement-blocked", false, "refuse calls that need a language model")
	return cmd
}

func newContextsDelete(environ settings.Environ, out *output) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "delete <id>",
		Short: "Delete a context and everything in it",
		Long: `Delete a context with its keys, principals and memory. Its keys are refused from the next request on. This cannot be
undone, so it asks for the id once more; --yes answers for you.`,
		Example: "  spectrond contexts delete acme --yes",
		Args:    cli.Arguments("id"),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) error {
			if !yes && !confirmed(cmd, args[0]) {
				return errors.New("not confirmed, so nothing was deleted (use --yes to delete without being asked)")
			}
			if err := m.DeleteContext(cmd.Context(), args[0]); err != nil {
				return err
			}
			return out.writeDone(cmd, "deleted", "context", args[0])
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "delete without being asked")
	return cmd
}

// confirmed asks for the id of the context. No answer is none.
func confirmed(cmd *cobra.Command, id string) bool {
	cmd.PrintErrf("Delete context %q and everything in it? This cannot be undone. Type its id: ", id)
	line, _ := bufio.NewReader(cmd.InOrStdin()).ReadString('\n') // what was read before an error is the answer
	return strings.TrimSpace(line) == id
}

// readConfig returns the JSON object in the file path, or nil when path is empty.
func readConfig(cmd *cobra.Command, path string) (json.RawMessage, error) {
	if path == "" {
		return nil, nil
	}
	content, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("reading --config: %w", err)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(content, &object); err != nil || object == nil {
		return nil, cli.Usage(cmd, fmt.Errorf("--config: %s does not hold one JSON object", path))
	}
	return content, nil
}

func (o *output) writeContext(cmd *cobra.Command, c client.Context) error {
	config, err := json.Marshal(c.Config)
	if err != nil {
		return fmt.Errorf("encoding the context's settings: %w", err)
	}
	fields := table.New()
	fields.Field("ID", c.ID)
	fields.Field("NAME", c.DisplayName)
	fields.Field("DESCRIPTION", c.Description)
	fields.Field("NAMESPACE", c.Namespace)
	fields.Field("DATABASE", c.Database)
	fields.Field("CREATED", moment(&c.CreatedAt))
	fields.Field("ENFORCEMENT BLOCKED", strconv.FormatBool(c.EnforcementBlocked))
	fields.Field("CONFIG", string(config))
	return o.write(cmd, c, fields)
}

// newContextsLifecycle returns the command that asks for work on a context with ask.
func newContextsLifecycle(
	environ settings.Environ, out *output, name, short, long string,
	ask func(m *client.Management, ctx context.Context, contextID string) (client.Job, error),
) *cobra.Command {
	return &cobra.Command{
		Use:     name + " <id>",
		Short:   short,
		Long:    long + " The work is done by a data plane after this command has ended; printed is its id.",
		Example: "  spectrond contexts " + name + " acme",
		Args:    cli.Arguments("id"),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) error {
			job, err := ask(m, cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return out.writeLine(cmd, job, job.ID)
		}),
	}
}
