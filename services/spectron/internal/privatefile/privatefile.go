// Package privatefile writes files that only their owner may read. A reader sees the old file or the new one, never a part,
// and never a moment in which others could read it.
package privatefile

import (
	"errors"
	"os"
	"path/filepath"
)

// Replace puts content in the place of the file at path, at mode 0600. Its directory must exist.
func Replace(path string, content []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".spectron-*") // made at mode 0600
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
	return os.Rename(temp.Name(), path)
}
