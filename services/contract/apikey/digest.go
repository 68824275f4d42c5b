package apikey

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Digest is the SHA-256 of a key or a token. Nobody can compute it back from that, but the authority answers for it, so it is
// treated as a secret: it prints as REDACTED and travels as base64url only where [Digest.MarshalText] is asked for.
type Digest [sha256.Size]byte

// DigestOf returns the digest of text, which may be no key. It allocates nothing.
func DigestOf(text string) Digest { return sha256.Sum256(view(text)) }

// ErrDigest says that the text is not a digest.
var ErrDigest = errors.New("not a digest: want 43 characters of base64url")

// Equal reports in constant time whether d and other are the same: eight bytes at once, all of them, and no branch before the
// last. (crypto/subtle takes byte by byte and a tenth of the time of a verification.)
func (d *Digest) Equal(other *Digest) bool {
	var difference uint64
	for i := 0; i < len(d); i += 8 {
		difference |= binary.NativeEndian.Uint64(d[i:]) ^ binary.NativeEndian.Uint64(other[i:])
	}
	return difference == 0
}

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
