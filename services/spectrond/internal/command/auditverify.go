package command

import (
	"errors"
	"fmt"
	"iter"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/auditchain"
	"github.com/spectron-hq/spectron/services/keymanager"
	"github.com/spectron-hq/spectron/services/spectron/table"
	"github.com/spectron-hq/spectron/services/spectrond/internal/auditfile"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
)

// auditVerify is what 'spectrond audit verify' is told.
type auditVerify struct {
	connection   string
	files, known []string
	heads        []auditchain.Head
	out          *output
}

func newAuditVerify(environ settings.Environ) *cobra.Command {
	var v auditVerify
	cmd := &cobra.Command{
		Use:   "verify [file ...]",
		Short: "Hold the log against its hashes",
		Long: `Hold the audit log against its hashes: an entry that was changed, removed, inserted or put elsewhere is found, and the
first one is named. Exit status 1 says that there is one.

Whoever can write to the database can also make all hashes anew, or cut the newest entries off. That is noticed only by
--head, a head that was published while the log was whole (see 'spectrond audit head'); it may be given several times.

Without flags the log is read from the management API. With --connection-string it is read from the database, and looked at
more closely. Files are exports and archives, gzipped or not, in any order, with --file or as arguments; with
--connection-string they are what came before the log in the database, so that the chain is checked from its first entry.`,
		Example: `  spectrond audit verify --head "$(cat head)"
  spectrond audit verify --connection-string postgres://owner@db/spectron archive/*.jsonl.gz
  spectrond audit verify --file audit.jsonl`,
		Args: cobra.ArbitraryArgs,
	}
	v.out = addOutput(cmd, environ)
	addConnection(cmd, &v.connection)
	cmd.Flags().StringArrayVar(&v.files, "file", nil, "export or archive to check; repeat for more")
	cmd.Flags().StringArrayVar(&v.known, "head", nil, "head that the log is known to have had, as number:hash; repeat for more")
	remote := withSource(environ, &v.connection, v.remotely)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		v.files = append(v.files, args...)
		for _, text := range v.known {
			head, err := auditchain.ParseHead(text)
			if err != nil {
				return cli.Usage(cmd, fmt.Errorf("--head: %w", err))
			}
			v.heads = append(v.heads, head)
		}
		switch {
		case v.connection != "":
			return withAuditLog(cmd, v.connection, func(log *keymanager.AuditLog) error { return v.directly(cmd, log) })
		case len(v.files) > 0:
			chain, err := v.archives()
			return v.tell(cmd, chain, err, true)
		default:
			return remote(cmd, args)
		}
	}
	return cmd
}

// archives checks the files.
func (v *auditVerify) archives() (*auditchain.Verifier, error) {
	chain := &auditchain.Verifier{}
	chain.Expect(v.heads...)
	files, err := auditfile.Sort(v.files)
	if err != nil {
		return chain, err
	}
	return chain, chain.Verify(auditfile.Read(files...))
}

// directly checks the files and then what is in the database.
func (v *auditVerify) directly(cmd *cobra.Command, log *keymanager.AuditLog) error {
	var chain *auditchain.Verifier
	if len(v.files) > 0 {
		var err error
		if chain, err = v.archives(); err != nil {
			return v.tell(cmd, chain, err, false)
		}
		chain, err = log.Verify(cmd.Context(), chain)
		return v.tell(cmd, chain, err, false)
	}
	chain, err := log.Verify(cmd.Context(), nil, v.heads...)
	return v.tell(cmd, chain, err, false)
}

// remotely checks what the management API shows.
func (v *auditVerify) remotely(cmd *cobra.Command, source auditSource) error {
	state, err := source.state(cmd.Context())
	if err != nil {
		return err
	}
	chain := auditchain.From(state.Anchor)
	chain.Expect(v.heads...)
	if state.Head.Seq > 0 {
		chain.Expect(state.Head)
	}
	err = source.entries(cmd.Context(), 0, func(all iter.Seq2[auditchain.Record, error]) error { return chain.Verify(all) })
	return v.tell(cmd, chain, err, true)
}

// verdict is the answer for programs.
type verdict struct {
	Whole   bool                    `json:"whole"`
	Entries int64                   `json:"entries"`
	From    int64                   `json:"from_seq"`
	Head    auditchain.Head         `json:"head"`
	Damage  *auditchain.DamageError `json:"damage,omitempty"`
}

