// Package seal keeps secrets that must be used again, such as the token of a peer, in a database that is not to know them.
//
// It promises that whoever has the rows but not the secret of the server learns nothing but their length, and that what was
// sealed for one place opens in no other, nor when it was changed. It does not hide which rows hold the same text after an
// edit, and whoever has the secret has everything.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/spectron-hq/spectron/services/chassis/settings"
)

// MinSecret is the shortest secret, in bytes: as much as the key that is derived from it.
const MinSecret = 32

// version is the first byte of everything sealed, and says how.
const version = 1

// ErrSealed says that something cannot be opened: it was sealed with another secret or for another place, or was changed.
var ErrSealed = errors.New("sealed with another secret or for another place")

// Sealer seals and opens. It is safe for concurrent use.
type Sealer struct{ box cipher.AEAD }

// New returns what seals with a key derived from secret. purpose keeps the keys of different uses of one secret apart.
func New(secret settings.Secret, purpose string) (*Sealer, error) {
	if len(secret.Reveal()) < MinSecret {
		return nil, fmt.Errorf("the sealing secret has less than %d bytes", MinSecret)
	}
	key, err := hkdf.Key(sha256.New, []byte(secret.Reveal()), nil, "spectron seal v1: "+purpose, 32)
	if err != nil {
		return nil, fmt.Errorf("deriving the sealing key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("preparing the sealing key: %w", err)
	}
	// The nonce is random, 96 bits: good for four billion seals, and there is one for each edit of a pair.
	box, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("preparing the sealing key: %w", err)
	}
	return &Sealer{box}, nil
}

// Seal seals text for a place, such as the key of its row.
func (s *Sealer) Seal(text settings.Secret, place string) []byte {
	return s.box.Seal([]byte{version}, nil, []byte(text.Reveal()), []byte(place)) //nolint:gosec // the constant is where the answer begins, not the nonce
}

// Open opens what was sealed for the place, or returns ErrSealed.
func (s *Sealer) Open(sealed []byte, place string) (settings.Secret, error) {
	if len(sealed) == 0 || sealed[0] != version {
		return "", ErrSealed
	}
	text, err := s.box.Open(nil, nil, sealed[1:], []byte(place))
	if err != nil {
		return "", ErrSealed
	}
	return settings.Secret(text), nil
}
