package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/spectron/client"
)

func (a *app) recall() *cobra.Command {
	var opts client.RecallOptions
	var lens []string
	var asJSON bool
	mode := newChoice(string(client.ModeHybrid), string(client.ModeBM25), string(client.ModeVector), string(client.ModeGraph))
	cmd := &cobra.Command{
		Use:   `recall "<query>"`,
		Short: "Find what was remembered",
		Long: `Find what was remembered, the best first, within what the key may read.

A lens narrows the search to scope patterns: org/acme is that node, org/acme/* is the node and everything below it.
With several, a hit lies in one of them. A server without embeddings ranks hybrid by words, and refuses vector and graph.`,
		Example: `  spectron recall "What does Ada drink?"
  spectron recall "launch" -k 3 --lens "org/acme/*" --label source=standup
  spectron recall "launch" --json | jq -r ".hits[].text"`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("give one query, in quotes when it has spaces")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if asJSON {
				a.output.value = "json"
			}
			if cmd.Flags().Changed("limit") && opts.K < 1 {
				return usagef("--limit: want at least 1")
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			opts.Mode, opts.Lens = client.Mode(mode.value), client.AnyOf(lens...)
			found, err := c.Recall(cmd.Context(), args[0], opts)
			if err != nil {
				return err
			}
			if len(found.Hits) == 0 {
				a.complain("nothing found")
			}
			return a.print(found, func(w io.Writer) { printHits(w, found.Hits) })
		},
	}
	flags := cmd.Flags()
	flags.IntVarP(&opts.K, "limit", "k", 0, "most hits to show, up to 50 (default 10)")
	mode.register(cmd, flags, "mode", "", "how to rank")
	flags.StringArrayVar(&lens, "lens", nil, "scope `pattern` to look in (repeatable)")
	flags.StringArrayVar(&opts.Labels, "label", nil, "`key=value` that every hit has (repeatable)")
	flags.BoolVar(&asJSON, "json", false, "the same as --output json")
	return cmd
}

func printHits(w io.Writer, hits []client.Hit) {
	if len(hits) == 0 {
		return
	}
	_, _ = fmt.Fprintln(w, "SCORE\tSOURCE\tTEXT")
	for _, hit := range hits {
		_, _ = fmt.Fprintf(w, "%.3g\t%s\t%s\n", hit.Score, oneLine(hit.Source), oneLine(hit.Text))
	}
}
