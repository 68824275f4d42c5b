package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/keymanager"
	"github.com/spectron-hq/spectron/services/spectrond/internal/migration"
	"github.com/spectron-hq/spectron/services/spectrond/internal/privatefile"
)

// Target says where to restore a backup.
type Target struct {
	// ConnectionString is the URL of the database; on Postgres of the role that owns the schemas or may create them. Nobody may serve it.
	ConnectionString string
	// Force lets what is there make room: it is kept under another name.
	Force bool
	// Roles get their rights as `spectrond migrate` gives them; empty for none.
	Roles migration.Roles
	// Revocations is the path of a list of what has been revoked since the backup; empty for none.
	Revocations string
	Tools       Tools
	Now         func() time.Time
	Log         *slog.Logger

	revoked keymanager.Revoked
}

// Outcome is what a restoration did.
type Outcome struct {
	Manifest Manifest `json:"backup"`
	// Kept names what made room: schemas, or a file; empty where nothing had to.
	Kept []string `json:"kept,omitempty"`
	// Resumed says that an earlier restoration had not finished.
	Resumed bool `json:"resumed,omitempty"`
	// Migrated is how many migrations of this release were applied.
	Migrated int `json:"migrated"`
	// Ended is how many keys were revoked since the backup, and are dead again.
	Ended int `json:"revoked_again"`
	// Others counts, by action, what else was narrowed since the backup according to the list, and is as it was in the backup.
	Others map[string]int `json:"not_made_again,omitempty"`
}

// From restores the archive that r holds. Nothing is touched before all of it has been read and verified. Errors: ErrDamaged,
// database.ErrNotEmpty.
func (t Target) From(ctx context.Context, r io.Reader) (out Outcome, err error) {
	in, err := t.workplace()
	if err != nil {
		return out, err
	}
	dir, remove, err := workspace(in)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	m, path, err := Read(ctx, r, dir)
	if err != nil {
		return out, err
	}
	out.Manifest = m
	if engine := engineOf(t.ConnectionString); m.Engine != engine {
		return out, fmt.Errorf("the backup is of %s, and the target is %s: an engine cannot be changed by restoring", m.Engine, engine)
	}
	if err := known(m); err != nil {
		return out, err
	}
	list, err := readRevocations(t.Revocations, m)
	if err != nil {
		return out, err
	}
	t.revoked, out.Others = list.revoked, list.others
	if m.Engine == database.SQLite.String() {
		err = t.restoreFile(ctx, path, &out)
	} else {
		err = t.restoreSchemas(ctx, path, &out)
	}
	return out, err
}

