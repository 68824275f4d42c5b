// Package history is what clients saw of keys, and the promise of revocation as a check of it. A token is a secret here, too, and so
// is an identity that the tokens of a service account may claim: it lives until an edit takes it away.
//
// Each secret of each key is an object of its own with three states: live, dying, dead. A change that ends a secret, such as
// a rotation, is two acts, to dying and to dead, both somewhere between its request and its answer. A verifier may accept
// a secret that is live or dying, and refuse one that is dying or dead. A history keeps the promise when every act can be
// given one moment between its request and its answer so that the acts in the order of these moments obey that (which is
// linearizability). So whoever asks after the answer to a change must be refused, whoever was answered before the change
// was asked for must be accepted, and between the two either will do.
package history

import (
	"fmt"
	"math"
	"sync"
	"time"
)

// Never is the answer time of what was not answered.
const Never = time.Duration(math.MaxInt64)

// Kind says what an operation did.
type Kind string

// The kinds of operations.
const (
	// Accept and Refuse are what a verifier said about a secret.
	Accept Kind = "accept"
	Refuse Kind = "refuse"
	// Kill is a change that ended the secret.
	Kill Kind = "kill"
	// Threat is a change whose outcome is not known: it may have ended the secret, or may yet.
	Threat Kind = "threat"
)

// Operation is one thing that a client did.
type Operation struct {
	Kind Kind
	// Secret names a secret without telling it.
	Secret string
	// From and To are when the client asked and when it was answered, on its own clock. To is [Never] for a threat.
	From, To time.Duration
	// Where names the process that answered.
	Where string
	// Detail is for the reader of a failure.
	Detail string
}

// String describes the operation for the reader of a failure.
func (o Operation) String() string {
	until := "no answer"
	if o.To != Never {
		until = o.To.Round(time.Microsecond).String()
	}
	return fmt.Sprintf("%s %s on %s [%s, %s] %s", o.Kind, o.Secret, o.Where, o.From.Round(time.Microsecond), until, o.Detail)
}

// Recorder collects operations. It is safe for concurrent use.
type Recorder struct {
	mu         sync.Mutex // guards the following field
	operations []Operation
}

// Add takes down an operation.
func (r *Recorder) Add(o Operation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.operations = append(r.operations, o)
}

// Take returns what was collected and begins anew.
func (r *Recorder) Take() []Operation {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.operations
	r.operations = nil
	return taken
}

// Len is how many operations were collected.
func (r *Recorder) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.operations)
}
