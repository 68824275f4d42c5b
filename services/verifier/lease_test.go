package verifier_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/verifier"
)

// bubble runs a test on a clock that moves only when everybody waits.
func bubble(t *testing.T, name string, test func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, test)
	})
}

func settle() {
	time.Sleep(10 * time.Millisecond)
	synctest.Wait()
}

func TestTheCacheAnswersUnderALease(t *testing.T) {
	t.Parallel()
	bubble(t, "a revision drops what it touched, then is acknowledged", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		key, other := r.mint(t), r.mint(t)
		wantCached(t, v, key)
		wantCached(t, v, other)
		r.revoke(key)
		settle()
		if got := r.acknowledged(); got != 1 {
			t.Errorf("acknowledged %d, want 1", got)
		}
		if _, ok := check(t, v, key); ok {
			t.Error("a revoked key was accepted")
		}
		wantCached(t, v, other)
	})
	bubble(t, "renewals keep it alive", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{Reread: time.Hour})
		settle()
		key := r.mint(t)
		wantCached(t, v, key)
		time.Sleep(10 * ttl)
		if source, _ := check(t, v, key); source != verifier.FromCache {
			t.Errorf("ten lease lengths later the answer is from %q", source)
		}
	})
	bubble(t, "principal, context, deployment", func(t *testing.T) {
		for _, subject := range []struct {
			kind introspection.SubjectKind
			id   string
		}{
			{introspection.SubjectPrincipal, "p"},
			{introspection.SubjectContext, ""},
			{introspection.SubjectDeployment, ""},
			{"of a later release", ""},
		} {
			r := newRegistry()
			v := open(t, r, verifier.Config{})
			settle()
			key := r.mint(t)
			wantCached(t, v, key)
			r.set(func() { r.touchLocked(subject.kind, subject.id) })
			settle()
			if source, ok := check(t, v, key); !ok || source != verifier.FromAuthority {
				t.Errorf("after a change of the %s: accepted %t from %q", subject.kind, ok, source)
			}
			wantCached(t, v, key)
		}
	})
	bubble(t, "of another principal", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		key := r.mint(t)
		wantCached(t, v, key)
		r.set(func() { r.touchLocked(introspection.SubjectPrincipal, "q") })
		settle()
		if source, _ := check(t, v, key); source != verifier.FromCache {
			t.Errorf("answered from %q", source)
		}
	})
}

func TestABlockedContextIsKnownAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		key, other := r.mint(t), r.mint(t)
		wantCached(t, v, key)
		wantCached(t, v, other)
		for _, blocked := range []bool{true, false} {
			r.set(func() {
				for digest, verdict := range r.live {
					verdict.Blocked = blocked
					r.live[digest] = verdict
				}
				r.touchLocked(introspection.SubjectContext, "")
			})
			settle()
			for range 2 { // from the authority, then from the cache
				for _, k := range []apikey.Key{key, other} {
					verdict, err := v.Check(t.Context(), k.Reveal())
					if err != nil || verdict.Caller.Blocked != blocked {
						t.Errorf("from %q: blocked %t, %v; want %t", verdict.Source, verdict.Caller.Blocked, err, blocked)
					}
				}
			}
		}
	})
}

func TestNoLeaseNoCache(t *testing.T) {
	t.Parallel()
	bubble(t, "the clock ends the lease", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		key := r.mint(t)
		wantCached(t, v, key)
		r.set(func() { r.err = fault.New(fault.AuthorityUnavailable, "cut") })
		time.Sleep(ttl)
		if _, err := v.Check(t.Context(), key.Reveal()); !errors.Is(err, fault.AuthorityUnavailable) {
			t.Errorf("without a lease: %v", err)
		}
		r.set(func() { r.err, r.lapsed = nil, true })
		time.Sleep(2 * time.Second)
		questions := len(r.asked())
		if source, ok := check(t, v, key); !ok || source != verifier.FromCache {
			t.Errorf("after the cut: accepted %t from %q", ok, source)
		}
		if len(r.asked()) != questions {
			t.Error("entries that nothing touched were asked about again")
		}
	})
	bubble(t, "a rejoining verifier catches up first", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		key := r.mint(t)
		wantCached(t, v, key)
		// The lease lapses, the key is revoked without this verifier, and the lease comes back before the stream does.
		r.set(func() { r.err, r.silent = fault.New(fault.AuthorityUnavailable, "cut"), true })
		time.Sleep(ttl)
		r.revoke(key)
		r.set(func() { r.err, r.lapsed = nil, true })
		time.Sleep(time.Second)
		if v.Stats().LeaseValid {
			t.Error("the cache is trusted before it has caught up")
		}
		if _, ok := check(t, v, key); ok {
			t.Error("a key revoked while the verifier was away was accepted")
		}
		r.set(func() { r.silent = false })
		settle()
		if !v.Stats().LeaseValid {
			t.Error("caught up, but not trusted")
		}
	})
	bubble(t, "another authority, another history", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		key := r.mint(t)
		wantCached(t, v, key)
		r.set(func() { r.identity, r.live, r.silent, r.lapsed = "a2", nil, false, true })
		time.Sleep(3 * time.Second)
		if _, ok := check(t, v, key); ok {
			t.Error("the cache of another authority was trusted")
		}
		if !v.Stats().LeaseValid {
			t.Error("no lease from the new authority")
		}
	})
}

