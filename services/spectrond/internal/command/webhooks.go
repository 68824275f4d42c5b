package command

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/webhook"
	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/spectron/table"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
)

func newWebhooks(environ settings.Environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "webhooks",
		Short: "Tell URLs what becomes of keys",
		Long: `Work on the webhooks of a running deployment. A webhook is a URL that is told when keys and tokens are made, rotated,
disabled, enabled, revoked, or about to end: key.created, key.rotated, key.disabled, key.enabled, key.revoked, key.expiring. Messages are signed as Standard Webhooks has it
(webhook-id, webhook-timestamp, webhook-signature), hold no secret, and are repeated until the URL answers with 2xx: so they may come more
than once, always with the same webhook-id, and in any order. These commands speak to the management API and need a management key.`,
		Example: `  spectrond webhooks create https://ops.example.com/spectron --event key.revoked --event key.expiring
  spectrond webhooks test wh_abcdefghijklmnop`,
	}
	out := addOutput(cmd, environ)
	settings.Flags(cmd.PersistentFlags(), &operatorSettings{})
	return cli.Group(cmd,
		newWebhooksCreate(environ, out),
		newWebhooksList(environ, out),
		newWebhooksShow(environ, out),
		newWebhooksPatch(environ, out),
		newWebhooksDelete(environ, out),
		newWebhooksRotate(environ, out),
		newWebhooksTest(environ, out),
		newWebhooksDeliveries(environ, out),
		newWebhooksRedeliver(environ, out),
	)
}

// webhookURLFlag is the flag of another URL to tell; --url is where the key manager answers.
const webhookURLFlag = "webhook-url"

// webhookFlags are what a webhook is like.
type webhookFlags struct {
	url, description, context string
	events                    []string
	enabled                   bool
}

func (f *webhookFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.description, "description", "", "what it is for")
	cmd.Flags().StringVar(&f.context, "context", "", "the only context to tell of (default all)")
	cmd.Flags().StringSliceVar(&f.events, "event", nil, "what to tell of, repeat for more (default all: key.created, key.rotated, key.disabled, key.enabled, key.expiring, key.revoked)")
	cmd.Flags().BoolVar(&f.enabled, "enabled", true, "whether it is told at all")
}

// options returns what was given on the command line.
func (f *webhookFlags) options(cmd *cobra.Command) client.WebhookOptions {
	var opts client.WebhookOptions
	given := func(name string) bool { return cmd.Flags().Changed(name) }
	if given(webhookURLFlag) {
		opts.URL = &f.url
	}
	if given("description") {
		opts.Description = &f.description
	}
	if given("context") {
		opts.ContextID = &f.context
	}
	if given("enabled") {
		opts.Enabled = &f.enabled
	}
	if given("event") {
		opts.Events = []webhook.Event{}
		for _, event := range f.events {
			opts.Events = append(opts.Events, webhook.Event(event))
		}
	}
	return opts
}

func newWebhooksCreate(environ settings.Environ, out *output) *cobra.Command {
	var f webhookFlags
	cmd := &cobra.Command{
		Use:   "create <url>",
		Short: "Make a webhook",
		Long: `Make a webhook and print its secret on standard output, this once. The URL must begin with https:// and lead to a public address, by
name or by number; SPECTRON_WEBHOOK_ALLOWED_NETWORKS of the key manager allows private networks.`,
		Example: `  spectrond webhooks create https://ops.example.com/spectron
  spectrond webhooks create https://ops.example.com/acme --context acme --event key.expiring`,
		Args: cli.Arguments("url"),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) error {
			made, err := m.CreateWebhook(cmd.Context(), args[0], f.options(cmd))
			if err != nil {
				return err
			}
			return out.writeWebhookSecret(cmd, "made", made)
		}),
	}
	f.add(cmd)
	return cmd
}

// writeWebhookSecret prints the secret alone on standard output, so that $(…) holds it, and the rest on standard error.
func (o *output) writeWebhookSecret(cmd *cobra.Command, done string, w client.WebhookSecret) error {
	if err := o.writeLine(cmd, w, w.Secret); err != nil {
		return fmt.Errorf("webhook %s is %s, but its secret could not be shown (rotate-secret gets another one): %w", w.Webhook.ID, done, err)
	}
	cmd.PrintErrf("%s webhook %s; its secret is shown this once\n", done, w.Webhook.ID)
	return nil
}

