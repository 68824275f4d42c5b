// Package secret makes the random secrets of a deployment: the pepper and the service secret. It promises 256 bits of the
// operating system's randomness in every one. It keeps, checks and hides nothing.
package secret

import (
	"crypto/rand" //nolint:depguard // makes random bytes, and does nothing else with cryptography
	"encoding/base64"
)

// size is the number of random bytes in a secret: as many as HMAC-SHA256, which takes these secrets as its key, can use.
const size = 32

// New returns a new random secret in base64url without padding, 43 characters: safe in an env file, a URL and a shell.
func New() string {
	var raw [size]byte
	_, _ = rand.Read(raw[:]) // never fails: it ends the program instead
	return base64.RawURLEncoding.EncodeToString(raw[:])
}
