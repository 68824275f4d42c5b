package command

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/spectron/table"
	"github.com/spectron-hq/spectron/services/spectrond/internal/backup"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
	"github.com/spectron-hq/spectron/services/spectrond/internal/migration"
	"github.com/spectron-hq/spectron/services/spectrond/internal/node"
)

// restore is what the command is told by its flags.
type restore struct {
	environ               settings.Environ
	out                   *output
	from, revoked         string
	dataDir               string
	force, verifyOnly     bool
	controlRole, dataRole string
}

func newRestore(environ settings.Environ) *cobra.Command {
	r := &restore{environ: environ}
	cmd := &cobra.Command{
		Use:   "restore",
		Short: "Restore a backup",
		Long: `Restore a backup of 'spectrond backup' into an empty database, or the data directory of a node. Stop everything that serves the
target first. The backup is read to its end and verified before anything is touched. Then the database is brought to this release, the
roles get their rights as by 'spectrond migrate', and it becomes another deployment: verifiers that are attached to it forget what they
remember of the previous one, and nobody holds a lease.

A target that is not empty is refused, unless --force is given: then what is there is kept under another name, NAME_before_TIME, a schema
on Postgres, a file on SQLite. Drop that when you do not need it any more. When restoring fails, it is put back; when it is killed, services
refuse the database until 'spectrond restore' has been run again, which begins anew.

What you need besides the backup: the pepper, or peppers, that its keys were stored with, and the seal secret.

KEYS THAT WERE REVOKED OR ROTATED AFTER THE BACKUP LIVE AGAIN. With --revoked and an export of the audit log (JSON Lines), or a list of the
ids of keys and tokens, one a line, these are dead before anything is served; a key that was rotated after the backup is revoked, because
its newer secret is not in the backup, and has to be minted again. Without such a list, look through what was revoked since the time that
this command tells at its end, or rotate everything.`,
		Example: `  spectrond restore --input spectron.backup --connection-string postgres://spectron_owner@db/spectron \
    --control-role spectron_control --data-role spectron_data --revoked audit.jsonl
  spectrond restore --input spectron.backup --data-dir .spectron --force
  spectrond restore --input spectron.backup --verify-only`,
		Args: cli.Arguments(),
		RunE: r.run,
	}
	flags := cmd.Flags()
	flags.StringVar(&r.from, "input", "", "backup to read, or - for standard input; required")
	flags.StringVar(&r.revoked, "revoked", "", "what was revoked since: an export of the audit log, or ids of keys and tokens, one a line")
	flags.BoolVar(&r.force, "force", false, "restore in the place of what is there, which is kept under another name")
	flags.BoolVar(&r.verifyOnly, "verify-only", false, "check that the backup is whole, and touch nothing; as 'spectrond backup verify'")
	flags.StringVar(&r.controlRole, "control-role", environ["SPECTRON_CONTROL_ROLE"], "Postgres role of the key manager, as for 'spectrond migrate' [$SPECTRON_CONTROL_ROLE]")
	flags.StringVar(&r.dataRole, "data-role", environ["SPECTRON_DATA_ROLE"], "Postgres role of the data plane, as for 'spectrond migrate' [$SPECTRON_DATA_ROLE]")
	addDataDir(cmd, &r.dataDir)
	cli.AddSettings(cmd, &backupSettings{}, &logSettings{})
	r.out = addOutput(cmd, environ)
	return cmd
}

func (r *restore) run(cmd *cobra.Command, _ []string) error {
	var cfg backupSettings
	if err := cli.Load(cmd, r.environ, &cfg); err != nil {
		return err
	}
	if r.from == "" {
		return cli.Usage(cmd, errors.New("--input says which backup to restore"))
	}
	if r.verifyOnly {
		return verifyBackup(cmd, r.out, r.from)
	}
	roles := migrateSettings{ControlRole: r.controlRole, DataRole: r.dataRole}
	if err := roles.Verify(); err != nil {
		return cli.Usage(cmd, err)
	}
	connection, err := cfg.store(cmd, r.dataDir)
	if err != nil {
		return err
	}
	log, err := openLog(cmd, r.environ)
	if err != nil {
		return err
	}
	target := backup.Target{
		ConnectionString: connection, Force: r.force, Roles: migration.Roles{Control: roles.ControlRole, Data: roles.DataRole},
		Revocations: r.revoked, Tools: cfg.tools(r.environ),
		Now: time.Now, //nolint:forbidigo // the edge, where the clock comes from
		Log: log,
	}
	var outcome backup.Outcome
	err = claimed(r.dataDir, func() error {
		return reading(cmd, r.from, func(in io.Reader) (err error) {
			outcome, err = target.From(cmd.Context(), in)
			return err
		})
	})
	if advice := backup.Advice(err); advice != "" {
		return &cli.AdvisedError{Err: err, Advice: []string{advice}}
	}
	if err != nil {
		return err
	}
	return r.tell(cmd, outcome)
}

// claimed runs fn while no node can serve the data directory, if there is one.
func claimed(dataDir string, fn func() error) error {
	if dataDir == "" {
		return fn()
	}
	release, err := node.Claim(dataDir)
	if err != nil {
		return err
	}
	return errors.Join(fn(), release())
}

func (r *restore) tell(cmd *cobra.Command, outcome backup.Outcome) error {
	m := outcome.Manifest
	rows := table.New("RESTORED", "")
	rows.Row("backup of", m.TakenAt.Format(time.RFC3339))
	rows.Row("newest revision", fmt.Sprint(m.Revision))
	rows.Row("migrations applied", fmt.Sprint(outcome.Migrated))
	rows.Row("revoked again", fmt.Sprint(outcome.Ended))
	for _, kept := range outcome.Kept {
		rows.Row("kept", kept)
	}
	if err := r.out.write(cmd, outcome, rows); err != nil {
		return err
	}
	notes := []string{needed(m) + ", and what is sealed needs the seal secret"}
	if r.revoked == "" {
		notes = append(notes, fmt.Sprintf("keys that were revoked or rotated after %s (revision %d) live again: revoke them now, or restore with --revoked",
			m.TakenAt.Format(time.RFC3339), m.Revision))
	}
	for _, action := range slices.Sorted(maps.Keys(outcome.Others)) {
		notes = append(notes, fmt.Sprintf("%d × %s since the backup is undone: look these up in the export, and make them again", outcome.Others[action], action))
	}
	if len(outcome.Kept) > 0 {
		notes = append(notes, "what was there before is kept as "+strings.Join(outcome.Kept, ", "))
	}
	for _, note := range notes {
		if _, err := fmt.Fprintln(cmd.ErrOrStderr(), "note: "+note); err != nil {
			return err
		}
	}
	return nil
}
