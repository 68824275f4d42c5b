package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// boxPurpose separates the keys that boxes are locked with from every other use of a pepper.
const boxPurpose = "spectron: box v1"

// ErrBox says that a box cannot be opened: its pepper is gone, or it is not the box of that label.
var ErrBox = errors.New("the secret cannot be opened: the pepper it was sealed under is gone, or the row was changed")

// Box holds a secret that must be read again, such as that of a webhook: AES-256-GCM under a key derived from the pepper of that
// version. It prints as REDACTED.
type Box struct {
	Pepper uint16
	Sealed []byte
}

// String returns REDACTED.
func (Box) String() string { return redacted }

// Format writes REDACTED, whatever the verb.
func (Box) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue returns REDACTED.
func (Box) LogValue() slog.Value { return slog.StringValue(redacted) }

// Lock puts text into a box under the current pepper. It is opened only with the same label, which says where it belongs.
func (k *Keyring) Lock(text, label string) (Box, error) {
	current := k.peppers[0]
	aead, err := current.aead()
	if err != nil {
		return Box{}, err
	}
	return Box{Pepper: current.version, Sealed: aead.Seal(nil, nil, []byte(text), []byte(label))}, nil //nolint:gosec // the AEAD makes its own nonce
}

// Unlock returns what is in a box. Errors: ErrBox.
func (k *Keyring) Unlock(b Box, label string) (string, error) {
	for _, p := range k.peppers {
		if p.version != b.Pepper {
			continue
		}
		aead, err := p.aead()
		if err != nil {
			return "", err
		}
		text, err := aead.Open(nil, nil, b.Sealed, []byte(label))
		if err != nil {
			return "", ErrBox
		}
		return string(text), nil
	}
	return "", ErrBox
}

// Current returns the version of the pepper that seals what is new.
func (k *Keyring) Current() uint16 { return k.peppers[0].version }

// aead derives the key of boxes from p. The nonce is random and in front of the sealed text.
func (p pepper) aead() (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, p.text, nil, boxPurpose, 32)
	if err != nil {
		return nil, fmt.Errorf("deriving the key of a box: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("preparing a box: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}
