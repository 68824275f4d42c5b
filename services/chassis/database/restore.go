package database

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"
)

// unfinished is the schema that stands in a Postgres database while schemas are being put back into it from a backup. Its comment is the
// suffix that schemas which had to make room were given. Whoever may connect can see it, whatever else the role may do.
const unfinished = "restore_unfinished"

// restoreLock is held by who restores; it ends with the connection, however that ends.
const restoreLock = 0x72657374_6f726531

// asideStamp is how the suffix of schemas that made room is written: the time, which keeps them apart.
const asideStamp = "20060102150405"

// ErrNotEmpty says that there is something where a backup was to be restored.
var ErrNotEmpty = errors.New("the database is not empty")

// RequireWhole returns an error while a restoration of db has begun and not finished: what is there may be half of something. On SQLite a
// file is replaced as a whole, so there is no such state.
func RequireWhole(ctx context.Context, db *DB) error {
	if db.Engine != Postgres {
		return nil
	}
	var found bool
	if err := db.Reader(ctx).Raw("SELECT count(*) > 0 FROM pg_namespace WHERE nspname = ?", unfinished).Scan(&found).Error; err != nil {
		return Translate(err)
	}
	if found {
		return errors.New("a restore of this database was begun and not finished: run `spectrond restore` again, which begins anew")
	}
	return nil
}

// Restoration is the putting back of schemas into a Postgres database: [BeginRestoration], then whatever fills them, then
// [EndRestoration] in the transaction of the last change, or [Restoration.Abandon].
type Restoration struct {
	conn    *pgx.Conn
	schemas []string
	// Suffix is what the schemas that made room are called by, behind their own names; empty when none had to.
	Suffix string
	// Resumed says that an earlier restoration was not finished; what it had put there is gone.
	Resumed bool
}

// BeginRestoration makes room for schemas, in one transaction, and marks the database until the restoration has ended. Schemas that hold
// anything are refused with ErrNotEmpty unless force is set; then they are renamed. What an earlier restoration left half done goes.
func BeginRestoration(ctx context.Context, db *DB, force bool, at time.Time, schemas ...string) (r *Restoration, err error) {
	if db.Engine != Postgres {
		return nil, fmt.Errorf("restoring: %s has no schemas", db.Engine)
	}
	conn, err := db.listen(ctx)
	if err != nil {
		return nil, fmt.Errorf("restoring: %w", unavailable(err))
	}
	r = &Restoration{conn: conn, schemas: schemas}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("restoring: %w", err), conn.Close(context.WithoutCancel(ctx)))
		}
	}()
	var alone bool
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", int64(restoreLock)).Scan(&alone); err != nil {
		return nil, err
	}
	if !alone {
		return nil, errors.New("another restore of this database is running")
	}
	return r, pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return r.makeRoom(ctx, tx, force, at) })
}

func (r *Restoration) makeRoom(ctx context.Context, tx pgx.Tx, force bool, at time.Time) error {
	err := tx.QueryRow(ctx, "SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace WHERE nspname = $1", unfinished).Scan(&r.Suffix)
	if err == nil {
		r.Resumed = true
		return r.drop(ctx, tx)
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	full := false
	for _, schema := range r.schemas {
		var exists, holds bool
		const query = `SELECT true, EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = n.oid) FROM pg_namespace n WHERE nspname = $1`
		if err := tx.QueryRow(ctx, query, schema).Scan(&exists, &holds); err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if full = full || holds; exists && !holds { // the backup makes it itself
			if _, err := tx.Exec(ctx, "DROP SCHEMA "+pgx.Identifier{schema}.Sanitize()); err != nil {
				return err
			}
		}
	}
	if full && !force {
		return ErrNotEmpty
	}
	if full {
		r.Suffix = "_before_" + at.UTC().Format(asideStamp)
	}
	if err := r.rename(ctx, tx, "", r.Suffix); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "CREATE SCHEMA "+unfinished); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "COMMENT ON SCHEMA "+unfinished+" IS '"+r.Suffix+"'") // digits, letters and underscores
	return err
}

// rename renames the schemas, each with one suffix to that with another, as far as they are there.
func (r *Restoration) rename(ctx context.Context, tx pgx.Tx, from, to string) error {
	if from == to {
		return nil
	}
	for _, schema := range r.schemas {
		var exists bool
		if err := tx.QueryRow(ctx, "SELECT count(*) > 0 FROM pg_namespace WHERE nspname = $1", schema+from).Scan(&exists); err != nil {
			return err
		}
		if !exists {
			continue
		}
		statement := "ALTER SCHEMA " + pgx.Identifier{schema + from}.Sanitize() + " RENAME TO " + pgx.Identifier{schema + to}.Sanitize()
		if _, err := tx.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

func (r *Restoration) drop(ctx context.Context, tx pgx.Tx) error {
	for _, schema := range r.schemas {
		if _, err := tx.Exec(ctx, "DROP SCHEMA IF EXISTS "+pgx.Identifier{schema}.Sanitize()+" CASCADE"); err != nil {
			return err
		}
	}
	return nil
}

// Abandon undoes everything: what has been put there goes, and what had to make room comes back.
func (r *Restoration) Abandon(ctx context.Context) error {
	err := pgx.BeginFunc(ctx, r.conn, func(tx pgx.Tx) error {
		if err := r.drop(ctx, tx); err != nil {
			return err
		}
		if err := r.rename(ctx, tx, r.Suffix, ""); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "DROP SCHEMA "+unfinished)
		return err
	})
	if err != nil {
		return fmt.Errorf("undoing the restore: %w", err)
	}
	return nil
}

// Close lets others restore.
func (r *Restoration) Close(ctx context.Context) error { return r.conn.Close(ctx) }

// EndRestoration takes the mark away, where there is one.
func EndRestoration(tx *gorm.DB) error {
	if tx.Name() != "postgres" {
		return nil
	}
	return tx.Exec("DROP SCHEMA IF EXISTS " + unfinished).Error
}

// ExportSnapshot lets other sessions of Postgres read the snapshot of tx, by the name returned, until tx ends, which it may do without a
// word for as long as that takes.
func ExportSnapshot(tx *gorm.DB) (name string, err error) {
	if err := tx.Exec("SET LOCAL idle_in_transaction_session_timeout = 0").Error; err != nil {
		return "", err
	}
	err = tx.Raw("SELECT pg_export_snapshot()").Scan(&name).Error
	return name, err
}

// ServerVersion returns the major version of a Postgres server.
func ServerVersion(ctx context.Context, db *DB) (int, error) {
	var number int
	err := db.Reader(ctx).Raw("SELECT current_setting('server_version_num')::int").Scan(&number).Error
	return number / 10_000, Translate(err)
}
