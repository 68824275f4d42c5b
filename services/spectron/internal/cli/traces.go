package cli

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/spectron/table"
)

func (a *app) traces() *cobra.Command {
	return group(&cobra.Command{
		Use:   "traces",
		Short: "See what was asked, and how it was answered",
		Long:  "See your own queries, or all queries of the context with grant:manage over /.",
		Example: `  spectron traces list
  spectron traces stats`,
	}, a.tracesList(), a.tracesShow(), a.tracesStats())
}

func (a *app) tracesList() *cobra.Command {
	var limit int32
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the queries",
		Long:    "List the queries, the newest first.",
		Example: "  spectron traces list --limit 10",
		Args:    arguments(),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			if err := checkLimit(cmd); err != nil {
				return err
			}
			list, err := c.ListTraces(cmd.Context(), limit)
			if err != nil {
				return err
			}
			rows := table.New("ID", "CREATED", "TIER", "MS", "QUERY")
			for _, t := range list {
				rows.Row(t.ID, moment(&t.CreatedAt, ""), t.ResolutionTier, strconv.FormatInt(t.LatencyMs, 10), t.QueryText)
			}
			return a.printList(list, rows, "there are no traces")
		}),
	}
	cmd.Flags().Int32Var(&limit, "limit", 0, "most rows to show, up to 500 (default 50)")
	return cmd
}

func traceFields(t client.Trace) *table.Table {
	fields := table.New()
	fields.Field("ID", t.ID)
	fields.Field("QUERY", t.QueryText)
	fields.Field("TIER", t.ResolutionTier)
	fields.Field("REASON", t.TierReason)
	fields.Field("HITS", strconv.Itoa(t.RetrievedCount))
	fields.Field("MS", strconv.FormatInt(t.LatencyMs, 10))
	fields.Field("CREATED", moment(&t.CreatedAt, ""))
	fields.Field("PRINCIPAL", t.PrincipalID)
	fields.Field("ON BEHALF OF", t.DelegatedPrincipalID)
	return fields
}

func (a *app) tracesShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show <id>",
		Short:   "Show a query",
		Long:    "Show a query, and how it was answered.",
		Example: "  spectron traces show t1",
		Args:    arguments("id"),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
			t, err := c.GetTrace(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.print(t, traceFields(t))
		}),
	}
}

func (a *app) tracesStats() *cobra.Command {
	return &cobra.Command{
		Use:     "stats",
		Short:   "Show figures about the latest queries",
		Long:    "Show figures about the latest queries. They are zero without grant:manage over /.",
		Example: "  spectron traces stats -o json",
		Args:    arguments(),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			s, err := c.GetTraceStats(cmd.Context())
			if err != nil {
				return err
			}
			fields := table.New()
			fields.Field("HOURS", strconv.Itoa(s.WindowHours))
			fields.Field("QUERIES", strconv.FormatInt(s.TotalQueries, 10))
			fields.Field("AVERAGE MS", fmt.Sprintf("%.1f", s.AvgLatencyMs))
			fields.Field("CACHE HITS", strconv.FormatInt(s.CacheHits, 10))
			fields.Field("TIERS", fmt.Sprintf("direct %d, hybrid %d, full context %d", s.TierCounts.Direct, s.TierCounts.Hybrid, s.TierCounts.FullContext))
			for _, kind := range s.SourceKindDistribution {
				fields.Field("SOURCE", fmt.Sprintf("%s %d", kind.Kind, kind.Count))
			}
			return a.print(s, fields)
		}),
	}
}

func (a *app) audit() *cobra.Command {
	var opts client.AuditOptions
	var since, until instant
	kind := newChoice("", "decision", "retrieval", "response")
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "List what was asked and decided",
		Long:  "List what was asked and decided, the newest first: your own, or all with grant:manage over /.",
		Example: `  spectron audit --kind decision --since 2026-09-01
  spectron audit --principal p1 -o json`,
		Args: arguments(),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			if err := checkLimit(cmd); err != nil {
				return err
			}
			opts.Kind, opts.Since, opts.Until = kind.value, since.Time, until.Time
			list, err := c.Audit(cmd.Context(), opts)
			if err != nil {
				return err
			}
			rows := table.New("CREATED", "KIND", "ACTION", "PRINCIPAL", "ON BEHALF OF", "ROWS", "MS", "TRACE")
			for _, r := range list {
				rows.Row(moment(&r.CreatedAt, ""), r.Kind, r.Action, r.Principal, r.OnBehalfOf,
					strconv.FormatInt(r.RowsTouched, 10), strconv.FormatInt(r.LatencyMs, 10), r.TraceID)
			}
			return a.printList(list, rows, "there are no rows")
		}),
	}
	flags := cmd.Flags()
	kind.register(cmd, flags, "kind", "", "only rows of this kind")
	flags.StringVar(&opts.Principal, "principal", "", "only of the principal of this `id`")
	flags.StringVar(&opts.Key, "key", "", "only by the key of this `id`")
	flags.Var(&since, "since", "only from then on")
	flags.Var(&until, "until", "only before then")
	flags.Int32Var(&opts.Limit, "limit", 0, "most rows to show, up to 500 (default 50)")
	return cmd
}

func (a *app) inspect() *cobra.Command {
	return &cobra.Command{
		Use:   "inspect <ref>",
		Short: "Show what a reference stands for",
		Long: `Show what a reference stands for: entity:<type>/<name>, attribute:<type>/<name>/<key>,
relation:<type>/<name>-[<label>]-><type>/<name>, or trace:<id>.`,
		Example: `  spectron inspect entity:person/alice
  spectron inspect 'relation:person/alice-[knows]->person/bob'`,
		Args: arguments("ref"),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
			got, err := c.Inspect(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.print(got, inspectionTables(got)...)
		}),
	}
}

func inspectionTables(got client.Inspection) []*table.Table {
	kind := table.New()
	kind.Field("KIND", got.Kind)
	all := []*table.Table{kind}
	if got.Entity != nil {
		all = append(all, entityFields(*got.Entity))
	}
	if got.Attribute != nil {
		all = append(all, attributeRows([]client.Attribute{*got.Attribute}))
	}
	if got.Relation != nil {
		all = append(all, relationRows([]client.Relation{*got.Relation}))
	}
	if got.Trace != nil {
		all = append(all, traceFields(*got.Trace))
	}
	return append(all, attributeRows(got.Attributes), relationRows(got.Relations), attributeRows(got.History))
}
