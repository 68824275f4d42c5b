// Package statedir knows the state directory of a user's local daemon: where each thing in it lies, what the user wrote into
// config.toml, which token the user saved, and what the daemon tells of itself. It promises that whatever it writes only
// the owner can read, and that a directory or a file which others could read is closed or complained about, never passed
// over. In clear it keeps nothing secret but the token that the user asked it to keep.
package statedir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spectron-hq/spectron/services/chassis/settings"
)

const (
	// HomeVariable names the state directory.
	HomeVariable = "SYNCROPEL_HOME"
	defaultName  = ".syncro"
)

// Dir is a state directory. It need not exist.
type Dir struct {
	path    string
	backups string
}

// Find returns the state directory of this user: $SYNCROPEL_HOME, or ~/.syncro.
func Find(environ settings.Environ) (Dir, error) {
	if chosen := environ[HomeVariable]; chosen != "" {
		absolute, err := filepath.Abs(chosen)
		if err != nil {
			return Dir{}, fmt.Errorf("finding the state directory: %w", err)
		}
		return At(absolute), nil
	}
	home := environ["HOME"]
	if !filepath.IsAbs(home) {
		return Dir{}, errors.New("finding the state directory: HOME is not set; set it, or " + HomeVariable)
	}
	data := environ["XDG_DATA_HOME"]
	if !filepath.IsAbs(data) { // the specification asks to ignore a relative one
		data = filepath.Join(home, ".local", "share")
	}
	return Dir{path: filepath.Join(home, defaultName), backups: filepath.Join(data, "syncropel", "backups")}, nil
}

// At returns the state directory at path, an absolute one, which has its backups inside.
func At(path string) Dir { return Dir{path: path, backups: filepath.Join(path, "backups")} }

// Path returns where the directory is.
func (d Dir) Path() string { return d.path }

// Shown returns the path of a file of the directory as people write it: with ~ for the home directory.
func (d Dir) Shown(path string, environ settings.Environ) string {
	if rest, ok := cutDir(path, environ["HOME"]); ok {
		return filepath.Join("~", rest)
	}
	return path
}

func cutDir(path, dir string) (string, bool) {
	if !filepath.IsAbs(dir) {
		return "", false
	}
	rest, err := filepath.Rel(dir, path)
	return rest, err == nil && filepath.IsLocal(rest)
}

// Store is the daemon's SQLite store.
func (d Dir) Store() string { return filepath.Join(d.path, "hub.db") }

// Backup is the copy of the store that is made at each start.
func (d Dir) Backup() string { return filepath.Join(d.backups, "hub.db.bak") }

// Token holds the token that the user saved.
func (d Dir) Token() string { return filepath.Join(d.path, "token") }

// ConfigFile is what the user writes.
func (d Dir) ConfigFile() string { return filepath.Join(d.path, "config.toml") }

// Keys holds private keys.
func (d Dir) Keys() string { return filepath.Join(d.path, "keys") }

// IdentityKey is the private key by which the daemon is known to others.
func (d Dir) IdentityKey() string { return filepath.Join(d.Keys(), "identity.key") }

// Secrets holds what seals and peppers.
func (d Dir) Secrets() string { return filepath.Join(d.path, "secrets") }

// Pepper is the pepper of the stored tokens.
func (d Dir) Pepper() string { return filepath.Join(d.Secrets(), "pepper") }

// SealSecret seals the tokens of peers.
func (d Dir) SealSecret() string { return filepath.Join(d.Secrets(), "seal") }

// ChosenStore holds the URL of the store that the running daemon was started with, when that has a password.
func (d Dir) ChosenStore() string { return filepath.Join(d.Secrets(), "store") }

// Run holds what is only true while the daemon runs.
func (d Dir) Run() string { return filepath.Join(d.path, "run") }

// PID holds the id of the daemon's process, which holds a lock on the file.
func (d Dir) PID() string { return filepath.Join(d.Run(), "spl.pid") }

// Lock is what keeps a second daemon out.
func (d Dir) Lock() string { return filepath.Join(d.Run(), "spl.lock") }

// RunFile is what the daemon tells of itself.
func (d Dir) RunFile() string { return filepath.Join(d.Run(), "spl.json") }

// Memory holds the store of a daemon that is to leave none.
func (d Dir) Memory() string { return filepath.Join(d.Run(), "memory") }

// Logs holds the log and its predecessors.
func (d Dir) Logs() string { return filepath.Join(d.path, "logs") }

// Log is the daemon's log.
func (d Dir) Log() string { return filepath.Join(d.Logs(), "spl.log") }

// CrashLog is where the runtime writes to when the daemon crashes.
func (d Dir) CrashLog() string { return filepath.Join(d.Logs(), "spl.crash") }

func (d Dir) folders() []string {
	return []string{d.Keys(), d.Secrets(), d.Run(), d.Logs(), d.backups}
}

// exists reports whether there is something at path.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
