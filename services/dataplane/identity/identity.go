// Package identity is who a server is to other servers: an Ed25519 key in a file of its own, and the did:key that names its
// public half.
//
// It promises that the private half never leaves the value that holds it, but for the file, which only its owner may read, and
// that a signature that Verify takes was made over exactly that text by whoever holds the key that the did names. It does not
// say whose key that is: a did:key proves nothing but itself.
package identity

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/mr-tron/base58"
)

const (
	// didPrefix begins a did:key; z says that base58 (Bitcoin's alphabet) follows.
	didPrefix = "did:key:z"
	// multicodec is ed25519-pub, 0xed, as a varint.
	multicodec = "\xed\x01"
	// signatureLength is that of a signature in base64.
	signatureLength = 88
	// maxDID is the longest did of an Ed25519 key. 34 bytes are at most 47 characters of base58.
	maxDID = len(didPrefix) + 48
)

// ErrSignature says that a text was not signed by the did that is said to have signed it.
var ErrSignature = errors.New("the signature is not by this did over this text")

// Identity is an Ed25519 key and where it is kept. It is safe for concurrent use.
type Identity struct {
	key  ed25519.PrivateKey
	path string
	did  string
}

func newIdentity(key ed25519.PrivateKey, path string) *Identity {
	i := &Identity{key: key, path: path}
	i.did = didPrefix + base58.Encode([]byte(multicodec+string(i.public())))
	return i
}

func (i *Identity) public() ed25519.PublicKey {
	public, _ := i.key.Public().(ed25519.PublicKey) // it is nothing else
	return public
}

// DID returns the did:key of the public half.
func (i *Identity) DID() string { return i.did }

// Path returns the name of the file that holds the key.
func (i *Identity) Path() string { return i.path }

// Fingerprint returns the SHA-256 of the public half, for people to compare.
func (i *Identity) Fingerprint() string {
	sum := sha256.Sum256(i.public())
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// Sign signs text; the signature is in base64.
func (i *Identity) Sign(text string) string {
	return base64.StdEncoding.EncodeToString(ed25519.Sign(i.key, []byte(text)))
}

// String returns the did: the key is not for printing.
func (i *Identity) String() string { return i.did }

// GoString returns the did as well.
func (i *Identity) GoString() string { return i.did }

// LogValue returns the did as well.
func (i *Identity) LogValue() slog.Value { return slog.StringValue(i.did) }

// IsDID reports whether did is the did:key of an Ed25519 key, one whose signatures Verify can check.
func IsDID(did string) bool {
	_, err := parse(did)
	return err == nil
}

// Verify returns nil if sig is a signature over text by the key that did names, and ErrSignature, or what is wrong with did,
// otherwise.
func Verify(did, text, sig string) error {
	public, err := parse(did)
	if err != nil {
		return err
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(sig)
	// Of the ways to write it there is one: the decoder alone would skip line feeds.
	if err != nil || len(sig) != signatureLength || !ed25519.Verify(public, []byte(text), raw) {
		return ErrSignature
	}
	return nil
}

// parse returns the key that did names. Of the ways to write a key it takes only the one that DID gives.
func parse(did string) (ed25519.PublicKey, error) {
	encoded, ok := strings.CutPrefix(did, didPrefix)
	if !ok || len(did) > maxDID {
		return nil, fmt.Errorf("want a did:key of an Ed25519 key, %s6Mk…", didPrefix)
	}
	raw, err := base58.Decode(encoded)
	if err != nil || len(raw) != len(multicodec)+ed25519.PublicKeySize || string(raw[:len(multicodec)]) != multicodec {
		return nil, fmt.Errorf("want a did:key of an Ed25519 key, %s6Mk…", didPrefix)
	}
	if base58.Encode(raw) != encoded {
		return nil, errors.New("this did:key is not in its normal form")
	}
	return ed25519.PublicKey(raw[len(multicodec):]), nil
}
