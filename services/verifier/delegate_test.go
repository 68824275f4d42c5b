package verifier_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/verifier"
)

// over is memory:read over one pattern.
func over(t *testing.T, pattern string) grant.Map {
	t.Helper()
	p, err := scope.ParsePattern(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return grant.Over(p, grant.MemoryRead)
}

// employ makes a principal that keys may act for, or changes one, without a revision.
func (r *registry) employ(id string, grants grant.Map) {
	r.set(func() { r.people[id] = &caller.Principal{ID: id, Grants: grants} })
}

// regrant changes what a principal may do, with its revision.
func (r *registry) regrant(id string, grants grant.Map) {
	r.set(func() {
		r.people[id] = &caller.Principal{ID: id, Grants: grants}
		r.touchLocked(introspection.SubjectPrincipal, id)
	})
}

// reads checks key on behalf of target and returns where it may read, and where that came from. A target that does not exist
// reads "unknown".
func reads(t *testing.T, v *verifier.Verifier, key apikey.Key, target string) (string, verifier.Source) {
	t.Helper()
	got := readsOf(v.CheckOnBehalf(t.Context(), key.Reveal(), target))
	return got.region, got.source
}

type reading struct {
	region string
	source verifier.Source
}

func readsOf(verdict verifier.Verdict, err error) reading {
	switch {
	case errors.Is(err, fault.Forbidden):
		return reading{"unknown", ""}
	case err != nil:
		return reading{err.Error(), ""}
	default:
		return reading{fmt.Sprint(verdict.Caller.Effective[grant.MemoryRead]), verdict.Source}
	}
}

func wantReads(t *testing.T, v *verifier.Verifier, key apikey.Key, target, region string, source verifier.Source) {
	t.Helper()
	if got, from := reads(t, v, key, target); got != region || from != source {
		t.Errorf("on behalf of %s it reads %s from %q, want %s from %q", target, got, from, region, source)
	}
}

func TestADelegateMayDoWhatBothMay(t *testing.T) {
	t.Parallel()
	bubble(t, "the meet", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		key := r.mint(t)
		r.set(func() {
			verdict := r.live[key.Digest()]
			verdict.KeyGrants = over(t, "org/acme/*")
			r.live[key.Digest()] = verdict
		})
		r.employ("alice", over(t, "org/*"))
		r.employ("bob", over(t, "org/acme/user/bob"))
		r.employ("eve", over(t, "org/beta/*"))
		r.employ("idle", grant.Map{})
		for target, region := range map[string]string{
			"alice": "[org/acme/*]", "bob": "[org/acme/user/bob]", "eve": "[]", "idle": "[]",
		} {
			wantReads(t, v, key, target, region, verifier.FromAuthority)
			wantReads(t, v, key, target, region, verifier.FromCache)
		}
		verdict, err := v.CheckOnBehalf(t.Context(), key.Reveal(), "bob")
		if err != nil || verdict.Caller.OnBehalfOf.ID != "bob" || verdict.Caller.Principal.ID != "p" || verdict.Caller.KeyID != key.ID() {
			t.Errorf("%+v, %v: want both identities", verdict.Caller, err)
		}
		own, err := v.Check(t.Context(), key.Reveal())
		if err != nil || own.Caller.OnBehalfOf != nil || fmt.Sprint(own.Caller.Effective[grant.MemoryRead]) != "[org/acme/*]" {
			t.Errorf("for itself: %+v, %v", own.Caller, err)
		}
	})
	bubble(t, "unknown targets, and keys that open nothing", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		key, dead := r.mint(t), r.mint(t)
		r.revoke(dead)
		r.employ("alice", grant.All())
		settle()
		wantReads(t, v, key, "nobody", "unknown", "")
		questions := len(r.asked())
		for _, target := range []string{"nobody", "", "a\x00b", "\xff", strings.Repeat("x", 129)} {
			wantReads(t, v, key, target, "unknown", "")
		}
		if again := len(r.asked()) - questions; again != 0 {
			t.Errorf("%d questions about what is known to be nobody", again)
		}
		for _, target := range []string{"alice", "nobody", ""} {
			for range 2 {
				if _, err := v.CheckOnBehalf(t.Context(), dead.Reveal(), target); !errors.Is(err, fault.Unauthenticated) {
					t.Errorf("a revoked key on behalf of %q: %v", target, err)
				}
			}
		}
		if _, err := v.CheckOnBehalf(t.Context(), "sp-x", "alice"); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("a malformed key: %v", err)
		}
	})
}

