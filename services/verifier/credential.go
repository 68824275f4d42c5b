package verifier

import (
	"encoding/binary"
	"encoding/hex"
	"hash/maphash"

	"github.com/spectron-hq/spectron/services/contract/apikey"
)

// credential is a key or a token without its text.
type credential struct {
	digest apikey.Digest // what the authority is asked about
	id     string        // nameless when the text has none
	mark   apikey.Digest // by which it is recognised when it comes again: of a key the digest, of a token see there
	// foreign says that another system made the key: it has no id in its text, and is found by its digest.
	foreign bool
}

// anyImported stands for the id of a foreign text that opens nothing: it may become that of any imported key.
const anyImported = "imported"

// parseForeign reads a foreign text.
func parseForeign(text string) credential {
	digest := apikey.DigestOf(text)
	return credential{digest: digest, id: anyImported, mark: digest, foreign: true}
}

// hash is where what is known of c is remembered.
func (c *credential) hash() hashed {
	if c.foreign {
		return hashOfDigest(&c.digest)
	}
	return hashOf(c.id)
}

// hashOfDigest is where what is known of a foreign key is remembered.
func hashOfDigest(digest *apikey.Digest) hashed { return hashed(maphash.Bytes(seed, digest[:])) }

// nameless stands for the id of a token that has none in its text. Neither a good verdict on it nor a refusal is remembered: no
// revision could find it.
const nameless = ""

// parse reads a key or a token, or says why text is neither.
func parse(text string) (credential, error) {
	if apikey.IsToken(text) {
		token, err := apikey.ParseToken(text)
		if err != nil {
			return credential{}, err
		}
		_, mark, _ := peekToken(text)
		return credential{digest: token.Digest(), id: token.ID(), mark: mark}, nil
	}
	key, err := apikey.Parse(text)
	if err != nil {
		return credential{}, err
	}
	digest := key.Digest()
	return credential{digest: digest, id: key.ID(), mark: digest}, nil
}

// peekToken returns the hash of a token's id, and its mark, if text looks like a token that has an id.
//
// A token is recognised by the SHA-256 of its secret, which has to be computed anyway, because its id is written from that. So a
// hit hashes one block where the digest would take two more. The id is no secret, but no help: whoever knows it still has to find
// a text with this hash. What comes before the secret is mixed in, so that the same secret with another tag, or under another
// account, is another token.
func peekToken(text string) (h hashed, mark apikey.Digest, ok bool) {
	sum, head, ok := apikey.PeekToken(text)
	if !ok {
		return 0, mark, false
	}
	mark = sum
	binary.NativeEndian.PutUint64(mark[:], binary.NativeEndian.Uint64(mark[:])^maphash.String(seed, head))
	return hashOfSum(&sum), mark, true
}

// hashOfTokenID returns the hash of a token's id, as peekToken does.
func hashOfTokenID(id string) hashed {
	var sum [apikey.TokenIDLen / 2]byte
	_, _ = hex.Decode(sum[:], []byte(id)) // the hash of what is no token's id is that of something
	return hashOfSum(&sum)
}

func hashOfSum(sum *[apikey.TokenIDLen / 2]byte) hashed { return hashed(maphash.Bytes(seed, sum[:])) }
