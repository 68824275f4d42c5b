package settings

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
)

const (
	redacted = "REDACTED"
	// fileSuffix turns the name of a secret's variable into that of the one that holds a path.
	fileSuffix = "_FILE"
	// maxSecret is the most a secret's file may hold: anything larger is the wrong file.
	maxSecret = 64 << 10
)

// Secret is a setting that must not be seen. However it is printed, logged or marshalled it reads REDACTED; only Reveal
// returns it.
type Secret string

var (
	_ fmt.Formatter  = Secret("")
	_ slog.LogValuer = Secret("")
)

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String returns REDACTED, or nothing for an empty secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString is String.
func (s Secret) GoString() string { return s.String() }

// Format prints String, whatever the verb.
func (s Secret) Format(state fmt.State, _ rune) {
	_, _ = io.WriteString(state, s.String()) // the interface leaves no way to report it
}

// LogValue is String.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is String.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// readSecret returns the content of a secret's file without the newline an editor leaves at its end.
func readSecret(path string) (string, error) {
	file, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return "", fmt.Errorf("reading secret: %w", err)
	}
	content, err := io.ReadAll(io.LimitReader(file, maxSecret+1))
	if err = errors.Join(err, file.Close()); err != nil {
		return "", fmt.Errorf("reading secret: %w", err)
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	switch {
	case len(content) > maxSecret:
		return "", fmt.Errorf("%s is too large to be a secret", path)
	case text == "":
		return "", fmt.Errorf("%s is empty", path)
	}
	return text, nil
}
