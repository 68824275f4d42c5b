package command

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/spectron/table"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
	"github.com/spectron-hq/spectron/services/spectrond/internal/migration"
)

type migrateSettings struct {
	ConnectionString settings.Secret `env:"SPECTRON_CONNECTION_STRING,required" flag:"connection-string" usage:"database to migrate, postgres://… or sqlite:…, as a role that owns the schemas or may create them"`
	ControlRole      string          `env:"SPECTRON_CONTROL_ROLE" flag:"control-role" usage:"Postgres role of the key manager: gets the rows of schema control, loses everything of schema data"`
	DataRole         string          `env:"SPECTRON_DATA_ROLE" flag:"data-role" usage:"Postgres role of the data plane: gets the rows of schema data, loses everything of schema control"`
}

// Verify refuses half a separation of the planes.
func (s *migrateSettings) Verify() error {
	switch {
	case (s.ControlRole == "") != (s.DataRole == ""):
		return errors.New("SPECTRON_CONTROL_ROLE (--control-role) and SPECTRON_DATA_ROLE (--data-role) are set together or not at all")
	case s.ControlRole != "" && s.ControlRole == s.DataRole:
		return errors.New("SPECTRON_CONTROL_ROLE (--control-role) and SPECTRON_DATA_ROLE (--data-role) must be two roles")
	default:
		return nil
	}
}

// migrate is what the commands about migrations have in common.
type migrate struct {
	environ  settings.Environ
	only     string
	patience time.Duration
	out      *output
}

func newMigrate(environ settings.Environ) *cobra.Command {
	m := &migrate{environ: environ}
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database to this release",
		Long: `Apply the migrations that this release brings, to the schemas of both planes; the same as 'migrate up'. Run it
once per release, before the services of that release start: they refuse to start while migrations are pending. It
waits for a database that is still starting. Any number may run at once: one works, the others wait for it.

With --control-role and --data-role, on Postgres, each role then gets the rows of its own schema, and everything that it
or the public may do in the other one is taken away. The roles must exist; they need no right but to log in. Keep
passwords out of the list of processes: use the variable, SPECTRON_CONNECTION_STRING_FILE, or a PGPASSFILE.`,
		Example: `  spectrond migrate --connection-string postgres://owner@db/spectron \
    --control-role spectron_keymanager --data-role spectron_dataplane`,
		Args: cli.Arguments(),
		RunE: m.up,
	}
	settings.Flags(cmd.PersistentFlags(), &migrateSettings{})
	settings.Flags(cmd.PersistentFlags(), &logSettings{})
	cmd.PersistentFlags().StringVar(&m.only, "only", "", "work on one schema, control or data, instead of both")
	cmd.PersistentFlags().DurationVar(&m.patience, "wait", time.Minute, "how long to wait for a database that does not answer yet")
	m.out = addOutput(cmd, environ)
	cmd.AddCommand(
		&cobra.Command{
			Use:     "up",
			Short:   "Apply what is pending",
			Long:    "Apply the migrations that have not been applied. See 'spectrond migrate --help'.",
			Example: "  spectrond migrate up",
			Args:    cli.Arguments(),
			RunE:    m.up,
		},
		m.newDown(),
		&cobra.Command{
			Use:     "status",
			Short:   "Show what has been applied",
			Long:    "List the migrations of this release and when each was applied. Changes nothing.",
			Example: "  spectrond migrate status -o json",
			Args:    cli.Arguments(),
			RunE:    m.status,
		},
	)
	return cmd
}

func (m *migrate) newDown() *cobra.Command {
	var steps int
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Undo migrations",
		Long: `Undo the last migrations of each schema, or of the one that --only names, with the data they hold. Made for going
back to the previous release right after an upgrade; take a backup first.`,
		Example: "  spectrond migrate down --only data --steps 1",
		Args:    cli.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if steps < 1 {
				return cli.Usage(cmd, errors.New("--steps says how many migrations to undo, at least 1"))
			}
			target, _, err := m.target(cmd)
			if err != nil {
				return err
			}
			return target.Down(cmd.Context(), steps)
		},
	}
	cmd.Flags().IntVar(&steps, "steps", 0, "how many migrations of each schema to undo")
	return cmd
}

func (m *migrate) up(cmd *cobra.Command, _ []string) error {
	target, roles, err := m.target(cmd)
	if err != nil {
		return err
	}
	rows := table.New("SCHEMA", "APPLIED")
	applied := map[migration.Plane]int{}
	err = target.Up(cmd.Context(), func(p migration.Plane, n int) error {
		applied[p] = n
		rows.Row(string(p), strconv.Itoa(n))
		return nil
	})
	if err != nil {
		return err
	}
	if roles != (migration.Roles{}) {
		if err := target.Restrict(cmd.Context(), roles); err != nil {
			return err
		}
	}
	return m.out.write(cmd, applied, rows)
}

// migrationState is one row of the status, for programs.
type migrationState struct {
	Schema    migration.Plane `json:"schema"`
	Version   int64           `json:"version"`
	Name      string          `json:"name"`
	AppliedAt *time.Time      `json:"applied_at"`
}

func (m *migrate) status(cmd *cobra.Command, _ []string) error {
	target, _, err := m.target(cmd)
	if err != nil {
		return err
	}
	rows := table.New("SCHEMA", "VERSION", "NAME", "APPLIED")
	states := []migrationState{}
	err = target.Status(cmd.Context(), func(p migration.Plane, list []database.MigrationStatus) error {
		for _, s := range list {
			state := migrationState{Schema: p, Version: s.Version, Name: s.Name}
			when := "pending"
			if s.Applied {
				state.AppliedAt, when = &s.AppliedAt, moment(&s.AppliedAt)
			}
			states = append(states, state)
			rows.Row(string(p), strconv.FormatInt(s.Version, 10), s.Name, when)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return m.out.write(cmd, states, rows)
}

// target reads the configuration of a command.
func (m *migrate) target(cmd *cobra.Command) (migration.Target, migration.Roles, error) {
	var cfg migrateSettings
	if err := cli.Load(cmd, m.environ, &cfg); err != nil {
		return migration.Target{}, migration.Roles{}, err
	}
	planes := migration.Planes()
	if m.only != "" {
		planes = []migration.Plane{migration.Plane(m.only)}
		if planes[0] != migration.Control && planes[0] != migration.Data {
			return migration.Target{}, migration.Roles{}, cli.Usage(cmd, fmt.Errorf("--only: want %s or %s", migration.Control, migration.Data))
		}
	}
	log, err := openLog(cmd, m.environ)
	if err != nil {
		return migration.Target{}, migration.Roles{}, err
	}
	return migration.Target{
		ConnectionString: cfg.ConnectionString.Reveal(),
		Planes:           planes,
		Patience:         m.patience,
		Log:              log,
	}, migration.Roles{Control: cfg.ControlRole, Data: cfg.DataRole}, nil
}
