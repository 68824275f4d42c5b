// Package idempotency makes a write happen once, however often its caller sends it. A caller names the write with a key of
// its choice; for a day, the same key with an equal request is answered with what the first one answered, and with another
// request it is refused.
//
// What it promises: the answer is stored in the transaction of the write, so one never exists without the other, whatever
// crashes; a write that fails leaves its key free.
package idempotency

import (
	"time"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/dataplane/internal/fingerprint"
)

// Lifetime is how long a key is remembered.
const Lifetime = 24 * time.Hour

// Key names one write. The first four fields are its identity.
type Key struct {
	// Incarnation is the caller's context, Principal the caller itself: keys of two callers never meet.
	Incarnation, Principal string
	// Route keeps the keys of one kind of request apart from those of another.
	Route string
	// Key is what the caller chose.
	Key string
	// Request is the fingerprint of the request, which must be the same each time.
	Request fingerprint.Sum
}

// Record is a write that has been done.
type Record struct {
	Request fingerprint.Sum
	// Answer is JSON.
	Answer []byte
}

// InFlight says that the first request with the key is still running.
func InFlight() error {
	return fault.New(fault.Conflict, "a request with this Idempotency-Key is still running; ask again when it has been answered")
}

// Replay returns the answer of the write that k repeats, or a Conflict when k stands for another request.
func (r Record) Replay(k Key) ([]byte, error) {
	if r.Request != k.Request {
		return nil, fault.New(fault.Conflict, "this Idempotency-Key was used for another request; choose a new one")
	}
	return r.Answer, nil
}
