package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/spectron/internal/privatefile"
)

// header is the first line of every file that is written here.
const header = "# Written by spectron login and spectron config. It holds API keys: keep it private.\n"

// File is the file of profiles as it was read. It is kept at mode 0600, in a directory of mode 0700.
type File struct {
	// Path is where the file is, or will be.
	Path string
	// dir is the directory of ours that holds it, or the link to it.
	dir string
	// Mended says that others could read the file until now.
	Mended bool
	// Profiles are the profiles by name.
	Profiles map[string]Profile
}

// Profile is one stored way to reach a deployment. Empty means not set.
type Profile struct {
	URL       string
	APIKey    client.APIKey
	ContextID string
}

// document is the form of the file.
type document struct {
	Profiles map[string]row `toml:"profiles"`
}

// row is a profile in the file. The key is a plain string here, because a [client.APIKey] encodes as REDACTED.
type row struct {
	URL       string `toml:"url,omitempty"`
	APIKey    string `toml:"api_key,omitempty"`
	ContextID string `toml:"context_id,omitempty"`
}

// Path returns where the profiles are kept: spectron/config.toml below XDG_CONFIG_HOME, or below .config at home.
func Path(getenv Getenv) (string, error) {
	dir := getenv("XDG_CONFIG_HOME")
	// The specification asks to ignore a relative one.
	if !filepath.IsAbs(dir) {
		home := getenv("HOME")
		if home == "" {
			var err error
			if home, err = os.UserHomeDir(); err != nil {
				return "", fmt.Errorf("finding the home directory: %w", err)
			}
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "spectron", "config.toml"), nil
}

// Open reads the file at path; one that does not exist is empty. A file that others may read is made private, or refused
// where that fails.
func Open(path string) (*File, error) {
	file := &File{Path: path, dir: filepath.Dir(path), Profiles: map[string]Profile{}}
	// A link, as from a collection of dot files, stays a link: what it points to is written.
	if target, err := filepath.EvalSymlinks(path); err == nil {
		file.Path = target
	}
	info, err := os.Stat(file.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return file, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the profiles: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(file.Path, 0o600); err != nil {
			return nil, fmt.Errorf("others can read %s, which holds API keys, and it cannot be made private: %w", path, err)
		}
		file.Mended = true
	}
	content, err := os.ReadFile(file.Path)
	if err != nil {
		return nil, fmt.Errorf("reading the profiles: %w", err)
	}
	var doc document
	if err := toml.NewDecoder(strings.NewReader(string(content))).DisallowUnknownFields().Decode(&doc); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, place(err))
	}
	for name, stored := range doc.Profiles {
		file.Profiles[name] = Profile{URL: stored.URL, APIKey: client.APIKey(stored.APIKey), ContextID: stored.ContextID}
	}
	return file, nil
}

// place says where the document is wrong, and nothing of what stands there: that could be a key.
func place(err error) error {
	if unknown, ok := errors.AsType[*toml.StrictMissingError](err); ok && len(unknown.Errors) > 0 {
		first := unknown.Errors[0]
		line, _ := first.Position()
		return fmt.Errorf("line %d: unknown name %s", line, strings.Join(first.Key(), "."))
	}
	if malformed, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, column := malformed.Position()
		return fmt.Errorf("line %d, column %d is not what TOML, or this file, wants there", line, column)
	}
	return errors.New("it is not TOML")
}

// Save writes the file as a whole or not at all.
func (f *File) Save() error {
	doc := document{Profiles: make(map[string]row, len(f.Profiles))}
	for name, profile := range f.Profiles {
		doc.Profiles[name] = row{URL: profile.URL, APIKey: profile.APIKey.Reveal(), ContextID: profile.ContextID}
	}
	content, err := toml.Marshal(doc)
	if err != nil {
		return fmt.Errorf("writing the profiles: %w", err)
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return fmt.Errorf("writing the profiles: %w", err)
	}
	// It may have been there before, open to others.
	if err := os.Chmod(f.dir, 0o700); err != nil { //nolint:gosec // a directory needs x
		return fmt.Errorf("writing the profiles: %w", err)
	}
	if err := privatefile.Replace(f.Path, append([]byte(header), content...)); err != nil {
		return fmt.Errorf("writing the profiles: %w", err)
	}
	return nil
}
