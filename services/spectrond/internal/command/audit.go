package command

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/auditchain"
	"github.com/spectron-hq/spectron/services/keymanager"
	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/spectron/table"
	"github.com/spectron-hq/spectron/services/spectrond/internal/auditfile"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
)

func newAudit(environ settings.Environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Show, export, check and archive the audit log",
		Long: `The audit log says what was done to contexts, principals, keys and accounts, by whom and from where, and what was
refused. Each entry carries a hash over itself and over the hash of the one before it, so that whoever keeps one hash, the
head, notices later when anything up to it has been changed. Entries are sealed about a second after they were committed, and
shown from then on.

'tail' speaks to the management API and needs a management key. The others can work on the database itself instead, with the
flag --connection-string; 'archive' always does.`,
		Example: `  spectrond audit tail -f
  spectrond audit verify --connection-string postgres://owner@db/spectron --head "$(cat head)"`,
	}
	settings.Flags(cmd.PersistentFlags(), &operatorSettings{})
	return cli.Group(cmd,
		newAuditTail(environ),
		newAuditExport(environ),
		newAuditVerify(environ),
		newAuditHead(environ),
		newAuditArchive(),
	)
}

// auditFilters are the flags that pick entries.
type auditFilters struct {
	query        client.AuditQuery
	since, until instant
}

func (f *auditFilters) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.query.Action, "action", "", "only this action, such as key.rotated or access.denied")
	flags.StringVar(&f.query.Actor, "actor", "", "only the actor with this key id")
	flags.StringVar(&f.query.ActorKind, "actor-kind", "", "only actors of this kind: management, service, caller, local or unknown")
	flags.StringVar(&f.query.ContextID, "context", "", "only what was done in this context")
	flags.StringVar(&f.query.Target, "target", "", "only what was done to the key, principal or context of this id")
	flags.StringVar(&f.query.TraceID, "trace-id", "", "only the request with this trace id")
	flags.StringVar(&f.query.Outcome, "outcome", "", "only what was done, or denied")
	flags.Var(&f.since, "since", "only from this time on, or from so long ago: 2026-08-01T12:00:00Z, 36h, 90d")
	flags.Var(&f.until, "until", "only before this time")
}

func (f *auditFilters) picked() client.AuditQuery {
	query := f.query
	query.Since, query.Until = f.since.at, f.until.at
	return query
}

// followEvery is how often 'tail -f' asks.
const followEvery = time.Second

func newAuditTail(environ settings.Environ) *cobra.Command {
	var filters auditFilters
	var follow bool
	var lines int
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Show the newest entries",
		Long: `Show the newest entries, oldest of them first; with -f go on to show what comes, until interrupted. With -o json each
entry is one line of JSON. A refusal that is repeated has one entry at once and one a minute later, with the number.`,
		Example: `  spectrond audit tail -f --context default
  spectrond audit tail --outcome denied --since 24h
  spectrond audit tail --target "$KEY_ID" -o json`,
		Args: cli.Arguments(),
	}
	out := addOutput(cmd, environ)
	cmd.RunE = operator(environ, func(cmd *cobra.Command, m *client.Management, _ []string) error {
		if lines < 0 || lines > 1000 {
			return cli.Usage(cmd, errors.New("--lines: want 0 to 1000"))
		}
		query := filters.picked()
		query.PageSize = max(1, lines)
		newest, err := take(m.Audit(cmd.Context(), query), lines)
		if err != nil {
			return err
		}
		slices.Reverse(newest)
		if err := out.writeEntries(cmd, newest, true); err != nil || !follow {
			return err
		}
		state, err := m.AuditState(cmd.Context())
		if err != nil {
			return err
		}
		query.Oldest, query.PageSize, query.After = true, 0, state.Head.Seq
		if len(newest) > 0 {
			query.After = newest[len(newest)-1].Seq // between the two questions some may have come
		}
		return out.follow(cmd, m, query)
	})
	filters.add(cmd)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on to show what comes")
	cmd.Flags().IntVarP(&lines, "lines", "n", 20, "how many of the newest entries to show first")
	return cmd
}

// take returns the first of records, at most limit.
func take(records iter.Seq2[auditchain.Record, error], limit int) ([]auditchain.Record, error) {
	taken := []auditchain.Record{}
	if limit == 0 {
		return taken, nil
	}
	for r, err := range records {
		if err != nil {
			return nil, err
		}
		if taken = append(taken, r); len(taken) == limit {
			break
		}
	}
	return taken, nil
}

// follow shows what comes until the command is told to end.
func (o *output) follow(cmd *cobra.Command, m *client.Management, query client.AuditQuery) error {
	ctx := cmd.Context()
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		came := []auditchain.Record{}
		for r, err := range m.Audit(ctx, query) {
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
			came = append(came, r)
			query.After = r.Seq
		}
		if err := o.writeEntries(cmd, came, false); err != nil {
			return err
		}
	}
}

// writeEntries shows entries: one line of JSON each for programs.
func (o *output) writeEntries(cmd *cobra.Command, entries []auditchain.Record, headed bool) error {
	if o.format == formatJSON {
		for _, r := range entries {
			if err := r.Write(cmd.OutOrStdout()); err != nil {
				return err
			}
		}
		return nil
	}
	rows := table.New()
	if headed {
		rows = table.New("SEQ", "TIME", "OUTCOME", "ACTION", "ACTOR", "CONTEXT", "TARGET", "FROM", "TRACE")
	}
	for _, r := range entries {
		actor := r.ActorKind
		if r.ActorKeyID != "" {
			actor += " " + r.ActorKeyID
		}
		rows.Row(strconv.FormatInt(r.Seq, 10), moment(&r.At), r.Outcome, r.Action, actor, r.ContextID, r.Target, r.Remote, r.TraceID)
	}
	return o.write(cmd, entries, rows)
}

