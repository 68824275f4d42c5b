package introspection

import "github.com/spectron-hq/spectron/services/contract/apikey"

// BootstrapPath is where the key manager takes an [Enrolment], by POST. It answers 204, or 409 when the deployment has
// been bootstrapped before.
const BootstrapPath = "/internal/v1/bootstrap"

// Enrolment asks for the first context and the first keys of a deployment. Whoever sends it has made the keys: their
// text never travels. Sending the same enrolment again after a lost answer succeeds again.
type Enrolment struct {
	// Attempt names one bootstrap, whatever it asks for: it has the form of a key's id, random and new each time.
	Attempt string `json:"attempt"`
	// ContextID names the context to create.
	ContextID  string      `json:"context_id"`
	Management EnrolledKey `json:"management"`
	Context    EnrolledKey `json:"context"`
}

// EnrolledKey stands for a key without its text.
type EnrolledKey struct {
	ID     string        `json:"id"`
	Digest apikey.Digest `json:"digest"`
}

// Enrol returns what stands for key.
func Enrol(key apikey.Key) EnrolledKey { return EnrolledKey{ID: key.ID(), Digest: key.Digest()} }
