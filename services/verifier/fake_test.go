package verifier_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/verifier"
)

const ttl = 2 * time.Second

// registry is an authority in memory, with one verifier. It takes its snapshot when it is asked and answers when the gate
// lets it.
type registry struct {
	mu       sync.Mutex // guards the following fields
	identity string
	live     map[apikey.Digest]introspection.Verdict
	people   map[string]*caller.Principal // whom a key may act for
	events   []introspection.Event        // revision n is at n-1
	stream   chan struct{}                // closed and replaced at each event
	err      error                        // of every call but Watch
	lapsed   bool                         // the next renewal carries catch_up_to
	refuse   bool                         // renewals are not granted
	silent   bool                         // the stream delivers nothing
	imported bool                         // keys have been, when a stream begins
	gate     chan struct{}                // one receive per answer; nil answers at once
	sizes    []int                        // of the questions, in order
	targets  []int                        // how many principals each asked about
	acks     []int64
	uses     []string
	counts   map[string]int64 // how often keys were used
	releases int
}

func newRegistry() *registry {
	return &registry{identity: "a1", live: make(map[apikey.Digest]introspection.Verdict), people: make(map[string]*caller.Principal), stream: make(chan struct{}), lapsed: true}
}

func (r *registry) Introspect(ctx context.Context, request introspection.Request) (introspection.Response, error) {
	digests := request.Digests
	r.mu.Lock()
	answer := introspection.Response{AsOf: int64(len(r.events)), Verdicts: make([]introspection.Verdict, len(digests))}
	for i, digest := range digests {
		answer.Verdicts[i] = r.live[digest]
	}
	for _, target := range request.Targets {
		var found *caller.Principal
		if answer.Verdicts[target.Key].Active {
			found = r.people[target.Principal]
		}
		answer.Targets = append(answer.Targets, found)
	}
	err, gate := r.err, r.gate
	r.sizes = append(r.sizes, len(digests))
	r.targets = append(r.targets, len(request.Targets))
	r.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return introspection.Response{}, ctx.Err()
		}
	}
	return answer, err
}

func (r *registry) Renew(_ context.Context, renewal introspection.Renewal) (introspection.Lease, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return introspection.Lease{}, r.err
	}
	if renewal.Release {
		r.releases++
		return introspection.Lease{}, nil
	}
	r.acks = append(r.acks, renewal.Acknowledged)
	granted := introspection.Lease{Authority: r.identity, TTLMicros: ttl.Microseconds()}
	if r.refuse {
		granted.TTLMicros = 0
	}
	if r.lapsed {
		granted.CatchUpTo, r.lapsed = int64(len(r.events)), false
	}
	return granted, nil
}

func (r *registry) Watch(ctx context.Context, authority string, after int64, fn func(introspection.Event) error) error {
	for r.mu.Lock(); r.silent; r.mu.Lock() {
		more := r.stream
		r.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	first := introspection.Event{Authority: r.identity, Revision: after, Imported: r.imported}
	if authority != r.identity {
		first.Reset, first.Revision = true, int64(len(r.events))
	}
	r.mu.Unlock()
	if err := fn(first); err != nil {
		return err
	}
	for next := first.Revision; ; {
		r.mu.Lock()
		if r.identity != first.Authority {
			r.mu.Unlock()
			return errors.New("the database was restored")
		}
		pending, more := slices.Clone(r.events[next:]), r.stream
		if r.silent {
			pending = nil
		}
		r.mu.Unlock()
		for _, e := range pending {
			if err := fn(e); err != nil {
				return err
			}
			next = e.Revision
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *registry) Report(_ context.Context, uses introspection.Uses) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, use := range uses.Uses {
		if use.Count == 0 {
			r.uses = append(r.uses, use.KeyID)
			continue
		}
		if r.counts == nil {
			r.counts = make(map[string]int64)
		}
		r.counts[use.KeyID] += use.Count
	}
	return r.err
}

// set changes the registry under its lock and wakes the stream.
func (r *registry) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
	close(r.stream)
	r.stream = make(chan struct{})
}

func (r *registry) mint(tb testing.TB) apikey.Key {
	tb.Helper()
	key, err := apikey.Mint(apikey.NewID())
	if err != nil {
		tb.Fatal(err)
	}
	r.set(func() {
		r.live[key.Digest()] = introspection.Verdict{
			Active: true, Context: "acme", Incarnation: "acme.1", KeyID: key.ID(), KeyName: "k",
			Principal: &caller.Principal{ID: "p", Grants: grant.All()},
		}
	})
	return key
}

// touchLocked adds a revision. Call it within set.
func (r *registry) touchLocked(kind introspection.SubjectKind, id string) {
	r.events = append(r.events, introspection.Event{Revision: int64(len(r.events) + 1), Kind: kind, Context: "acme", ID: id})
}

func (r *registry) revoke(key apikey.Key) {
	r.set(func() {
		delete(r.live, key.Digest())
		r.touchLocked(introspection.SubjectKey, key.ID())
	})
}

func (r *registry) asked() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.sizes)
}

// reported returns how often each key was reported as used.
func (r *registry) reported() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	counts := make(map[string]int)
	for _, key := range r.uses {
		counts[key]++
	}
	return counts
}

// counted returns how often a key was used, as far as that was reported.
func (r *registry) counted(id string) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts[id]
}

func (r *registry) released() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.releases
}

func (r *registry) acknowledged() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.acks) == 0 {
		return -1
	}
	return r.acks[len(r.acks)-1]
}

func open(t *testing.T, r *registry, cfg verifier.Config) *verifier.Verifier {
	t.Helper()
	cfg.Authority = r
	v, err := verifier.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

// credential is a key or a token.
type credential interface{ Reveal() string }

// check verifies key and says whether it was accepted, and from where.
func check(t *testing.T, v *verifier.Verifier, key credential) (verifier.Source, bool) {
	t.Helper()
	verdict, err := v.Check(t.Context(), key.Reveal())
	if err != nil && !errors.Is(err, fault.Unauthenticated) {
		t.Fatal(err)
	}
	return verdict.Source, err == nil
}

// wantCached verifies key twice and wants the second answer from the cache.
func wantCached(t *testing.T, v *verifier.Verifier, key credential) {
	t.Helper()
	check(t, v, key)
	if source, ok := check(t, v, key); !ok || source != verifier.FromCache {
		t.Fatalf("accepted %t from %q, want it from the cache", ok, source)
	}
}

// result is what a Verify in the background came to.
type result struct {
	verdict verifier.Verdict
	err     error
}

func verify(v *verifier.Verifier, key apikey.Key) <-chan result {
	out := make(chan result, 1)
	go func() {
		verdict, err := v.Check(context.Background(), key.Reveal())
		out <- result{verdict, err}
	}()
	return out
}