func TestTheCacheAnswersForTargetsUnderALease(t *testing.T) {
	t.Parallel()
	bubble(t, "a revision of the target drops it, be it known or not", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		key, other := r.mint(t), r.mint(t)
		r.employ("alice", over(t, "a/*"))
		r.employ("bob", over(t, "b/*"))
		for _, target := range []string{"alice", "bob", "carol"} {
			reads(t, v, key, target)
			reads(t, v, other, target)
		}
		r.regrant("alice", over(t, "a"))
		r.regrant("carol", over(t, "c"))
		settle()
		wantReads(t, v, key, "alice", "[a]", verifier.FromAuthority)
		wantReads(t, v, other, "alice", "[a]", verifier.FromCache)
		wantReads(t, v, key, "carol", "[c]", verifier.FromAuthority)
		wantReads(t, v, key, "bob", "[b/*]", verifier.FromCache)
		r.set(func() {
			delete(r.people, "bob")
			r.touchLocked(introspection.SubjectPrincipal, "bob")
		})
		settle()
		wantReads(t, v, key, "bob", "unknown", "")
	})
	bubble(t, "the principal of the key, its context, everything", func(t *testing.T) {
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
			r.employ("alice", over(t, "a/*"))
			reads(t, v, key, "alice")
			reads(t, v, key, "nobody")
			wantReads(t, v, key, "alice", "[a/*]", verifier.FromCache)
			r.set(func() {
				r.people["nobody"] = &caller.Principal{ID: "nobody", Grants: over(t, "n")}
				r.touchLocked(subject.kind, subject.id)
			})
			settle()
			wantReads(t, v, key, "alice", "[a/*]", verifier.FromAuthority)
			check(t, v, key) // whatever the subject, the key is known again
			if got, _ := reads(t, v, key, "nobody"); (got == "unknown") != (subject.kind == introspection.SubjectPrincipal) {
				t.Errorf("after a change of the %s one that did not exist reads %s", subject.kind, got)
			}
		}
	})
	bubble(t, "a key does not drop targets", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		key, other := r.mint(t), r.mint(t)
		r.employ("alice", over(t, "a/*"))
		reads(t, v, key, "alice")
		check(t, v, other)
		r.revoke(key)
		settle()
		wantReads(t, v, other, "alice", "[a/*]", verifier.FromCache)
	})
	bubble(t, "another life of the context", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		key, again := r.mint(t), r.mint(t)
		r.set(func() {
			verdict := r.live[again.Digest()]
			verdict.Incarnation = "acme.2"
			r.live[again.Digest()] = verdict
		})
		r.employ("alice", over(t, "a/*"))
		reads(t, v, key, "alice")
		check(t, v, again)
		wantReads(t, v, again, "alice", "[a/*]", verifier.FromAuthority)
	})
}

func TestNoLeaseNoTargets(t *testing.T) {
	t.Parallel()
	bubble(t, "the clock ends the lease", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		key := r.mint(t)
		r.employ("alice", over(t, "a/*"))
		reads(t, v, key, "alice")
		reads(t, v, key, "nobody")
		r.set(func() { r.err = fault.New(fault.AuthorityUnavailable, "cut") })
		time.Sleep(ttl)
		for _, target := range []string{"alice", "nobody"} {
			if _, err := v.CheckOnBehalf(t.Context(), key.Reveal(), target); !errors.Is(err, fault.AuthorityUnavailable) {
				t.Errorf("without a lease, on behalf of %s: %v", target, err)
			}
		}
	})
	bubble(t, "a rejoining verifier catches up first", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		key := r.mint(t)
		r.employ("alice", over(t, "a/*"))
		reads(t, v, key, "alice")
		r.set(func() { r.err, r.silent = fault.New(fault.AuthorityUnavailable, "cut"), true })
		time.Sleep(ttl)
		r.regrant("alice", over(t, "a"))
		r.set(func() { r.err, r.lapsed = nil, true })
		time.Sleep(time.Second)
		wantReads(t, v, key, "alice", "[a]", verifier.FromAuthority)
		r.set(func() { r.silent = false })
		settle()
		if !v.Stats().LeaseValid {
			t.Fatal("no lease")
		}
		if got, _ := reads(t, v, key, "alice"); got != "[a]" {
			t.Errorf("caught up, it reads %s", got)
		}
	})
	bubble(t, "another authority, another history", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		key := r.mint(t)
		r.employ("alice", over(t, "a/*"))
		reads(t, v, key, "alice")
		r.set(func() {
			r.identity, r.lapsed = "a2", true
			r.people["alice"] = &caller.Principal{ID: "alice", Grants: over(t, "a")}
		})
		time.Sleep(3 * time.Second)
		check(t, v, key)
		wantReads(t, v, key, "alice", "[a]", verifier.FromAuthority)
	})
}

// An answer that counts another authority's revisions is not remembered.
func TestNoTargetFromAnotherAuthority(t *testing.T) {
	t.Parallel()
	bubble(t, "restored while the answer was on its way", func(t *testing.T) {
		r := newRegistry()
		key := r.mint(t)
		r.regrant("alice", over(t, "a"))
		r.regrant("alice", over(t, "a/*"))
		v := open(t, r, verifier.Config{})
		settle()
		gate := make(chan struct{})
		r.set(func() { r.gate = gate })
		early := onBehalf(v, key, "alice")
		settle() // its snapshot is taken, at revision 2 of the first authority
		r.set(func() { r.identity, r.events, r.lapsed = "a2", nil, true })
		time.Sleep(3 * time.Second)      // the second one has given a stream and a lease
		r.regrant("alice", over(t, "a")) // at its revision 1
		r.regrant("bob", nil)            // and at 2
		settle()
		close(gate)
		<-early
		check(t, v, key)
		wantReads(t, v, key, "alice", "[a]", verifier.FromAuthority)
	})
}

