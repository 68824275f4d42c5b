package statedir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spectron-hq/spectron/services/spectrond/internal/privatefile"
)

// Mode is how a daemon runs.
type Mode string

// The modes.
const (
	// Secure: every request needs a token.
	Secure Mode = "secure"
	// Insecure: nobody is asked who they are, and only this machine is listened to.
	Insecure Mode = "insecure-localhost"
)

// Run is what a running daemon tells of itself.
type Run struct {
	// URL is where this machine reaches it.
	URL       string    `json:"url"`
	PID       int       `json:"pid"`
	Mode      Mode      `json:"mode"`
	Version   string    `json:"version"`
	StartedAt time.Time `json:"started_at"`
	// Bind is the address that it listens on.
	Bind string `json:"bind"`
	// Store is where its records are, without a password.
	Store string `json:"store"`
	// Backup is the copy of the store that was made when it started; empty for none.
	Backup string `json:"backup,omitempty"`
	// Accounts counts the service accounts that could be used when it started.
	Accounts int `json:"service_accounts"`
	// Arguments are what it was asked for, to be asked for again.
	Arguments Arguments `json:"arguments"`
}

// Arguments are what the user asked of a daemon, in so far as it was said at its start. What was not is nil.
type Arguments struct {
	Host     *string `json:"host,omitempty"`
	Port     *int    `json:"port,omitempty"`
	Insecure bool    `json:"insecure_localhost,omitempty"`
	Memory   bool    `json:"memory,omitempty"`
	Discover bool    `json:"discover,omitempty"`
	// Origins are the pages that may call from a browser.
	Origins []string `json:"cors_origins,omitempty"`
	// TrustedProxies are the networks of the proxies whose word about a client's address is taken.
	TrustedProxies []string `json:"trusted_proxies,omitempty"`
	// Store is the URL of the store; one that holds a password is kept in a file of its own, and is StoreKept here.
	Store     string `json:"store,omitempty"`
	StoreKept bool   `json:"store_kept,omitempty"`
}

// ErrNotRunning says that no daemon has told anything.
var ErrNotRunning = errors.New("not running")

// ReadRun returns what the daemon told last. It may have ended without a word: only the lock on its PID file tells whether it
// runs. Errors: ErrNotRunning.
func (d Dir) ReadRun() (Run, error) {
	content, err := os.ReadFile(d.RunFile())
	if errors.Is(err, fs.ErrNotExist) {
		return Run{}, ErrNotRunning
	}
	if err != nil {
		return Run{}, fmt.Errorf("reading the run information: %w", err)
	}
	var run Run
	if err := json.Unmarshal(content, &run); err != nil {
		return Run{}, fmt.Errorf("%s is damaged: remove it", d.RunFile())
	}
	return run, nil
}

// WriteRun keeps what the daemon tells.
func (d Dir) WriteRun(run Run) error {
	content, err := json.MarshalIndent(run, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the run information: %w", err)
	}
	if err := privatefile.Replace(d.RunFile(), append(content, '\n')); err != nil {
		return fmt.Errorf("writing the run information: %w", err)
	}
	return nil
}

// RemoveRun forgets what the daemon told.
func (d Dir) RemoveRun() error {
	for _, path := range []string{d.RunFile(), d.ChosenStore()} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing the run information: %w", err)
		}
	}
	return nil
}
