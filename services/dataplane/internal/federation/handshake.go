package federation

import (
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/dataplane/identity"
)

// Shake answers a server that says who it is and proves it: with who this one is, and its proof. The challenge is the other one's
// choice, so what is signed is [HandshakeText] and can be nothing else, such as the id of a record.
func (s *Service) Shake(did, challenge, sig string) (sigOfOurs string, err error) {
	if s.Identity == nil {
		return "", fault.New(fault.NotSupported, "this server has no identity to answer with; a daemon (`spl serve`) has one")
	}
	if err := identity.Verify(did, HandshakeText(did, challenge), sig); err != nil {
		return "", &fault.Error{
			Kind: fault.Unprocessable, Code: codeSignature, Field: "sig",
			Message: `sig: is not a signature by did over "syncropel handshake <did> <challenge>"`, Err: err,
		}
	}
	return s.Identity.Sign(HandshakeText(s.Identity.DID(), challenge)), nil
}

// HandshakeText is what a server signs to prove that it is did.
func HandshakeText(did, challenge string) string {
	return "syncropel handshake " + did + " " + challenge
}
