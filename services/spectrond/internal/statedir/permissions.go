package statedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spectron-hq/spectron/services/spectrond/internal/privatefile"
)

// others are the bits that let anybody but the owner in.
const others fs.FileMode = 0o077

// Make makes the directory, if need be, for what a command keeps in it.
func (d Dir) Make() error {
	if err := os.MkdirAll(d.path, privatefile.DirMode); err != nil {
		return fmt.Errorf("making the state directory: %w", err)
	}
	_, err := d.close()
	return err
}

// Prepare makes the directory and those in it, closes what others could read, and returns a line about each thing that it
// closed. It refuses a directory that is somebody else's, or that holds other things and is open to others: closing that
// would lock people out who have business there.
func (d Dir) Prepare() (mended []string, err error) {
	if err := os.MkdirAll(d.path, privatefile.DirMode); err != nil {
		return nil, fmt.Errorf("making the state directory: %w", err)
	}
	if mended, err = d.close(); err != nil {
		return mended, err
	}
	for _, folder := range d.folders() {
		if err := os.MkdirAll(folder, privatefile.DirMode); err != nil {
			return mended, fmt.Errorf("making the state directory: %w", err)
		}
		more, err := mend(folder, privatefile.DirMode)
		if mended = append(mended, more...); err != nil {
			return mended, err
		}
	}
	files, err := d.files()
	if err != nil {
		return mended, err
	}
	for _, file := range files {
		more, err := mend(file, privatefile.Mode)
		if mended = append(mended, more...); err != nil {
			return mended, err
		}
	}
	return mended, nil
}

// Open lists what others can read, as it is, and mends nothing.
func (d Dir) Open() ([]string, error) {
	files, err := d.files()
	if err != nil {
		return nil, err
	}
	var open []string
	for _, path := range append(append([]string{d.path}, d.folders()...), append(files, d.Token())...) {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return open, fmt.Errorf("looking at the state directory: %w", err)
		}
		if info.Mode().Perm()&others != 0 {
			open = append(open, fmt.Sprintf("%s (mode %04o)", path, info.Mode().Perm()))
		}
	}
	return open, nil
}

// close closes the directory itself.
func (d Dir) close() ([]string, error) {
	info, err := os.Stat(d.path)
	if err != nil {
		return nil, fmt.Errorf("looking at the state directory: %w", err)
	}
	switch {
	case !info.IsDir():
		return nil, fmt.Errorf("the state directory %s is a file: remove it, or set %s", d.path, HomeVariable)
	case !owned(info):
		return nil, fmt.Errorf("the state directory %s belongs to another user: set %s to one of your own", d.path, HomeVariable)
	case info.Mode().Perm()&others == 0:
		return nil, nil
	case !d.ours():
		return nil, fmt.Errorf("the state directory %s is open to others (mode %04o) and holds other things: chmod 700 it, or set %s to another",
			d.path, info.Mode().Perm(), HomeVariable)
	default:
		return mend(d.path, privatefile.DirMode)
	}
}

// ours reports whether the directory is empty, or looks like one that was made here.
func (d Dir) ours() bool {
	if filepath.Base(d.path) == defaultName || exists(d.Store()) || exists(d.Secrets()) || exists(d.Token()) || exists(d.ConfigFile()) {
		return true
	}
	entries, err := os.ReadDir(d.path)
	return err == nil && len(entries) == 0
}

// files returns what is to be private. The token is not among it: that it was open is for its owner to judge, because it may
// be known by now.
func (d Dir) files() ([]string, error) {
	files := []string{d.ConfigFile(), d.Backup()}
	for _, suffix := range []string{"", "-wal", "-shm"} { // SQLite's side files
		files = append(files, d.Store()+suffix)
	}
	for _, folder := range []string{d.Keys(), d.Secrets(), d.Run(), d.Logs()} {
		entries, err := os.ReadDir(folder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("looking into the state directory: %w", err)
		}
		for _, entry := range entries {
			if entry.Type().IsRegular() {
				files = append(files, filepath.Join(folder, entry.Name()))
			}
		}
	}
	return files, nil
}

// mend takes from path what others may do with it, and says so. What does not exist is well.
func mend(path string, mode fs.FileMode) ([]string, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking at the state directory: %w", err)
	}
	found := info.Mode().Perm()
	if found&others == 0 {
		return nil, nil
	}
	if err := os.Chmod(path, mode); err != nil {
		return nil, fmt.Errorf("%s is open to others (mode %04o) and cannot be closed: %w", path, found, err)
	}
	return []string{fmt.Sprintf("%s was open to others (mode %04o) and is closed now", path, found)}, nil
}
