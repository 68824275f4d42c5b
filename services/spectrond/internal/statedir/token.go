package statedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/spectrond/internal/privatefile"
)

// maxToken is the most that the token's file may hold: anything larger is the wrong file.
const maxToken = 4 << 10

// InsecureError says that others can read the saved token.
type InsecureError struct {
	// Path is where it is.
	Path string
	// Mode is how it can be read.
	Mode fs.FileMode
}

// Error tells what to do.
func (e *InsecureError) Error() string {
	return fmt.Sprintf("insecure permissions: others can read %s (mode %04o); chmod 600 %s, and retry", e.Path, e.Mode, e.Path)
}

// CheckToken returns an [InsecureError] when others can read the saved token.
func (d Dir) CheckToken() error {
	info, err := os.Stat(d.Token())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking at the saved token: %w", err)
	}
	if mode := info.Mode().Perm(); mode&others != 0 {
		return &InsecureError{Path: d.Token(), Mode: mode}
	}
	return nil
}

// ReadToken returns the saved token, or nothing when there is none. Whether others can read it [Dir.CheckToken] tells.
func (d Dir) ReadToken() (settings.Secret, error) {
	info, err := os.Stat(d.Token())
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err == nil && info.Size() > maxToken {
		err = fmt.Errorf("%s is too large to be a token", d.Token())
	}
	if err != nil {
		return "", fmt.Errorf("reading the saved token: %w", err)
	}
	content, err := os.ReadFile(d.Token())
	if err != nil {
		return "", fmt.Errorf("reading the saved token: %w", err)
	}
	return settings.Secret(strings.TrimSpace(string(content))), nil
}

// SaveToken keeps token in place of the one before. Errors: [InsecureError] when others could read that one.
func (d Dir) SaveToken(token settings.Secret) error {
	if err := d.Make(); err != nil {
		return err
	}
	if err := d.CheckToken(); err != nil {
		return err
	}
	if err := privatefile.Replace(d.Token(), []byte(token.Reveal()+"\n")); err != nil {
		return fmt.Errorf("saving the token: %w", err)
	}
	return nil
}

// UnsetToken removes the saved token and reports whether there was one.
func (d Dir) UnsetToken() (bool, error) {
	err := os.Remove(d.Token())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("removing the saved token: %w", err)
	}
	return true, nil
}
