// Package fingerprint names content by its hash, so that equal content is found without comparing it: the normal form of a
// scope set, the body of a request, a record. Nobody can make two contents of one fingerprint. No secret passes through here.
package fingerprint

import (
	"crypto/sha256" //nolint:depguard // a content address: keys and their digests never come here
	"encoding/binary"
	"encoding/hex"
)

// Sum is a fingerprint.
type Sum [sha256.Size]byte

// Of returns the fingerprint of a list of parts. Lists that differ only in where one part ends and the next begins differ.
func Of(parts ...string) Sum {
	hash := sha256.New()
	var size [8]byte
	for _, part := range parts {
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		_, _ = hash.Write(size[:]) // a hash never fails
		_, _ = hash.Write([]byte(part))
	}
	return Sum(hash.Sum(nil))
}

// Number returns the first 64 bits, for what must be named by an integer.
func (s Sum) Number() int64 {
	return int64(binary.BigEndian.Uint64(s[:])) //nolint:gosec // any 64 bits do
}

// Address returns the address of content: its SHA-256 in lower-case hexadecimal digits, which others compute as well.
func Address(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