// onBehalf asks in the background.
func onBehalf(v *verifier.Verifier, key apikey.Key, target string) <-chan reading {
	out := make(chan reading, 1)
	go func() { out <- readsOf(v.CheckOnBehalf(context.Background(), key.Reveal(), target)) }()
	return out
}

func TestAnAnswerAboutATargetOlderThanARevisionIsNotCached(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"alice", "nobody"} {
		bubble(t, target, func(t *testing.T) {
			r := newRegistry()
			v := open(t, r, verifier.Config{})
			settle()
			key := r.mint(t)
			r.employ("alice", over(t, "a/*"))
			check(t, v, key)
			gate := make(chan struct{})
			r.set(func() { r.gate = gate })
			early := onBehalf(v, key, target)
			settle() // its snapshot is taken
			r.regrant(target, over(t, "new"))
			settle() // and the revision is applied
			close(gate)
			if got := <-early; got.region != "[a/*]" && got.region != "unknown" {
				t.Errorf("a request that came before the change reads %s", got.region)
			}
			wantReads(t, v, key, target, "[new]", verifier.FromAuthority)
		})
	}
}

// The rule that a request never joins a question on the wire, for the target of one.
func TestATargetNeverJoinsAQuestionOnTheWire(t *testing.T) {
	t.Parallel()
	bubble(t, "grants taken away", func(t *testing.T) {
		r := newRegistry()
		r.gate = make(chan struct{})
		v := open(t, r, verifier.Config{})
		key := r.mint(t)
		r.employ("alice", over(t, "a/*"))
		before := onBehalf(v, key, "alice")
		settle()                       // the first question is on the wire, its snapshot taken
		second := verify(v, r.mint(t)) // and the second: what arrives now waits
		settle()
		r.regrant("alice", over(t, "a"))
		after, again := onBehalf(v, key, "alice"), onBehalf(v, key, "alice")
		settle()
		close(r.gate)
		if got := <-before; got.region != "[a/*]" {
			t.Errorf("a request before the change reads %s", got.region)
		}
		<-second
		for _, c := range []<-chan reading{after, again} {
			if got := <-c; got.region != "[a]" {
				t.Errorf("a request after the change reads %s", got.region)
			}
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if fmt.Sprint(r.sizes, r.targets) != "[1 1 1] [1 0 1]" {
			t.Errorf("questions of %v keys and %v targets", r.sizes, r.targets)
		}
	})
}

// promote changes what the principal of key may do, with its revision.
func (r *registry) promote(key apikey.Key, principal string, grants grant.Map) {
	r.set(func() {
		verdict := r.live[key.Digest()]
		verdict.Principal = &caller.Principal{ID: principal, Grants: grants}
		r.live[key.Digest()] = verdict
		r.touchLocked(introspection.SubjectPrincipal, principal)
	})
}

// A right that moves from one to the other is never both's: the halves of a caller are of one moment, even where one was read
// ahead of the revisions applied.
func TestTheHalvesOfADelegateAreOfOneMoment(t *testing.T) {
	t.Parallel()
	bubble(t, "from the caller to the target", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		key, other := r.mint(t), r.mint(t)
		r.promote(key, "p", over(t, "x"))
		r.promote(other, "q", over(t, "x"))
		r.employ("alice", grant.Map{})
		settle()
		check(t, v, key)
		r.set(func() { r.silent = true })
		r.promote(key, "p", grant.Map{})
		r.regrant("alice", over(t, "x"))
		wantReads(t, v, other, "alice", "[x]", verifier.FromAuthority) // the target is remembered ahead of the stream
		wantReads(t, v, key, "alice", "[]", verifier.FromAuthority)
		r.set(func() { r.silent = false })
		settle()
		wantReads(t, v, key, "alice", "[]", verifier.FromAuthority)
		wantReads(t, v, key, "alice", "[]", verifier.FromCache)
	})
	bubble(t, "from the target to the caller", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		key, other := r.mint(t), r.mint(t)
		r.promote(key, "p", grant.Map{})
		r.promote(other, "q", over(t, "x"))
		r.employ("alice", over(t, "x"))
		settle()
		wantReads(t, v, other, "alice", "[x]", verifier.FromAuthority)
		r.set(func() { r.silent = true })
		r.regrant("alice", grant.Map{})
		r.promote(key, "p", over(t, "x"))
		check(t, v, key) // the key is remembered ahead of the stream
		wantReads(t, v, key, "alice", "[]", verifier.FromAuthority)
	})
}
