package apikey

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Digest is the SHA-256 of a key. Nobody can compute the key from it, but the authority answers for it, so it is
// treated as a secret: it prints as REDACTED and travels as base64url only where [Digest.MarshalText] is asked for.
type Digest [sha256.Size]byte

// ErrDigest says that the text is not a digest.
var ErrDigest = errors.New("not a digest: want 43 characters of base64url")

// Equal reports in constant time whether d and other are the same.
func (d *Digest) Equal(other *Digest) bool { return subtle.ConstantTimeCompare(d[:], other[:]) == 1 }

// MarshalText returns the digest in unpadded base64url, for the wire between the planes.
func (d Digest) MarshalText() ([]byte, error) {
	return base64.RawURLEncoding.AppendEncode(nil, d[:]), nil
}

// UnmarshalText reads unpadded base64url.
func (d *Digest) UnmarshalText(text []byte) error {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(string(text))
	if err != nil || len(raw) != len(d) {
		return ErrDigest
	}
	copy(d[:], raw)
	return nil
}

// String returns REDACTED.
func (Digest) String() string { return redacted }

// Format writes REDACTED, whatever the verb.
func (Digest) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue returns REDACTED.
func (Digest) LogValue() slog.Value { return slog.StringValue(redacted) }
