// Package apikey is the text form of a key: minting, parsing, checking and forgetting it.
//
// A key reads sp-<id>-<secret>. The id is sixteen characters of lower-case base32, names the key and survives its
// rotation. The secret is base62: 29 random characters (172 bits) and six that are a CRC-32 of everything before them, so that
// a mistyped or made-up key is refused without asking anybody. The whole is 55 bytes, the most that SHA-256 hashes in
// one block.
//
// What the package promises: a [Key] prints as REDACTED however it is formatted, logged or encoded; only [Key.Reveal]
// gives the text. What it does not: the checksum proves that a key is well formed, never that it is genuine.
package apikey

import (
	"crypto/rand"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"strings"
	"unsafe"
)

const (
	prefix      = "sp-"
	idLen       = 16
	randomLen   = 29
	checksumLen = 6
	// Len is the length of every key in bytes.
	Len = len(prefix) + idLen + 1 + randomLen + checksumLen

	idAlphabet     = "abcdefghijklmnopqrstuvwxyz234567"
	secretAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	redacted       = "REDACTED"
)

// The reasons to refuse a key's text. Neither says anything about the text itself.
var (
	// ErrMalformed: the text has not the form of a key.
	ErrMalformed = errors.New("not a key: want sp-<id>-<secret>, 55 characters")
	// ErrChecksum: the text has the form of a key, but its checksum is wrong.
	ErrChecksum = errors.New("not a key: the checksum does not match, so a character is wrong or missing")
)

// Key is a well-formed key. The zero value is no key.
type Key struct{ text string }

// NewID returns a random id for a new key.
func NewID() string { return randomText(idAlphabet, idLen) }

// Mint returns a new random key with the given id, which must come from [NewID] or from an existing key.
func Mint(id string) (Key, error) {
	if !ValidID(id) {
		return Key{}, fmt.Errorf("minting a key: malformed id %q", id)
	}
	body := prefix + id + "-" + randomText(secretAlphabet, randomLen)
	return Key{string(appendChecksum([]byte(body), body))}, nil
}

// Parse checks the form and the checksum of text. It allocates nothing.
func Parse(text string) (Key, error) {
	if len(text) != Len || text[:len(prefix)] != prefix || text[len(prefix)+idLen] != '-' {
		return Key{}, ErrMalformed
	}
	if !ValidID(text[len(prefix):len(prefix)+idLen]) || !isBase62(text[len(prefix)+idLen+1:]) {
		return Key{}, ErrMalformed
	}
	var sum [checksumLen]byte
	if string(appendChecksum(sum[:0], text[:Len-checksumLen])) != text[Len-checksumLen:] {
		return Key{}, ErrChecksum
	}
	return Key{text}, nil
}

// PeekID returns what stands where a key has its id, if text has the length of a key. Nothing else is checked: it is for
// finding the digest of a known key, with which [DigestOf] text is then compared.
func PeekID(text string) (id string, ok bool) {
	if len(text) != Len {
		return "", false
	}
	return text[len(prefix) : len(prefix)+idLen], true
}

// ValidID reports whether id has the form of a key's id.
func ValidID(id string) bool {
	if len(id) != idLen {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// ID returns the key's id, which is not secret.
func (k Key) ID() string { return k.text[len(prefix) : len(prefix)+idLen] }

// Digest returns the SHA-256 of the key's text: what crosses between the planes in its place.
func (k Key) Digest() Digest { return DigestOf(k.text) }

// Reveal returns the secret text. Call it only where the key is the answer, at mint and rotate.
func (k Key) Reveal() string { return k.text }

// String returns REDACTED.
func (Key) String() string { return redacted }

// GoString returns REDACTED.
func (Key) GoString() string { return redacted }

// Format writes REDACTED, whatever the verb.
func (Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue returns REDACTED.
func (Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns REDACTED.
func (Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// appendChecksum appends the checksum of body to dst.
func appendChecksum(dst []byte, body string) []byte {
	// crc32 calls through a function variable, so a []byte(body) would be copied to the heap on each verification.
	sum := crc32.ChecksumIEEE(view(body))
	var out [checksumLen]byte
	for i := checksumLen - 1; i >= 0; i-- {
		out[i] = secretAlphabet[sum%62]
		sum /= 62
	}
	return append(dst, out[:]...)
}

// view returns the bytes of text without a copy, only to be read.
func view(text string) []byte {
	return unsafe.Slice(unsafe.StringData(text), len(text)) //nolint:gosec // nobody writes to it
}

func isBase62(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// randomText returns n characters, each drawn evenly from alphabet. crypto/rand never fails (it ends the program).
func randomText(alphabet string, n int) string {
	// Bytes at or above the largest multiple of the alphabet's size are thrown away: a plain remainder would favour
	// the first characters.
	limit := 256 - 256%len(alphabet)
	var out strings.Builder
	out.Grow(n)
	buf := make([]byte, 2*n)
	for {
		_, _ = rand.Read(buf)
		for _, b := range buf {
			if int(b) >= limit {
				continue
			}
			out.WriteByte(alphabet[int(b)%len(alphabet)])
			if out.Len() == n {
				return out.String()
			}
		}
	}
}
