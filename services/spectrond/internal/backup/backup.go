// Package backup takes backups of a whole deployment, both planes, on both engines, and restores them.
//
// A backup is of one moment, whatever is written meanwhile. It is one file, which is there as a whole or not at all, readable by its owner
// only. It holds no pepper and no other secret: keys are in it as they are in the database. What is restored has been verified to the last
// byte before anything is touched; it is another deployment, of which verifiers remember nothing; and where restoring ends before its end,
// however it does, nothing serves what is half there, and restoring again begins anew.
package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/keymanager"
	"github.com/spectron-hq/spectron/services/spectrond/internal/migration"
	"github.com/spectron-hq/spectron/services/spectrond/internal/privatefile"
)

// Source says what to take a backup of.
type Source struct {
	// ConnectionString is the URL of the database; on Postgres of a role that may read both schemas, such as their owner.
	ConnectionString string
	Tools            Tools
	// Product is the version of this program.
	Product string
	Now     func() time.Time
	Log     *slog.Logger
}

// To takes a backup and puts it at path, which is replaced as a whole.
func (s Source) To(ctx context.Context, path string) (m Manifest, err error) {
	if path, err = filepath.Abs(path); err != nil {
		return m, err
	}
	dir, remove, err := workspace(filepath.Dir(path))
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	file, err := os.OpenFile(filepath.Join(dir, "archive"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, privatefile.Mode) //nolint:gosec // a folder of our own
	if err != nil {
		return m, err
	}
	m, err = s.take(ctx, dir, file)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return m, err
	}
	return m, privatefile.Rename(file.Name(), path)
}

// Stream takes a backup and writes it to w.
func (s Source) Stream(ctx context.Context, w io.Writer) (m Manifest, err error) {
	dir, remove, err := workspace("")
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	return s.take(ctx, dir, w)
}

// take takes a backup, with files in dir meanwhile.
func (s Source) take(ctx context.Context, dir string, w io.Writer) (Manifest, error) {
	before, err := s.schemas(ctx)
	if err != nil {
		return Manifest{}, err
	}
	engine := engineOf(s.ConnectionString)
	m := Manifest{FormatVersion: formatVersion, Engine: engine, Product: s.Product, TakenAt: s.Now().UTC(), Schemas: before}
	path := filepath.Join(dir, partOf(engine))
	if engine == database.SQLite.String() {
		err = s.copySQLite(ctx, path, &m)
	} else {
		err = s.dumpPostgres(ctx, path, &m)
	}
	if err != nil {
		return m, err
	}
	after, err := s.schemas(ctx)
	if err != nil {
		return m, err
	}
	for plane, version := range before {
		if after[plane] != version {
			return m, errors.New("the database has been migrated meanwhile: take the backup again")
		}
	}
	part, err := measure(ctx, path, partOf(engine))
	if err != nil {
		return m, err
	}
	m.Parts = []Part{part}
	return m, write(ctx, w, m, path)
}

// schemas returns the version of each plane's schema.
func (s Source) schemas(ctx context.Context) (map[string]int64, error) {
	versions := map[string]int64{}
	target := migration.Target{ConnectionString: s.ConnectionString, Planes: migration.Planes(), Log: s.Log}
	err := target.Status(ctx, func(plane migration.Plane, list []database.MigrationStatus) error {
		for _, m := range list {
			if m.Applied {
				versions[string(plane)] = m.Version
			}
		}
		return nil
	})
	if err == nil && (versions[string(migration.Control)] == 0 || versions[string(migration.Data)] == 0) {
		err = errors.New("there is no deployment in this database: its schemas control and data are not there")
	}
	return versions, err
}

// describe notes in m what the key manager's part holds.
func describe(m *Manifest, facts keymanager.Facts) {
	m.Authority, m.Revision, m.AuditEntry, m.Peppers = facts.Authority, facts.Revision, facts.AuditEntry, facts.Peppers
}

// facts are what describe has noted.
func (m Manifest) facts() keymanager.Facts {
	return keymanager.Facts{Authority: m.Authority, Revision: m.Revision, AuditEntry: m.AuditEntry, Peppers: m.Peppers}
}

func (s Source) copySQLite(ctx context.Context, path string, m *Manifest) error {
	from, err := database.FilePath(s.ConnectionString)
	if err != nil {
		return err
	}
	if _, err := os.Stat(from); err != nil {
		return fmt.Errorf("finding the store: %w", err)
	}
	if err := database.Copy(ctx, from, path); err != nil {
		return err
	}
	// Of the copy, which is of one moment.
	return keymanager.Describe(ctx, database.FileURL(path), func(facts keymanager.Facts, _ string) error {
		describe(m, facts)
		return nil
	})
}

func (s Source) dumpPostgres(ctx context.Context, path string, m *Manifest) error {
	version, err := s.Tools.checkDump(ctx, s.ConnectionString)
	if err != nil {
		return err
	}
	m.Tool = version
	return keymanager.Describe(ctx, s.ConnectionString, func(facts keymanager.Facts, snapshot string) error {
		describe(m, facts)
		return s.Tools.dump(ctx, s.ConnectionString, snapshot, path)
	})
}

// engineOf returns the engine that a connection string names.
func engineOf(connection string) string {
	if u, err := url.Parse(connection); err == nil && u.Scheme == database.SQLite.String() {
		return database.SQLite.String()
	}
	return database.Postgres.String()
}

// workspaceName begins the names of folders for files on their way.
const workspaceName = ".spectron-backup-"

// workspace makes a folder for its owner alone; without a place of its own among the temporary ones.
func workspace(in string) (dir string, remove func() error, err error) {
	dir, err = os.MkdirTemp(in, workspaceName+"*") // made at mode 0700
	if err != nil {
		return "", nil, fmt.Errorf("making a folder to work in: %w", err)
	}
	return dir, func() error { return os.RemoveAll(dir) }, nil
}