// auditSource is where entries and the chain are read: the management API, or the database.
type auditSource struct {
	state   func(context.Context) (client.AuditState, error)
	entries func(ctx context.Context, after int64, fn func(iter.Seq2[auditchain.Record, error]) error) error
}

// withSource runs act with the log in the database of the flag --connection-string, or of the management API without one.
func withSource(
	environ settings.Environ, connection *string, act func(cmd *cobra.Command, source auditSource) error,
) func(*cobra.Command, []string) error {
	remote := operator(environ, func(cmd *cobra.Command, m *client.Management, _ []string) error {
		return act(cmd, auditSource{
			state: m.AuditState,
			entries: func(ctx context.Context, after int64, fn func(iter.Seq2[auditchain.Record, error]) error) error {
				return fn(m.Audit(ctx, client.AuditQuery{Oldest: true, After: after, PageSize: 1000}))
			},
		})
	})
	return func(cmd *cobra.Command, args []string) error {
		if *connection == "" {
			return remote(cmd, args)
		}
		return withAuditLog(cmd, *connection, func(log *keymanager.AuditLog) error {
			return act(cmd, auditSource{
				state: func(ctx context.Context) (client.AuditState, error) {
					state, err := log.State(ctx)
					return client.AuditState(state), err
				},
				entries: log.Entries,
			})
		})
	}
}

// withAuditLog opens the log in a database.
func withAuditLog(cmd *cobra.Command, connection string, act func(*keymanager.AuditLog) error) (err error) {
	if err := checkScheme(connection); err != nil {
		return cli.Usage(cmd, err)
	}
	log, err := keymanager.OpenAuditLog(cmd.Context(), connection)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	return act(log)
}

func addConnection(cmd *cobra.Command, connection *string) {
	cmd.Flags().StringVar(connection, "connection-string", "", "work on this database, postgres://… or sqlite:///path, instead of asking the key manager; keep its password in a PGPASSFILE")
}

func newAuditHead(environ settings.Environ) *cobra.Command {
	var connection string
	cmd := &cobra.Command{
		Use:   "head",
		Short: "Print the head of the chain",
		Long: `Print the number and the hash of the newest sealed entry. Keep it where whoever can write to the database cannot: it
is what 'spectrond audit verify --head' holds the log against later. The key manager posts it to SPECTRON_AUDIT_HEAD_URL, too.`,
		Example: `  spectrond audit head > head
  spectrond audit head -o json`,
		Args: cli.Arguments(),
	}
	out := addOutput(cmd, environ)
	addConnection(cmd, &connection)
	cmd.RunE = withSource(environ, &connection, func(cmd *cobra.Command, source auditSource) error {
		state, err := source.state(cmd.Context())
		if err != nil {
			return err
		}
		return out.writeLine(cmd, state, state.Head.String())
	})
	return cmd
}

func newAuditExport(environ settings.Environ) *cobra.Command {
	var connection, path string
	var since, until instant
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write entries as JSON Lines",
		Long: `Write entries as JSON Lines, one entry with its hashes each, oldest first, to standard output or to a file that only
its owner can read. Entries are written without gaps, so that 'spectrond audit verify --file' can check what was written:
--since begins with the first entry that is young enough, --until ends before the first one that is too young.`,
		Example: `  spectrond audit export --since 30d --output audit.jsonl
  spectrond audit export --connection-string postgres://owner@db/spectron | gzip > audit.jsonl.gz`,
		Args: cli.Arguments(),
	}
	addConnection(cmd, &connection)
	cmd.Flags().StringVar(&path, "output", "", "file to write (default standard output)")
	cmd.Flags().Var(&since, "since", "begin at this time, or so long ago: 2026-08-01T12:00:00Z, 36h, 90d")
	cmd.Flags().Var(&until, "until", "end before this time")
	cmd.RunE = withSource(environ, &connection, func(cmd *cobra.Command, source auditSource) error {
		return source.entries(cmd.Context(), 0, func(all iter.Seq2[auditchain.Record, error]) (err error) {
			var count int64
			if entries := between(all, since.at, until.at); path == "" {
				count, err = auditfile.Print(cmd.OutOrStdout(), entries)
			} else {
				count, err = auditfile.Write(path, entries)
			}
			if err != nil {
				return fmt.Errorf("exporting: %w", err)
			}
			cmd.PrintErrf("exported %d entries\n", count)
			return nil
		})
	})
	return cmd
}

// between leaves out what comes before the first entry that is not older than since, and what comes from the first one on that is
// not older than until.
func between(records iter.Seq2[auditchain.Record, error], since, until time.Time) iter.Seq2[auditchain.Record, error] {
	return func(yield func(auditchain.Record, error) bool) {
		began := since.IsZero()
		for r, err := range records {
			if err == nil {
				began = began || !r.At.Before(since)
				if !began {
					continue
				}
				if !until.IsZero() && !r.At.Before(until) {
					return
				}
			}
			if !yield(r, err) {
				return
			}
		}
	}
}