func TestAnAnswerOlderThanARevisionIsNotCached(t *testing.T) {
	t.Parallel()
	bubble(t, "slow answer", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		key := r.mint(t)
		gate := make(chan struct{})
		r.set(func() { r.gate = gate })
		early := verify(v, key)
		settle() // its snapshot is taken
		r.revoke(key)
		settle() // and the revision is applied
		close(gate)
		if got := <-early; got.err != nil {
			t.Errorf("a request that came before the revocation: %v", got.err)
		}
		if _, ok := check(t, v, key); ok {
			t.Error("the old answer was cached")
		}
	})
	bubble(t, "read before the stream began", func(t *testing.T) {
		r := newRegistry()
		key := r.mint(t)
		gate := make(chan struct{})
		r.silent, r.gate = true, gate
		v := open(t, r, verifier.Config{})
		early := verify(v, key)
		settle() // its snapshot is taken, and no stream has begun
		r.revoke(key)
		r.set(func() { r.silent = false })
		settle() // the stream begins behind that revision
		close(gate)
		<-early
		if !v.Stats().LeaseValid {
			t.Fatal("no lease")
		}
		if _, ok := check(t, v, key); ok {
			t.Error("an answer from before the known history was cached")
		}
	})
	bubble(t, "read from another authority", func(t *testing.T) {
		r := newRegistry()
		key, other := r.mint(t), r.mint(t)
		r.revoke(other)
		r.revoke(other)
		v := open(t, r, verifier.Config{})
		settle()
		gate := make(chan struct{})
		r.set(func() { r.gate = gate })
		early := verify(v, key)
		settle() // its snapshot is taken, at revision 2 of the first authority
		r.set(func() { r.identity, r.events, r.lapsed = "a2", nil, true })
		time.Sleep(3 * time.Second) // the second one has given a stream and a lease
		r.revoke(key)               // at its revision 1
		settle()
		close(gate)
		<-early
		if stats := v.Stats(); !stats.LeaseValid || stats.Revision != 1 {
			t.Fatalf("%+v, want a lease at revision 1", stats)
		}
		if _, ok := check(t, v, key); ok {
			t.Error("an answer that counts another authority's revisions was cached")
		}
	})
}

func TestEntriesEnd(t *testing.T) {
	t.Parallel()
	bubble(t, "and tell when, counted from the question", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		ending, endless := r.mint(t), r.mint(t)
		r.set(func() {
			verdict := r.live[ending.Digest()]
			verdict.ExpiresInMicros = time.Hour.Microseconds()
			r.live[ending.Digest()] = verdict
		})
		end := time.Now().Add(time.Hour)
		for _, want := range []verifier.Source{verifier.FromAuthority, verifier.FromCache} {
			if got, err := v.Check(t.Context(), ending.Reveal()); err != nil || got.Source != want || !got.Ends.Equal(end) {
				t.Errorf("from %s: %v, %v, want %v", got.Source, got.Ends, err, end)
			}
			if got, err := v.Check(t.Context(), endless.Reveal()); err != nil || got.Source != want || !got.Ends.IsZero() {
				t.Errorf("without an end, from %s: %v, %v", got.Source, got.Ends, err)
			}
			time.Sleep(time.Minute)
			settle()
		}
	})
	bubble(t, "with the key, counted from the question", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		key := r.mint(t)
		r.set(func() {
			verdict := r.live[key.Digest()]
			verdict.ExpiresInMicros = (30 * time.Second).Microseconds()
			r.live[key.Digest()] = verdict
		})
		wantCached(t, v, key)
		r.set(func() { r.live = nil })
		time.Sleep(30*time.Second - time.Millisecond)
		if _, ok := check(t, v, key); !ok {
			t.Error("refused before its end")
		}
		time.Sleep(time.Millisecond)
		if _, ok := check(t, v, key); ok {
			t.Error("accepted after its end")
		}
	})
	bubble(t, "at five minutes, and not together", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		var keys []apikey.Key
		for range 200 {
			keys = append(keys, r.mint(t))
			wantCached(t, v, keys[len(keys)-1])
		}
		time.Sleep(4*time.Minute + 30*time.Second)
		questions := len(r.asked())
		for _, key := range keys {
			check(t, v, key)
		}
		if again := len(r.asked()) - questions; again == 0 || again == len(keys) {
			t.Errorf("%d of %d entries are read again half-way through the last minute", again, len(keys))
		}
		time.Sleep(5 * time.Minute)
		for _, key := range keys {
			if source, _ := check(t, v, key); source != verifier.FromAuthority {
				t.Fatal("an entry outlived its five minutes")
			}
		}
	})
	bubble(t, "refusals are remembered, until a chosen secret is imported", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		key := r.mint(t)
		r.set(func() { delete(r.live, key.Digest()) })
		for range 3 {
			check(t, v, key)
		}
		if got := v.Stats(); got.NegativeHits != 2 {
			t.Errorf("%d of 3 refusals from memory, want 2", got.NegativeHits)
		}
		r.set(func() {
			r.live[key.Digest()] = introspection.Verdict{Active: true, KeyID: key.ID(), Context: "acme", Principal: nil}
			r.touchLocked(introspection.SubjectKey, key.ID())
		})
		settle()
		check(t, v, key)
		if got := slices.Max(r.asked()); got != 1 {
			t.Errorf("asked %d", got)
		}
		if got := v.Stats().Misses; got != 2 {
			t.Errorf("%d misses, want the first and the one after the import", got)
		}
	})
}
