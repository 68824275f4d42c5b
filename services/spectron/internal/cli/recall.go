package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/spectron/table"
)

func (a *app) recall() *cobra.Command {
	var opts client.RecallOptions
	var lens []string
	var asJSON bool
	var asOf, atInstant, validFrom, validUntil instant
	var limit int32
	mode := newChoice(string(client.ModeHybrid), string(client.ModeBM25), string(client.ModeVector), string(client.ModeGraph))
	cmd := &cobra.Command{
		Use:   `recall "<query>"`,
		Short: "Find what was remembered",
		Long: `Find what was remembered, the best first, within what the key may read.

A lens narrows the search to scope patterns: org/acme is that node, org/acme/* is the node and everything below it.
With several, a hit lies in one of them. A server without embeddings ranks hybrid by words, and refuses vector and graph.

Moments are as in 2026-09-01T12:00:00Z; a day alone is its beginning, in UTC.`,
		Example: `  spectron recall "What does Ada drink?"
  spectron recall "launch" -k 3 --lens "org/acme/*" --label source=standup
  spectron recall "launch" --include facts --as-of 2026-09-01
  spectron recall "launch" --json | jq -r ".hits[].text"`,
		Args: oneQuery,
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if asJSON {
				a.output.value = outputJSON
			}
			if err := checkLimit(cmd); err != nil {
				return err
			}
			opts.K, opts.Mode, opts.Lens = int(limit), client.Mode(mode.value), client.AnyOf(lens...)
			opts.AsOf, opts.AtInstant, opts.ValidFrom, opts.ValidUntil = asOf.Time, atInstant.Time, validFrom.Time, validUntil.Time
			found, err := c.Recall(cmd.Context(), args[0], opts)
			if err != nil {
				return err
			}
			rows := table.New("SCORE", "SOURCE", "TEXT")
			for _, hit := range found.Hits {
				rows.Row(fmt.Sprintf("%.3g", hit.Score), hit.Source, hit.Text)
			}
			return a.printList(found, rows, "nothing found")
		}),
	}
	flags := cmd.Flags()
	flags.Int32VarP(&limit, "limit", "k", 0, "most hits to show, up to 50 (default 10)")
	mode.register(cmd, flags, "mode", "", "how to rank")
	flags.StringArrayVar(&lens, "lens", nil, "scope `pattern` to look in (repeatable)")
	flags.StringArrayVar(&opts.Labels, "label", nil, "`key=value` that every hit has (repeatable)")
	flags.StringSliceVar(&opts.Include, "include", nil, "kinds of hits: facts, passages (default both)")
	flags.StringVar(&opts.SessionID, "session", "", "`id` of the session that it was written in")
	flags.StringVar(&opts.Source, "source", "", "source of the hits, such as attribute")
	flags.Var(&asOf, "as-of", "only what was written by then")
	flags.Var(&atInstant, "at-instant", "only what was valid at that moment")
	flags.Var(&validFrom, "valid-from", "only what was valid then or later")
	flags.Var(&validUntil, "valid-until", "only what was valid before then")
	flags.BoolVar(&opts.IncludeDuplicates, "duplicates", false, "show each of several equal texts")
	flags.BoolVar(&asJSON, "json", false, "the same as --output json")
	refuse(flags, "min-trust", "a memory has no measure of trust")
	return cmd
}

func (a *app) context() *cobra.Command {
	var opts client.ContextOptions
	var lens []string
	var limit int32
	cmd := &cobra.Command{
		Use:   `context "<query>"`,
		Short: "Put together what is remembered, as markdown for a prompt",
		Long:  "Put together what is remembered on a question, within what the key may read, as markdown for a prompt.",
		Example: `  spectron context "What does Ada drink?" > prompt.md
  spectron context "launch" --lens "org/acme/*" -k 20`,
		Args: oneQuery,
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if err := checkLimit(cmd); err != nil {
				return err
			}
			opts.K, opts.Lens = int(limit), client.AnyOf(lens...)
			found, err := c.Context(cmd.Context(), args[0], opts)
			if err != nil {
				return err
			}
			if found.Context == "" {
				a.complain("nothing found")
			}
			return a.printText(found, found.Context)
		}),
	}
	flags := cmd.Flags()
	flags.Int32VarP(&limit, "limit", "k", 0, "most memories to use, up to 50 (default 10)")
	flags.StringArrayVar(&lens, "lens", nil, "scope `pattern` to look in (repeatable)")
	flags.StringArrayVar(&opts.Labels, "label", nil, "`key=value` that each of them has (repeatable)")
	return cmd
}

func (a *app) reflect() *cobra.Command {
	var opts client.ReflectOptions
	cmd := &cobra.Command{
		Use:   `reflect "<query>"`,
		Short: "Sum up what is remembered on a question",
		Long: `Sum up what is remembered on a question. A server without a language model does so in the words that were remembered,
and says so. With --persist the sum is stored as knowledge; the key of an agent may not do that.`,
		Example: `  spectron reflect "What do we know about Ada?"
  spectron reflect "What do we know about Ada?" --persist`,
		Args: oneQuery,
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
			got, err := c.Reflect(cmd.Context(), args[0], opts)
			if err != nil {
				return err
			}
			if got.Reflection == "" {
				a.complain("nothing is remembered on that")
			}
			if len(got.PersistedAttributes) > 0 {
				a.complain("stored %d attributes", len(got.PersistedAttributes))
			}
			return a.printText(got, got.Reflection)
		}),
	}
	cmd.Flags().BoolVar(&opts.Persist, "persist", false, "store the reflection as knowledge")
	return cmd
}