func newWebhooksList(environ settings.Environ, out *output) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List webhooks",
		Long:    "List every webhook, ordered by id, without its secret.",
		Example: "  spectrond webhooks list -o json",
		Args:    cli.Arguments(),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, _ []string) error {
			list := []client.Webhook{}
			rows := table.New("ID", "STATE", "CONTEXT", "EVENTS", "URL")
			for w, err := range m.Webhooks(cmd.Context()) {
				if err != nil {
					return err
				}
				list = append(list, w)
				rows.Row(w.ID, webhookState(w), orAll(w.ContextID), eventNames(w.Events), w.URL)
			}
			return out.write(cmd, list, rows)
		}),
	}
}

// webhookState says in a few words how a webhook is.
func webhookState(w client.Webhook) string {
	switch {
	case !w.Enabled && w.DisabledReason != "":
		return "disabled: " + w.DisabledReason
	case !w.Enabled:
		return "disabled"
	case w.FailingSince != nil:
		return "failing since " + moment(w.FailingSince)
	default:
		return "enabled"
	}
}

func orAll(contextID string) string {
	if contextID == "" {
		return "all"
	}
	return contextID
}

func eventNames(events []webhook.Event) string {
	names := make([]string, len(events))
	for i, event := range events {
		names[i] = string(event)
	}
	return strings.Join(names, ",")
}

func (o *output) writeWebhook(cmd *cobra.Command, w client.Webhook) error {
	fields := table.New()
	fields.Field("ID", w.ID)
	fields.Field("URL", w.URL)
	fields.Field("DESCRIPTION", w.Description)
	fields.Field("STATE", webhookState(w))
	fields.Field("CONTEXT", orAll(w.ContextID))
	fields.Field("EVENTS", eventNames(w.Events))
	fields.Field("CREATED", moment(&w.CreatedAt))
	if w.PreviousSecretUntil != nil {
		fields.Field("OLD SECRET UNTIL", moment(w.PreviousSecretUntil))
	}
	return o.write(cmd, w, fields)
}

func newWebhooksShow(environ settings.Environ, out *output) *cobra.Command {
	return &cobra.Command{
		Use:     "show <id>",
		Short:   "Show a webhook",
		Long:    "Show a webhook, without its secret.",
		Example: "  spectrond webhooks show wh_abcdefghijklmnop",
		Args:    cli.Arguments("id"),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) error {
			w, err := m.GetWebhook(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return out.writeWebhook(cmd, w)
		}),
	}
}

func newWebhooksPatch(environ settings.Environ, out *output) *cobra.Command {
	var f webhookFlags
	cmd := &cobra.Command{
		Use:   "patch <id>",
		Short: "Change a webhook",
		Long: `Change a webhook. What is not given stays. Of what happens while it is disabled it is not told; what waited before waits on, for as long as
messages are tried. Enabling it forgets why it was disabled.`,
		Example: `  spectrond webhooks patch wh_abcdefghijklmnop --enabled=false
  spectrond webhooks patch wh_abcdefghijklmnop --webhook-url https://ops.example.com/new`,
		Args: cli.Arguments("id"),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) error {
			w, err := m.PatchWebhook(cmd.Context(), args[0], f.options(cmd))
			if err != nil {
				return err
			}
			return out.writeWebhook(cmd, w)
		}),
	}
	f.add(cmd)
	cmd.Flags().StringVar(&f.url, webhookURLFlag, "", "another URL to tell")
	return cmd
}

func newWebhooksDelete(environ settings.Environ, out *output) *cobra.Command {
	return &cobra.Command{
		Use:     "delete <id>",
		Short:   "Delete a webhook",
		Long:    "Delete a webhook with everything that waits for it. An attempt that is under way is not called back.",
		Example: "  spectrond webhooks delete wh_abcdefghijklmnop",
		Args:    cli.Arguments("id"),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) error {
			if err := m.DeleteWebhook(cmd.Context(), args[0]); err != nil {
				return err
			}
			return out.writeDone(cmd, "deleted", "webhook", args[0])
		}),
	}
}

func newWebhooksRotate(environ settings.Environ, out *output) *cobra.Command {
	var grace time.Duration
	cmd := &cobra.Command{
		Use:   "rotate-secret <id>",
		Short: "Replace the secret of a webhook",
		Long: `Replace the secret of a webhook and print the new one on standard output, this once. For a day, or as --grace says, messages are signed
with both, so that receivers can be changed without losing any. After a leak, use --grace 0s.`,
		Example: `  spectrond webhooks rotate-secret wh_abcdefghijklmnop
  spectrond webhooks rotate-secret wh_abcdefghijklmnop --grace 0s`,
		Args: cli.Arguments("id"),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) error {
			var given *time.Duration
			if cmd.Flags().Changed("grace") {
				given = &grace
			}
			rotated, err := m.RotateWebhookSecret(cmd.Context(), args[0], given)
			if err != nil {
				return err
			}
			return out.writeWebhookSecret(cmd, "rotated", rotated)
		}),
	}
	cmd.Flags().DurationVar(&grace, "grace", 24*time.Hour, "for how long the old secret signs, too, at most 168h")
	return cmd
}

