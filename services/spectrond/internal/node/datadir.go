package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/spectrond/internal/privatefile"
	"github.com/spectron-hq/spectron/services/spectrond/internal/secret"
)

// Layout says by which name each thing lies in the data directory. The zero value is that of spectrond.
type Layout struct {
	Store, Pepper string
	// Claimed says that the caller keeps other processes out of the directory.
	Claimed bool
}

const lockName = "lock"

func (l Layout) orDefault() Layout {
	if l.Store == "" {
		l.Store = "spectron.db"
	}
	if l.Pepper == "" {
		l.Pepper = "pepper"
	}
	return l
}

// dataDir is the folder of a node. Nothing in it is for anybody but its owner.
type dataDir struct {
	path   string
	layout Layout
	lock   *flock.Flock // nil when the caller has claimed the folder
}

// openDataDir creates the folder, if need be, and claims it for this process. The operating system ends the claim with
// the process, however that ends.
func openDataDir(path string, layout Layout) (*dataDir, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("finding the data directory: %w", err)
	}
	if err := os.MkdirAll(absolute, 0o700); err != nil {
		return nil, fmt.Errorf("creating the data directory: %w", err)
	}
	dir := &dataDir{path: absolute, layout: layout.orDefault()}
	if layout.Claimed {
		return dir, nil
	}
	lock := flock.New(filepath.Join(absolute, lockName), flock.SetPermissions(0o600))
	claimed, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("claiming the data directory: %w", err)
	}
	if !claimed {
		return nil, fmt.Errorf("another node serves the data directory %s: stop it, or give this one its own with --data-dir", absolute)
	}
	dir.lock = lock
	return dir, nil
}

// Close ends the claim. The lock file stays: removing it would let a third process claim a new file of that name while a
// second one holds the old.
func (d *dataDir) Close() error {
	if d.lock == nil {
		return nil
	}
	return d.lock.Close()
}

// storeURL returns the connection string of the SQLite store in the folder.
func (d *dataDir) storeURL() settings.Secret {
	return settings.Secret(database.FileURL(filepath.Join(d.path, d.layout.Store)))
}

// sealName is the file of the secret that seals what the store must not know.
const sealName = "seal"

// sealSecret returns the secret kept in the folder by which the store's secrets are sealed, and makes it when there is none. Nothing but keys that
// can be made again is sealed by it here, so a store that is older may do with a new one.
func (d *dataDir) sealSecret() (settings.Secret, error) {
	name := filepath.Join(d.path, sealName)
	content, err := os.ReadFile(name) //nolint:gosec // the operator names the folder
	switch {
	case errors.Is(err, fs.ErrNotExist):
		text := secret.New()
		if err := privatefile.Replace(name, []byte(text+"\n")); err != nil {
			return "", fmt.Errorf("keeping the sealing secret: %w", err)
		}
		return settings.Secret(text), nil
	case err != nil:
		return "", fmt.Errorf("reading the sealing secret: %w", err)
	}
	return settings.Secret(strings.TrimSpace(string(content))), nil
}

// pepper returns the pepper kept in the folder. When there is none it makes one, and says so.
func (d *dataDir) pepper() (pepper settings.Secret, made bool, err error) {
	name := filepath.Join(d.path, d.layout.Pepper)
	content, err := os.ReadFile(name) //nolint:gosec // the operator names the folder
	if errors.Is(err, fs.ErrNotExist) {
		pepper, err = d.makePepper(name)
		return pepper, true, err
	}
	if err != nil {
		return "", false, fmt.Errorf("reading the pepper: %w", err)
	}
	text := strings.TrimSpace(string(content))
	if text == "" {
		return "", false, fmt.Errorf("the pepper in %s is empty: put back the one that the keys were stored with", name)
	}
	return settings.Secret(text), false, nil
}

// makePepper makes a pepper unless there are keys stored with another one already.
func (d *dataDir) makePepper(name string) (settings.Secret, error) {
	if info, err := os.Stat(filepath.Join(d.path, d.layout.Store)); err == nil && info.Size() > 0 {
		return "", fmt.Errorf("the pepper %s is missing beside a store whose keys need it: put it back, or set SPECTRON_PEPPER as before", name)
	}
	text := secret.New()
	if err := privatefile.Replace(name, []byte(text+"\n")); err != nil {
		return "", fmt.Errorf("keeping the pepper: %w", err)
	}
	return settings.Secret(text), nil
}
