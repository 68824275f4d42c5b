package verifier

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/contract/mutant"
)

const (
	// maxInFlight questions are on the wire at once: one that the authority works on, one that travels.
	maxInFlight = 2
	// maxQueued questions wait behind them; what comes on top is refused, since it could not be answered in time.
	maxQueued = 64
)

// asker gathers keys into questions and asks them.
type asker struct {
	authority Authority
	timeout   time.Duration
	now       func() time.Time
	filled    func(*question)                                                            // called with each answered question before those who wait for it
	carry     func(lifetime context.Context, requests []context.Context) context.Context // or nil
	ctx       context.Context                                                            //nolint:containedctx // the verifier's lifetime, that the senders share
	stats     *counters
	senders   sync.WaitGroup

	mu       sync.Mutex  // guards the following fields
	queue    []*question // not sent yet; only the last may be joined, and has room
	onWire   []*question
	inFlight int
	closed   bool
}

// question is a batch of keys to ask about, and of principals that some of them want to act for. Until it is taken from the
// queue, the first fields are guarded by the asker's mutex; afterwards they do not change. The rest is written before done is
// closed.
type question struct {
	credentials  []credential
	places       map[apikey.Digest]int
	targets      []introspection.Target
	targetPlaces map[introspection.Target]int // nil while there are none
	requests     []context.Context            // that wait, where somebody wants to know
	done         chan struct{}

	sent       time.Time
	verdicts   []introspection.Verdict
	callers    []*caller.Caller    // nil where the key opens nothing
	principals []*caller.Principal // of the targets; nil where there is none
	asOf       int64
	err        error
}

// nobody is the target of a key that acts for itself.
const nobody = ""

// join adds a key, and the principal it wants to act for unless that is nobody, to a question that has not been sent. It
// returns the question with the places of both in it.
func (a *asker) join(ctx context.Context, about credential, principal string) (q *question, place, target int, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, 0, 0, unavailable("this verifier is closed")
	}
	if mutant.Is(mutant.JoinOnWire) {
		for _, q := range a.onWire {
			if place, target, known := q.find(about.digest, principal); known {
				return q, place, target, nil
			}
		}
	}
	if q, err = a.openLocked(about.digest, principal); err != nil {
		return nil, 0, 0, err
	}
	place, target = q.add(about, principal)
	if a.carry != nil {
		q.requests = append(q.requests, ctx)
	}
	if a.inFlight < maxInFlight {
		a.inFlight++
		next := a.takeLocked()
		a.senders.Go(func() { a.send(next) })
	}
	return q, place, target, nil
}

// find returns the places of what was added before.
func (q *question) find(digest apikey.Digest, principal string) (place, target int, known bool) {
	if place, known = q.places[digest]; known && principal != nobody {
		target, known = q.targetPlaces[introspection.Target{Key: place, Principal: principal}]
	}
	return place, target, known
}

// add adds what has not been added before. There is room for it.
func (q *question) add(about credential, principal string) (place, target int) {
	place, known := q.places[about.digest]
	if !known {
		place = len(q.credentials)
		q.credentials = append(q.credentials, about)
		q.places[about.digest] = place
	}
	if principal == nobody {
		return place, 0
	}
	asked := introspection.Target{Key: place, Principal: principal}
	if target, known = q.targetPlaces[asked]; known {
		return place, target
	}
	if q.targetPlaces == nil {
		q.targetPlaces = make(map[introspection.Target]int)
	}
	target = len(q.targets)
	q.targets = append(q.targets, asked)
	q.targetPlaces[asked] = target
	return place, target
}

// openLocked returns the last question of the queue, when it can take another key and target, or a new one behind it.
func (a *asker) openLocked(digest apikey.Digest, principal string) (*question, error) {
	if n := len(a.queue); n > 0 {
		last := a.queue[n-1]
		_, _, known := last.find(digest, principal)
		if known || len(last.credentials) < introspection.MaxDigests && len(last.targets) < introspection.MaxTargets {
			return last, nil
		}
		if n == maxQueued {
			return nil, unavailable("too many keys wait to be verified")
		}
	}
	q := &question{places: make(map[apikey.Digest]int), done: make(chan struct{})}
	a.queue = append(a.queue, q)
	return q, nil
}

func (a *asker) takeLocked() *question {
	q := a.queue[0]
	a.queue[0] = nil
	a.queue = a.queue[1:]
	a.onWire = append(a.onWire, q)
	return q
}

// send asks q, then whatever has gathered meanwhile, until nothing waits.
func (a *asker) send(q *question) {
	for q != nil {
		a.ask(q)
		a.mu.Lock()
		a.onWire = slices.DeleteFunc(a.onWire, func(other *question) bool { return other == q })
		if len(a.queue) > 0 {
			q = a.takeLocked()
		} else {
			q = nil
			a.inFlight--
		}
		a.mu.Unlock()
	}
}

func (a *asker) ask(q *question) {
	defer close(q.done)
	// Of the verifier's lifetime, not of any request's: whoever asked first may leave, the others still wait.
	ctx := a.ctx
	if a.carry != nil {
		ctx = a.carry(ctx, q.requests)
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	q.sent = a.now()
	a.stats.questions.Inc()
	a.stats.asked.Add(int64(len(q.credentials)))
	request := introspection.Request{Digests: make([]apikey.Digest, len(q.credentials)), Targets: q.targets}
	for i := range q.credentials {
		request.Digests[i] = q.credentials[i].digest
	}
	answer, err := a.authority.Introspect(ctx, request)
	switch {
	case err == nil && len(answer.Verdicts) == len(q.credentials) && len(answer.Targets) == len(q.targets):
		q.verdicts, q.principals, q.asOf = answer.Verdicts, answer.Targets, answer.AsOf
		q.callers = make([]*caller.Caller, len(q.verdicts))
		a.filled(q)
	case err == nil:
		q.err = unavailable("the authority did not answer every question")
	case ctx.Err() != nil:
		q.err = unavailable("the authority did not answer in time").Because(err)
	case errors.Is(err, fault.AuthorityUnavailable):
		q.err = err
	default:
		q.err = unavailable("the authority did not answer as it should").Because(err)
	}
}

func (a *asker) close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
}

func (a *asker) wait() { a.senders.Wait() }

func unavailable(message string) *fault.Error {
	e := fault.New(fault.AuthorityUnavailable, "%s, so the key cannot be verified now; try again", message)
	e.RetryAfter = time.Second
	return e
}
