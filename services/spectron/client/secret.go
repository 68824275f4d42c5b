package client

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

const redacted = "REDACTED"

// APIKey is the text of a key that prints as REDACTED however it is formatted, logged or encoded.
type APIKey string

// Reveal returns the text.
func (k APIKey) Reveal() string { return string(k) }

// String returns REDACTED, or nothing when there is no key.
func (k APIKey) String() string {
	if k == "" {
		return ""
	}
	return redacted
}

// GoString returns what String does.
func (k APIKey) GoString() string { return k.String() }

// Format writes what String returns, whatever the verb.
func (k APIKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// LogValue returns what String does.
func (k APIKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText returns what String does.
func (k APIKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// check refuses what cannot be sent in a header. Nothing else is asked of a key here: to a client it is opaque.
func (k APIKey) check() error {
	if strings.ContainsFunc(string(k), func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fault.InvalidField("APIKey", "must not hold spaces, line ends or anything but ASCII")
	}
	return nil
}