// testPatience is how long a test is waited for: an attempt takes 15 seconds at the most.
const testPatience = 20 * time.Second

func newWebhooksTest(environ settings.Environ, out *output) *cobra.Command {
	return &cobra.Command{
		Use:   "test <id>",
		Short: "Send a message to try a webhook",
		Long: `Send a message of the type webhook.test, whatever the webhook subscribes to, and wait for what comes of it. It is tried once. Fails when it
was not accepted.`,
		Example: "  spectrond webhooks test wh_abcdefghijklmnop",
		Args:    cli.Arguments("id"),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) error {
			sent, err := m.TestWebhook(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			ended, err := awaitDelivery(cmd.Context(), m, args[0], sent.ID)
			if err != nil {
				return err
			}
			if ended.State != "delivered" {
				return fmt.Errorf("the webhook did not accept message %s: %s", ended.ID, ended.LastError)
			}
			return out.writeLine(cmd, ended, fmt.Sprintf("delivered message %s in %d ms", ended.ID, ended.LastTookMS))
		}),
	}
}

// awaitDelivery returns a delivery when it has ended.
func awaitDelivery(ctx context.Context, m *client.Management, webhookID, messageID string) (client.WebhookDelivery, error) {
	ctx, cancel := context.WithTimeout(ctx, testPatience)
	defer cancel()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		for d, err := range m.WebhookDeliveries(ctx, webhookID, "") {
			if err != nil {
				return client.WebhookDelivery{}, err
			}
			if d.ID == messageID && d.State != "pending" {
				return d, nil
			}
			if d.ID == messageID {
				break
			}
		}
		select {
		case <-ctx.Done():
			return client.WebhookDelivery{}, fmt.Errorf("nothing came of message %s within %s: see `spectrond webhooks deliveries %s`", messageID, testPatience, webhookID)
		case <-tick.C:
		}
	}
}

func newWebhooksDeliveries(environ settings.Environ, out *output) *cobra.Command {
	var state string
	var limit int
	cmd := &cobra.Command{
		Use:   "deliveries <id>",
		Short: "List what was sent to a webhook, or will be",
		Long: `List the deliveries of a webhook, the newest first: what is pending, and what ended in the last week. The id is the webhook-id of the
message.`,
		Example: "  spectrond webhooks deliveries wh_abcdefghijklmnop --state failed",
		Args:    cli.Arguments("id"),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) error {
			list := []client.WebhookDelivery{}
			rows := table.New("ID", "EVENT", "AT", "STATE", "ATTEMPTS", "STATUS", "NEXT", "ERROR")
			for d, err := range m.WebhookDeliveries(cmd.Context(), args[0], state) {
				if err != nil {
					return err
				}
				if len(list) == limit {
					break
				}
				list = append(list, d)
				next, status := "-", "-"
				if d.NextAttemptAt != nil {
					next = moment(d.NextAttemptAt)
				}
				if d.LastStatus != 0 {
					status = strconv.Itoa(d.LastStatus)
				}
				rows.Row(d.ID, string(d.Type), moment(&d.Timestamp), d.State, strconv.Itoa(d.Attempts), status, next, d.LastError)
			}
			return out.write(cmd, list, rows)
		}),
	}
	cmd.Flags().StringVar(&state, "state", "", "only those that are pending, delivered or failed")
	cmd.Flags().IntVar(&limit, "limit", 100, "how many")
	return cmd
}

func newWebhooksRedeliver(environ settings.Environ, out *output) *cobra.Command {
	return &cobra.Command{
		Use:   "redeliver <id> <message_id>",
		Short: "Send a message again",
		Long: `Send a message again, with the same webhook-id: a receiver that drops what it knows drops it. It is tried for as long as a new one. Messages
that were given up are found with 'spectrond webhooks deliveries <id> --state failed'.`,
		Example: "  spectrond webhooks redeliver wh_abcdefghijklmnop msg_abcdefghijklmnopqrst_abcdefghijklmnop",
		Args:    cli.Arguments("id", "message_id"),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) error {
			d, err := m.RedeliverWebhook(cmd.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			return out.writeLine(cmd, d, "message "+table.Clean(d.ID)+" is sent again")
		}),
	}
}