// tell answers with what was found. unfinished says that nobody has looked yet whether the chain got as far as it must.
func (v *auditVerify) tell(cmd *cobra.Command, chain *auditchain.Verifier, err error, unfinished bool) error {
	if err == nil && unfinished {
		err = chain.Finish()
	}
	damage, damaged := errors.AsType[*auditchain.DamageError](err)
	if err != nil && !damaged {
		return fmt.Errorf("verifying the audit log: %w", err)
	}
	answer := verdict{Whole: err == nil, Damage: damage}
	if chain != nil {
		answer.Entries, answer.Head, answer.From = chain.Entries(), chain.Head(), chain.Head().Seq-chain.Entries()+1
	}
	if damaged {
		if v.out.format == formatJSON {
			return errors.Join(encode(cmd, answer), fmt.Errorf("the audit log is damaged: %w", damage))
		}
		return fmt.Errorf("the audit log is damaged: %w", damage)
	}
	fields := table.New()
	fields.Field("WHOLE", "yes")
	fields.Field("ENTRIES", strconv.FormatInt(answer.Entries, 10))
	fields.Field("FROM", strconv.FormatInt(answer.From, 10))
	fields.Field("HEAD", answer.Head.String())
	return v.out.write(cmd, answer, fields)
}

func newAuditArchive() *cobra.Command {
	var connection, dir string
	var before instant
	var zip bool
	var atOnce int64
	cmd := &cobra.Command{
		Use:   "archive",
		Short: "Move old entries into files",
		Long: `Write the oldest entries, up to the first that is not older than --before, to files of at most --entries each; read
each file back and hold it against the chain; and only then delete its entries from the database, in one transaction that
leaves an anchor: the number and the hash of the last entry archived, from which the chain goes on. Beside each file is a
manifest. What is damaged is not archived.

It works on the database itself, as the role that owns the schema: the key manager's own role may not delete from the log.
Keep the files: 'spectrond audit verify --connection-string … archive/*.jsonl*' checks them together with the log.`,
		Example: `  spectrond audit archive --before 400d --output-dir archive --gzip --connection-string postgres://owner@db/spectron`,
		Args:    cli.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case connection == "":
				return cli.Usage(cmd, errors.New("--connection-string is required: the database, as a role that owns the schema"))
			case before.at.IsZero():
				return cli.Usage(cmd, errors.New("--before is required: 2026-08-01, or how long ago, such as 400d"))
			case dir == "":
				return cli.Usage(cmd, errors.New("--output-dir is required: a directory that there is"))
			case atOnce < 1:
				return cli.Usage(cmd, errors.New("--entries: want at least 1"))
			}
			return withAuditLog(cmd, connection, func(log *keymanager.AuditLog) error {
				return archive(cmd, log, before, dir, atOnce, zip)
			})
		},
	}
	addConnection(cmd, &connection)
	cmd.Flags().Var(&before, "before", "archive what is older than this time, or than so long: 2026-08-01, 400d")
	cmd.Flags().StringVar(&dir, "output-dir", "", "directory for the files")
	cmd.Flags().BoolVar(&zip, "gzip", false, "compress the files")
	cmd.Flags().Int64Var(&atOnce, "entries", 100_000, "how many entries a file has at most")
	return cmd
}

// archive archives file by file until nothing is old enough.
func archive(cmd *cobra.Command, log *keymanager.AuditLog, before instant, dir string, atOnce int64, zip bool) error {
	for files := 0; ; files++ {
		var manifest auditfile.Manifest
		more, err := log.Archive(cmd.Context(), before.at, atOnce,
			func(part keymanager.Archive, entries iter.Seq2[auditchain.Record, error]) (err error) {
				manifest, err = auditfile.Archive(dir, part.From, part.To, zip, entries)
				return err
			})
		if err != nil {
			return fmt.Errorf("archiving the audit log: %w", err)
		}
		if !more {
			if files == 0 {
				cmd.PrintErrln("nothing is old enough to be archived")
			}
			return nil
		}
		if _, err := fmt.Fprintln(cmd.OutOrStdout(), manifest.File); err != nil {
			return err
		}
		cmd.PrintErrf("archived %d entries, %d to %d\n", manifest.Entries, manifest.First, manifest.Last)
	}
}
