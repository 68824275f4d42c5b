// Package verifier tells what an API key is worth. It refuses a malformed key by its checksum, and asks the authority about
// every other one, many at a time: while one or two questions are on the wire, the keys that arrive gather in the next.
//
// What it promises: a verdict is read by the authority after Verify was called, never before, so a key that was revoked
// before the call is refused. A request may join a question that has not been sent yet, never one already on the wire. When
// the authority cannot be asked, the key is refused with fault.AuthorityUnavailable: it fails closed.
package verifier

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
)

const (
	// maxInFlight questions are on the wire at once: one that the authority works on, one that travels.
	maxInFlight = 2
	// maxQueued questions wait behind them; what comes on top is refused, since it could not be answered in time.
	maxQueued = 64

	defaultTimeout = 5 * time.Second
)

// Authority answers for keys. [authority.Client] is one.
type Authority interface {
	// Introspect returns one verdict per digest, in their order, all read in one snapshot that is taken after the call. It
	// returns fault.AuthorityUnavailable when it cannot be reached.
	Introspect(ctx context.Context, digests []apikey.Digest) (introspection.Response, error)
}

// Config says whom to ask.
type Config struct {
	Authority Authority
	// Timeout bounds one question to the authority; 5 s if zero.
	Timeout time.Duration
}

// Verifier verifies keys. It is safe for concurrent use; Close it when done.
type Verifier struct {
	authority Authority
	timeout   time.Duration
	ctx       context.Context //nolint:containedctx // the lifetime of the sender goroutines, ended by Close
	stop      context.CancelFunc
	senders   sync.WaitGroup

	mu       sync.Mutex  // guards the following fields
	queue    []*question // not sent yet; only the last may be joined, and has room
	inFlight int
	closed   bool
}

// question is a batch of keys to ask about. Until it is taken from the queue, its digests and places are guarded by
// the verifier's mutex; afterwards they do not change. verdicts and err are written before done is closed.
type question struct {
	digests  []apikey.Digest
	places   map[apikey.Digest]int
	done     chan struct{}
	verdicts []introspection.Verdict
	err      error
}

// New returns a Verifier.
func New(cfg Config) *Verifier {
	ctx, stop := context.WithCancel(context.Background())
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	return &Verifier{authority: cfg.Authority, timeout: cfg.Timeout, ctx: ctx, stop: stop}
}

// Close refuses further calls, ends those under way and waits for its goroutines.
func (v *Verifier) Close() {
	v.mu.Lock()
	v.closed = true
	v.mu.Unlock()
	v.stop()
	v.senders.Wait()
}

// Verify returns the caller that key stands for. Errors: fault.Unauthenticated for every key that opens nothing,
// fault.AuthorityUnavailable when that cannot be known, and ctx's error.
func (v *Verifier) Verify(ctx context.Context, key string) (*caller.Caller, error) {
	parsed, err := apikey.Parse(key)
	if err != nil {
		return nil, fault.BadCredential()
	}
	q, place, err := v.join(parsed.Digest())
	if err != nil {
		return nil, err
	}
	select {
	case <-q.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if q.err != nil {
		return nil, q.err
	}
	if verdict := q.verdicts[place]; verdict.Active && verdict.Principal != nil {
		return verdict.Caller(), nil
	}
	return nil, fault.BadCredential()
}

// join adds digest to a question that has not been sent and returns it with the digest's place in it.
func (v *Verifier) join(digest apikey.Digest) (*question, int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return nil, 0, unavailable("this verifier is closed")
	}
	q, err := v.openLocked(digest)
	if err != nil {
		return nil, 0, err
	}
	place, known := q.places[digest]
	if !known {
		place = len(q.digests)
		q.digests = append(q.digests, digest)
		q.places[digest] = place
	}
	if v.inFlight < maxInFlight {
		v.inFlight++
		v.senders.Add(1)
		go v.send(v.takeLocked())
	}
	return q, place, nil
}

// openLocked returns the last question of the queue, when it can take digest, or a new one behind it.
func (v *Verifier) openLocked(digest apikey.Digest) (*question, error) {
	if n := len(v.queue); n > 0 {
		last := v.queue[n-1]
		if _, known := last.places[digest]; known || len(last.digests) < introspection.MaxDigests {
			return last, nil
		}
		if n == maxQueued {
			return nil, unavailable("too many keys wait to be verified")
		}
	}
	q := &question{places: make(map[apikey.Digest]int), done: make(chan struct{})}
	v.queue = append(v.queue, q)
	return q, nil
}

func (v *Verifier) takeLocked() *question {
	q := v.queue[0]
	v.queue[0] = nil
	v.queue = v.queue[1:]
	return q
}

// send asks q, then whatever has gathered meanwhile, until nothing waits.
func (v *Verifier) send(q *question) {
	defer v.senders.Done()
	for q != nil {
		v.ask(q)
		v.mu.Lock()
		if len(v.queue) > 0 {
			q = v.takeLocked()
		} else {
			q = nil
			v.inFlight--
		}
		v.mu.Unlock()
	}
}

func (v *Verifier) ask(q *question) {
	defer close(q.done)
	// Of the verifier's lifetime, not of any request's: whoever asked first may leave, the others still wait.
	ctx, cancel := context.WithTimeout(v.ctx, v.timeout)
	defer cancel()
	answer, err := v.authority.Introspect(ctx, q.digests)
	switch {
	case err == nil && len(answer.Verdicts) == len(q.digests):
		q.verdicts = answer.Verdicts
	case err == nil:
		q.err = errors.New("the authority did not answer for every key")
	case ctx.Err() != nil:
		q.err = unavailable("the authority did not answer in time").Because(err)
	default:
		q.err = err
	}
}

func unavailable(message string) *fault.Error {
	e := fault.New(fault.AuthorityUnavailable, "%s, so the key cannot be verified now; try again", message)
	e.RetryAfter = time.Second
	return e
}
