package apikey

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
)

// ErrHash says that the text is not the hash of a key.
var ErrHash = errors.New("want the SHA-256 of the key: 64 hexadecimal digits, or base64")

// ParseHash reads the SHA-256 of a key as other systems write it: in hexadecimal digits, or in base64 of either alphabet, padded or not.
func ParseHash(text string) (Digest, error) {
	decode := base64.RawStdEncoding.Strict().DecodeString
	if strings.ContainsAny(text, "-_") {
		decode = base64.RawURLEncoding.Strict().DecodeString
	}
	if len(text) == 2*len(Digest{}) {
		decode = hex.DecodeString
	} else {
		text = strings.TrimSuffix(text, "=")
	}
	raw, err := decode(text)
	if err != nil || len(raw) != len(Digest{}) {
		return Digest{}, ErrHash
	}
	return Digest(raw), nil
}
