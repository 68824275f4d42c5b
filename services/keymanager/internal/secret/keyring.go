// Package secret keeps the key manager's own secrets and is the only place here that touches crypto.
//
// It promises that a key is stored as HMAC-SHA256 under a pepper that the database never holds, so that a stolen
// database verifies nothing; that several peppers verify at once while the first of them seals what is new; and that no
// service token is accepted but one signed by the shared secret, for this audience, not expired. It does not promise to
// find weak peppers beyond a least length.
package secret

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strconv"
	"strings"

	"github.com/spectron-hq/spectron/services/contract/apikey"
)

// MinPepper is the least length of a pepper in bytes.
const MinPepper = 32

const redacted = "REDACTED"

// Seal is what the database keeps of a key: the HMAC of its digest under a pepper. It prints as REDACTED.
type Seal [sha256.Size]byte

// String returns REDACTED.
func (Seal) String() string { return redacted }

// Format writes REDACTED, whatever the verb.
func (Seal) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue returns REDACTED.
func (Seal) LogValue() slog.Value { return slog.StringValue(redacted) }

// Keyring holds the peppers. It is safe for concurrent use.
type Keyring struct{ peppers []pepper }

type pepper struct {
	version uint16
	text    []byte
}

// ParseKeyring reads peppers separated by commas or newlines, each VERSION:SECRET with a version from 1 to 65535, or a
// bare SECRET, which is version 1. The first one seals new keys; all of them verify. Errors quote no secret.
func ParseKeyring(text string) (*Keyring, error) {
	var ring Keyring
	seen := map[uint16]bool{}
	for entry := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == '\n' || r == '\r' }) {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		p, err := parsePepper(entry)
		if err != nil {
			return nil, fmt.Errorf("pepper %d: %w", len(ring.peppers)+1, err)
		}
		if seen[p.version] {
			return nil, fmt.Errorf("pepper %d: version %d is given twice", len(ring.peppers)+1, p.version)
		}
		seen[p.version] = true
		ring.peppers = append(ring.peppers, p)
	}
	if len(ring.peppers) == 0 {
		return nil, errors.New("no pepper")
	}
	return &ring, nil
}

func parsePepper(entry string) (pepper, error) {
	p := pepper{version: 1, text: []byte(entry)}
	if number, rest, ok := strings.Cut(entry, ":"); ok && isDigits(number) {
		version, err := strconv.ParseUint(number, 10, 16)
		if err != nil || version == 0 {
			return pepper{}, fmt.Errorf("the version must be from 1 to %d", math.MaxUint16)
		}
		p = pepper{uint16(version), []byte(rest)}
	}
	if len(p.text) < MinPepper {
		return pepper{}, fmt.Errorf("has %d characters, at least %d are needed", len(p.text), MinPepper)
	}
	return p, nil
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// Seal seals digest under the current pepper, whose version it returns with it.
func (k *Keyring) Seal(digest apikey.Digest) (Seal, uint16) {
	current := k.peppers[0]
	return sealAll(current, []apikey.Digest{digest}, nil)[0], current.version
}

// Versions returns the versions of all peppers.
func (k *Keyring) Versions() []uint16 {
	out := make([]uint16, len(k.peppers))
	for i, p := range k.peppers {
		out[i] = p.version
	}
	return out
}

// Current returns the version of the pepper that seals what is new.
func (k *Keyring) Current() uint16 { return k.peppers[0].version }

// Seals returns every seal that may stand for the digests: for each pepper in turn, one for each digest in order. So the
// seals of digest i are those at i, i+len(digests), and so on.
func (k *Keyring) Seals(digests ...apikey.Digest) []Seal {
	out := make([]Seal, 0, len(digests)*len(k.peppers))
	for _, p := range k.peppers {
		out = sealAll(p, digests, out)
	}
	return out
}

// sealAll appends the seals of the digests to dst. Keying the HMAC costs as much as using it, so it is done once.
func sealAll(p pepper, digests []apikey.Digest, dst []Seal) []Seal {
	mac := hmac.New(sha256.New, p.text)
	for i := range digests {
		mac.Reset()
		_, _ = mac.Write(digests[i][:])
		dst = append(dst, Seal{})
		mac.Sum(dst[len(dst)-1][:0])
	}
	return dst
}

// NewID returns n random characters of lower-case base32, at most 26: a name for something, not a secret.
func NewID(n int) string { return strings.ToLower(rand.Text())[:n] }

// NewTokenID returns an id for a token whose own would tell something about its secret: random, in the form of all tokens' ids.
func NewTokenID() string {
	var id [apikey.TokenIDLen / 2]byte
	_, _ = rand.Read(id[:]) // never fails: it ends the program
	return hex.EncodeToString(id[:])
}