// workplace is the folder for what is on its way: for a file beside its target, so that it can be renamed.
func (t Target) workplace() (string, error) {
	if engineOf(t.ConnectionString) != database.SQLite.String() {
		return "", nil
	}
	path, err := database.FilePath(t.ConnectionString)
	if err != nil {
		return "", err
	}
	in := filepath.Dir(path)
	if err := os.MkdirAll(in, privatefile.DirMode); err != nil {
		return "", fmt.Errorf("making the folder of the store: %w", err)
	}
	// What a restoration left that was killed.
	left, err := filepath.Glob(filepath.Join(in, workspaceName+"*"))
	for _, dir := range left {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return in, err
}

// known refuses a backup with schemas of a later release: what it holds could be misunderstood.
func known(m Manifest) error {
	for _, plane := range migration.Planes() {
		newest, err := migration.Newest(plane)
		if err != nil {
			return err
		}
		if m.Schemas[string(plane)] > newest {
			return fmt.Errorf("the backup has version %d of the schema %s, this release knows %d: restore with release %s or a later one",
				m.Schemas[string(plane)], plane, newest, m.Product)
		}
	}
	return nil
}

// restoreSchemas restores a dump into Postgres. The database is marked from the moment when room is made until the last change.
func (t Target) restoreSchemas(ctx context.Context, dump string, out *Outcome) (err error) {
	if _, err := t.Tools.checkRestore(ctx, t.ConnectionString); err != nil {
		return err
	}
	db, err := database.Open(ctx, t.ConnectionString, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	schemas := []string{}
	for _, plane := range migration.Planes() {
		schemas = append(schemas, string(plane))
	}
	began, err := database.BeginRestoration(ctx, db, t.Force, t.Now(), schemas...)
	if err != nil {
		return err
	}
	late := context.WithoutCancel(ctx)
	defer func() { err = errors.Join(err, began.Close(late)) }()
	out.Resumed = began.Resumed
	if began.Suffix != "" {
		for _, schema := range schemas {
			out.Kept = append(out.Kept, schema+began.Suffix)
		}
	}
	if err := t.fill(ctx, dump, out); err != nil {
		return errors.Join(err, began.Abandon(late))
	}
	return nil
}

// fill puts a dump where room has been made for it, and takes the mark away in the end.
func (t Target) fill(ctx context.Context, dump string, out *Outcome) error {
	if err := t.Tools.load(ctx, t.ConnectionString, dump); err != nil {
		return err
	}
	return t.finish(ctx, t.ConnectionString, out)
}

// finish brings a restored database to this release, gives the roles their rights, and makes it a deployment of its own.
func (t Target) finish(ctx context.Context, connection string, out *Outcome) error {
	target := migration.Target{ConnectionString: connection, Planes: migration.Planes(), Log: t.Log}
	err := target.Up(ctx, func(_ migration.Plane, applied int) error {
		out.Migrated += applied
		return nil
	})
	if err == nil && t.Roles != (migration.Roles{}) {
		err = target.Restrict(ctx, t.Roles)
	}
	if err != nil {
		return err
	}
	out.Ended, err = keymanager.BeginAnew(ctx, connection, keymanager.Recovery{TakenAt: out.Manifest.TakenAt, Revoked: t.revoked})
	return err
}

// sideFiles are what SQLite keeps beside a store.
var sideFiles = []string{"-wal", "-shm", "-journal"}

// restoreFile makes a store of the copy, and then puts it in the place of the target as a whole.
func (t Target) restoreFile(ctx context.Context, copied string, out *Outcome) error {
	path, err := database.FilePath(t.ConnectionString)
	if err != nil {
		return err
	}
	there, err := occupied(path)
	if err != nil {
		return err
	}
	if there && !t.Force {
		return fmt.Errorf("restoring: %w", database.ErrNotEmpty)
	}
	if err := t.finish(ctx, database.FileURL(copied), out); err != nil {
		return err
	}
	for _, suffix := range sideFiles {
		if info, err := os.Stat(copied + suffix); err == nil && info.Size() > 0 {
			return fmt.Errorf("the restored store still has %s beside it", filepath.Base(copied)+suffix)
		}
	}
	kept := path + "_before_" + t.Now().UTC().Format("20060102150405")
	if err := setAside(ctx, path, kept, there); err != nil {
		return fmt.Errorf("keeping what is there: %w", err)
	}
	if there {
		out.Kept = []string{kept}
	}
	if err := flush(copied); err != nil {
		return err
	}
	return privatefile.Rename(copied, path)
}

// occupied reports whether there is a store at path.
func occupied(path string) (bool, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.Size() > 0, err
}

// setAside gives the store at path, if it is there, a second name. Under its own it stays until it is replaced, unless it cannot be opened.
// What SQLite keeps beside a store must never come to lie beside another one, whose it would be taken for.
func setAside(ctx context.Context, path, kept string, there bool) error {
	whole := false
	if there {
		if db, err := database.Open(ctx, database.FileURL(path), ""); err == nil {
			if err := db.Close(); err != nil {
				return err
			}
			// Whoever closes a store last takes its journal into it.
			if _, err := os.Stat(path + sideFiles[0]); err == nil {
				return errors.New("something still serves the store: stop it first")
			}
			whole = true
		}
	}
	switch {
	case whole:
		return os.Link(path, kept)
	case there:
		if err := os.Rename(path, kept); err != nil {
			return err
		}
	}
	for _, suffix := range sideFiles {
		if err := os.Rename(path+suffix, kept+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func flush(path string) error {
	file, err := os.Open(path) //nolint:gosec // made by this process
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// Advice says what to do about an error of restoring, where there is something.
func Advice(err error) string {
	switch {
	case errors.Is(err, database.ErrNotEmpty):
		return "nothing was changed; to restore in its place, stop everything that serves it and use --force, which keeps what is there under another name"
	case errors.Is(err, ErrDamaged):
		return "nothing was changed; take another copy of the backup, or an earlier one"
	default:
		return ""
	}
}
