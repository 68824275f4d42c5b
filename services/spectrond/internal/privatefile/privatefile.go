// Package privatefile writes files that only their owner may read. A reader sees the old file or the new one, never a part,
// even after a power cut, and never a moment in which others could read it.
package privatefile

import (
	"errors"
	"os"
	"path/filepath"
)

// Mode and DirMode are the modes of what is for its owner alone.
const (
	Mode    os.FileMode = 0o600
	DirMode os.FileMode = 0o700
)

// Replace puts content in the place of the file at path. Its directory must exist.
func Replace(path string, content []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".new-*") // made at mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }() // does nothing once it has been renamed
	_, err = temp.Write(content)
	if err == nil {
		err = temp.Sync()
	}
	if err = errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return Rename(temp.Name(), path)
}

// Rename gives a file that was written and flushed its name, for good.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
