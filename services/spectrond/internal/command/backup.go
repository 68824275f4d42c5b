package command

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/spectron/table"
	"github.com/spectron-hq/spectron/services/spectrond/internal/backup"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
	"github.com/spectron-hq/spectron/services/spectrond/internal/node"
)

// backupSettings say what a backup is taken of, or restored to.
type backupSettings struct {
	ConnectionString settings.Secret `env:"SPECTRON_CONNECTION_STRING" flag:"connection-string" usage:"database, postgres://… or sqlite:///path; on Postgres as the role that owns the schemas"`
	PGDump           string          `env:"PG_DUMP" envDefault:"pg_dump" flag:"pg-dump" usage:"pg_dump of the server's version or a later one"`
	PGRestore        string          `env:"PG_RESTORE" flag:"pg-restore" usage:"pg_restore of the server's version or a later one; beside pg_dump if that is a path"`
}

// addDataDir gives cmd the flag for a node's data directory. It has no variable: of the two that could be set, one would win in silence.
func addDataDir(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "data-dir", "", "data directory of a node, instead of a connection string")
}

// store returns the connection string of what is meant.
func (s *backupSettings) store(cmd *cobra.Command, dataDir string) (string, error) {
	switch connection := s.ConnectionString.Reveal(); {
	case dataDir != "":
		if cmd.Flags().Changed("connection-string") {
			return "", cli.Usage(cmd, errors.New("--data-dir and --connection-string exclude each other"))
		}
		path, err := node.StorePath(dataDir)
		return database.FileURL(path), err
	case connection == "":
		return "", cli.Usage(cmd, errors.New("SPECTRON_CONNECTION_STRING (--connection-string) or --data-dir is required"))
	default:
		if err := checkScheme(connection); err != nil {
			return "", cli.Usage(cmd, err)
		}
		return connection, nil
	}
}

func (s *backupSettings) tools(environ settings.Environ) backup.Tools {
	tools := backup.Tools{Dump: s.PGDump, Restore: s.PGRestore}
	for _, name := range slices.Sorted(maps.Keys(environ)) {
		// What is ours is none of their business.
		if !strings.HasPrefix(name, "SPECTRON_") {
			tools.Environ = append(tools.Environ, name+"="+environ[name])
		}
	}
	return tools
}

func newBackup(version string, environ settings.Environ) *cobra.Command {
	var to, dataDir string
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Take a backup of both planes",
		Long: `Take a backup of a whole deployment, both planes at one moment, while it serves. The backup is one file, readable by its
owner only; it is there as a whole or not at all. On Postgres it needs pg_dump, of the server's version or a later one, and the role that
owns the schemas; on SQLite, or for the data directory of a node, nothing.

WHAT IS NOT IN IT: the pepper and the seal secret (the pepper of a node is the file pepper in its data directory; a local daemon has its
secrets in secrets/ and keys/). Keep copies of them apart from the backups. Without the pepper no key of the backup is ever accepted again,
and without the seal secret no pairing goes on; with backup and pepper in the same place, a thief may add keys of his own.

Memories are in it as they are in the database, in clear. To encrypt a backup, have it written to standard output and pipe it on.

A backup brings back what it holds: keys that are revoked after it was taken live again when it is restored. Export the audit log often,
and keep that apart, too: 'spectrond restore --revoked' reads it.`,
		Example: `  spectrond backup --connection-string postgres://spectron_owner@db/spectron --output spectron.backup
  spectrond backup --data-dir .spectron --output spectron.backup
  spectrond backup --output - | age -R recipients.txt > spectron.backup.age`,
		Args: cli.Arguments(),
	}
	cmd.Flags().StringVar(&to, "output", "", "file to write, or - for standard output; required")
	addDataDir(cmd, &dataDir)
	cli.AddSettings(cmd, &backupSettings{}, &logSettings{})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var cfg backupSettings
		if err := cli.Load(cmd, environ, &cfg); err != nil {
			return err
		}
		if to == "" {
			return cli.Usage(cmd, errors.New("--output says where to write the backup"))
		}
		connection, err := cfg.store(cmd, dataDir)
		if err != nil {
			return err
		}
		log, err := openLog(cmd, environ)
		if err != nil {
			return err
		}
		source := backup.Source{
			ConnectionString: connection, Tools: cfg.tools(environ), Product: version,
			Now: time.Now, //nolint:forbidigo // the edge, where the clock comes from
			Log: log,
		}
		var m backup.Manifest
		if to == "-" {
			m, err = source.Stream(cmd.Context(), cmd.OutOrStdout())
		} else {
			m, err = source.To(cmd.Context(), to)
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.ErrOrStderr(), "backup of %s taken at %s, revision %d, %s; %s\n",
			m.Engine, m.TakenAt.Format(time.RFC3339), m.Revision, size(m), needed(m))
		return err
	}
	cmd.AddCommand(newBackupVerify(environ))
	return cmd
}

func size(m backup.Manifest) string { return strconv.FormatInt(m.Parts[0].Size, 10) + " bytes" }

// needed says which peppers the keys of a backup need.
func needed(m backup.Manifest) string {
	all := make([]string, 0, len(m.Peppers))
	for _, version := range slices.Sorted(maps.Keys(m.Peppers)) {
		all = append(all, fmt.Sprintf("%d (%s)", version, count(int(m.Peppers[version]), "key")))
	}
	if len(all) == 0 {
		return "it has no keys"
	}
	return "its keys need the pepper of version " + strings.Join(all, ", ")
}

func newBackupVerify(environ settings.Environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify <file>",
		Short: "Check that a backup is whole, and show what it is of",
		Long: `Read a backup to its end, check every byte of it against its checksums, and show what it is of. Touches no database.
A dash reads standard input.`,
		Example: "  spectrond backup verify spectron.backup",
		Args:    cli.Arguments("file"),
	}
	out := addOutput(cmd, environ)
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return verifyBackup(cmd, out, args[0]) }
	return cmd
}

func verifyBackup(cmd *cobra.Command, out *output, path string) error {
	var m backup.Manifest
	err := reading(cmd, path, func(r io.Reader) (err error) {
		m, _, err = backup.Read(cmd.Context(), r, "")
		return err
	})
	if err != nil {
		return err
	}
	rows := table.New("BACKUP", "")
	rows.Row("taken at", m.TakenAt.Format(time.RFC3339))
	rows.Row("engine", m.Engine)
	rows.Row("release", m.Product)
	for _, schema := range slices.Sorted(maps.Keys(m.Schemas)) {
		rows.Row("schema "+schema, "version "+strconv.FormatInt(m.Schemas[schema], 10))
	}
	rows.Row("authority", m.Authority)
	rows.Row("newest revision", strconv.FormatInt(m.Revision, 10))
	rows.Row("newest audit entry", strconv.FormatInt(m.AuditEntry, 10))
	for _, version := range slices.Sorted(maps.Keys(m.Peppers)) {
		rows.Row("keys under pepper "+strconv.Itoa(int(version)), strconv.FormatInt(m.Peppers[version], 10))
	}
	rows.Row("size", size(m))
	return out.write(cmd, m, rows)
}
