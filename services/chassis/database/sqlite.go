package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
)

// busyTimeout, in milliseconds, is how long a connection waits for another process that holds the file.
const busyTimeout = "5000"

// sqliteDriver is the name under which modernc.org/sqlite, the pure-Go engine, registers itself with database/sql.
const sqliteDriver = "sqlite"

func openSQLite(ctx context.Context, u *url.URL, prepare func(path string) error) (*DB, error) {
	path, err := filePath(u)
	if err != nil {
		return nil, err
	}
	if err := prepare(path); err != nil {
		return nil, err
	}
	// One writing connection: writers queue in the process, in order, and never meet SQLITE_BUSY among themselves.
	writer, err := openFile(ctx, path, url.Values{"_txlock": {"immediate"}}, 1)
	if err != nil {
		return nil, err
	}
	// In WAL mode readers neither wait for the writer nor make it wait.
	reader, err := openFile(ctx, path, url.Values{"_query_only": {"on"}}, max(4, runtime.GOMAXPROCS(0)))
	if err != nil {
		return nil, errors.Join(err, writer.Close())
	}
	db := &DB{
		Engine:     SQLite,
		readOption: &sql.TxOptions{ReadOnly: true}, // the driver begins these deferred, without the write lock
		migrate: func() (*sql.DB, error) {
			return openFile(ctx, path, url.Values{"_txlock": {"immediate"}}, 1)
		},
		pools: []*sql.DB{writer, reader},
	}
	var errs [2]error
	// This driver keeps no prepared statements of its own; GORM's cache halves the price of a look-up.
	db.DB, errs[0] = gorm.Open(sqlite.New(sqlite.Config{Conn: writer}), gormConfig(true))
	db.reader, errs[1] = gorm.Open(sqlite.New(sqlite.Config{Conn: reader}), gormConfig(true))
	if err := errors.Join(errs[:]...); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// createPrivately makes the file and its folder readable by their owner only; SQLite gives its side files the mode of
// the main one. An existing file is not opened: closing it would drop the locks other connections of this process hold.
func createPrivately(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("creating the folder of the SQLite file: %w", err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600) //nolint:gosec // the operator names the file
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("creating the SQLite file: %w", err)
	}
	return file.Close()
}

// mustExist fails when there is no file at path. It is not opened, as in createPrivately.
func mustExist(path string) error {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no database at %s: is that the right path? A new one is made by spectrond migrate (%w)", path, fs.ErrNotExist)
	}
	if err != nil {
		return fmt.Errorf("finding the SQLite file: %w", err)
	}
	return nil
}

// openFile opens path with the settings every connection shares. Times are written as text in UTC, with enough digits
// that their order as text is their order in time.
func openFile(ctx context.Context, path string, own url.Values, connections int) (*sql.DB, error) {
	values := url.Values{
		"_busy_timeout": {busyTimeout},
		"_foreign_keys": {"on"},
		"_journal_mode": {"WAL"},
		"_synchronous":  {"FULL"}, // a commit that was answered survives a power cut
		"_time_format":  {"sqlite"},
		"_timezone":     {"UTC"},
		"_dqs":          {"0"}, // a misspelt "column" is an error, not a string
	}
	maps.Copy(values, own)
	dsn := (&url.URL{Scheme: "file", Path: path, RawQuery: values.Encode()}).String()
	pool, err := sql.Open(sqliteDriver, dsn)
	if err != nil {
		return nil, fmt.Errorf("opening the SQLite file: %w", err)
	}
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(connections)
	if err := patiently(ctx, func() error { return pool.PingContext(ctx) }); err != nil {
		return nil, errors.Join(unavailable(err), pool.Close())
	}
	return pool, nil
}

// patiently repeats connect while the file is busy: putting it into WAL mode, the first time, and recovering it take a lock
// that SQLite does not wait for, whatever its busy timeout.
func patiently(ctx context.Context, connect func() error) error {
	for pause := retryPause; ; pause *= 2 {
		err := connect()
		if err == nil || !retryable(err) || pause > time.Second {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(rand.N(pause) + pause/2): //nolint:gosec // a pause, not a secret
		}
	}
}
