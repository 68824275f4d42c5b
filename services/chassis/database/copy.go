package database

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
)

// Copy puts a copy of the SQLite file at from in the place of the file at to, readable by its owner only. It is a copy of one
// moment, even while others write; to is replaced as a whole, once the copy is on the disk, or not at all.
func Copy(ctx context.Context, from, to string) error {
	temp, err := os.CreateTemp(filepath.Dir(to), ".copy-*") // made at mode 0600
	if err != nil {
		return fmt.Errorf("copying the SQLite file: %w", err)
	}
	defer func() { _ = os.Remove(temp.Name()) }() // does nothing once it has been renamed
	if err = temp.Close(); err == nil {
		err = copyPages(ctx, from, temp.Name())
	}
	if err == nil {
		err = flush(temp.Name())
	}
	if err == nil {
		err = os.Rename(temp.Name(), to)
	}
	if err == nil {
		err = flush(filepath.Dir(to))
	}
	if err != nil {
		return fmt.Errorf("copying the SQLite file: %w", err)
	}
	return nil
}

func copyPages(ctx context.Context, from, to string) (err error) {
	pool, err := openFile(ctx, from, nil, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	conn, err := pool.Conn(ctx)
	if err != nil {
		return unavailable(err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	// The file is flushed once, at the end, and worth nothing before.
	target := url.URL{Scheme: "file", Path: to, RawQuery: url.Values{"_journal_mode": {"OFF"}, "_synchronous": {"OFF"}}.Encode()}
	return conn.Raw(func(driven any) error {
		source, ok := driven.(interface {
			NewBackup(uri string) (*sqlite.Backup, error)
		})
		if !ok {
			return fmt.Errorf("%T makes no copies", driven)
		}
		backup, err := source.NewBackup(target.String())
		if err != nil {
			return err
		}
		const all = -1
		_, err = backup.Step(all)
		return errors.Join(err, backup.Finish())
	})
}

// flush has what was written to path reach the disk.
func flush(path string) error {
	file, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
