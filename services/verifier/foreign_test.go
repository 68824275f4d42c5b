package verifier_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/verifier"
)

// foreign is a key that another system has made.
type foreign string

func (f foreign) Reveal() string { return string(f) }

// adoptLocked makes f a key with that id, without a revision. Call it within set.
func (r *registry) adoptLocked(f foreign, id string) {
	r.imported = true
	r.live[apikey.DigestOf(string(f))] = introspection.Verdict{
		Active: true, Context: "acme", Incarnation: "acme.1", KeyID: id, KeyName: "k",
		Principal: &caller.Principal{ID: "p", Grants: grant.All()},
	}
}

// adopt imports f and returns its id.
func (r *registry) adopt(f foreign) string {
	id := apikey.NewImportedID()
	r.set(func() {
		r.adoptLocked(f, id)
		r.touchLocked(introspection.SubjectImports, "")
	})
	return id
}

// disown takes f away, with the revision of its id.
func (r *registry) disown(f foreign, id string) {
	r.set(func() {
		delete(r.live, apikey.DigestOf(string(f)))
		r.touchLocked(introspection.SubjectKey, id)
	})
}

func wantRefused(t *testing.T, v *verifier.Verifier, key credential, when string) {
	t.Helper()
	if source, ok := check(t, v, key); ok {
		t.Errorf("%s: accepted from %q", when, source)
	}
}

const text foreign = "another-system_0123456789"

func TestForeignKeys(t *testing.T) {
	t.Parallel()
	bubble(t, "nobody is asked before the first import, and its answer comes behind all refusals", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		wantRefused(t, v, text, "before the import")
		if n := len(r.asked()); n != 0 {
			t.Errorf("%d questions while nothing had been imported", n)
		}
		r.adopt("another-system_9876543210")
		settle()
		wantRefused(t, v, text, "another was imported")
		wantRefused(t, v, text, "another was imported")
		if got := v.Stats().NegativeHits; got != 1 {
			t.Errorf("%d refusals from memory, want 1", got)
		}
		r.adopt(text)
		settle()
		wantCached(t, v, text)
	})
	bubble(t, "revoked, enabled and revoked again", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		id := r.adopt(text)
		settle()
		for range 2 {
			wantCached(t, v, text)
			r.disown(text, id)
			settle()
			wantRefused(t, v, text, "revoked")
			wantRefused(t, v, text, "revoked")
			r.set(func() {
				r.adoptLocked(text, id)
				r.touchLocked(introspection.SubjectKey, id)
			})
			settle()
		}
		wantCached(t, v, text)
		for _, kind := range []introspection.SubjectKind{introspection.SubjectPrincipal, introspection.SubjectContext, introspection.SubjectDeployment} {
			r.set(func() { r.touchLocked(kind, "p") })
			settle()
			if source, ok := check(t, v, text); !ok || source != verifier.FromAuthority {
				t.Errorf("after a change of the %s: accepted %t from %q", kind, ok, source)
			}
		}
	})
	bubble(t, "a revision overtakes the answer", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		id := r.adopt(text)
		settle()
		gate := make(chan struct{})
		r.set(func() { r.gate = gate })
		done := make(chan struct{})
		go func() { defer close(done); _, _ = v.Check(t.Context(), string(text)) }()
		settle()
		r.disown(text, id)
		r.set(func() { r.gate = nil })
		settle()
		close(gate)
		<-done
		wantRefused(t, v, text, "its verdict was read before the revocation")
	})
}

// The id of a rotated key stays, so its new text may be known before the revision is that makes the old one worthless.
func TestARotatedForeignKeyIsWorthNothing(t *testing.T) {
	t.Parallel()
	bubble(t, "the new text is in memory", func(t *testing.T) { rotateUnheard(t, 0) })
	bubble(t, "or has left it before the old one", func(t *testing.T) {
		for range 50 { // who leaves is random
			rotateUnheard(t, 3)
		}
	})
}

// rotateUnheard rotates a foreign key while the stream is silent, shows the new text and so many other keys, and lets the verifier hear.
func rotateUnheard(t *testing.T, others int) {
	t.Helper()
	r := newRegistry()
	v := open(t, r, verifier.Config{MaxKeys: 4})
	settle()
	id := r.adopt(text)
	settle()
	wantCached(t, v, text)
	rotated, err := apikey.Mint(id)
	if err != nil {
		t.Fatal(err)
	}
	r.set(func() {
		r.silent = true
		verdict := r.live[apikey.DigestOf(string(text))]
		delete(r.live, apikey.DigestOf(string(text)))
		r.live[rotated.Digest()] = verdict
		r.touchLocked(introspection.SubjectKey, id)
	})
	wantCached(t, v, rotated)
	for range others {
		check(t, v, r.mint(t))
	}
	r.set(func() { r.silent = false })
	settle()
	if got := r.acknowledged(); got != 2 {
		t.Fatalf("acknowledged %d, want the rotation", got)
	}
	wantRefused(t, v, text, "rotated")
	wantCached(t, v, rotated)
	v.Close()
}

func TestAnotherAuthoritySaysWhetherKeysWereImported(t *testing.T) {
	t.Parallel()
	bubble(t, "the other way round", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		r.adopt(text)
		settle()
		wantCached(t, v, text)
		r.set(func() { r.identity, r.imported, r.live = "a2", false, map[apikey.Digest]introspection.Verdict{} })
		time.Sleep(ttl)
		asked := len(r.asked())
		wantRefused(t, v, text, "another authority, that has no imported keys")
		if n := len(r.asked()) - asked; n != 0 {
			t.Errorf("%d questions", n)
		}
		r.set(func() { r.identity = "a3"; r.adoptLocked(text, apikey.NewImportedID()) })
		time.Sleep(ttl)
		wantCached(t, v, text)
	})
	bubble(t, "an event of a later release", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		wantRefused(t, v, text, "before")
		r.set(func() {
			r.adoptLocked(text, apikey.NewImportedID())
			r.touchLocked("of a later release", "")
		})
		settle()
		wantCached(t, v, text)
	})
}

// Without a lease nothing is known of foreign texts: neither what they were worth nor that there are none.
func TestNoLeaseNoForeignKeys(t *testing.T) {
	t.Parallel()
	bubble(t, "what was remembered is asked about", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		id := r.adopt(text)
		r.employ("alice", over(t, "org/*"))
		settle()
		wantCached(t, v, text)
		if _, err := v.CheckOnBehalf(t.Context(), string(text), "alice"); err != nil {
			t.Fatal(err)
		}
		r.set(func() { r.refuse, r.silent = true, true })
		time.Sleep(ttl)
		r.disown(text, id) // of which this verifier does not hear
		wantRefused(t, v, text, "revoked while there was no lease")
		if _, err := v.CheckOnBehalf(t.Context(), string(text), "alice"); !errors.Is(err, fault.Unauthenticated) {
			t.Errorf("for another, revoked while there was no lease: %v", err)
		}
		r.set(func() { r.err = fault.New(fault.AuthorityUnavailable, "cut") })
		if _, err := v.Check(t.Context(), string(text)); !errors.Is(err, fault.AuthorityUnavailable) {
			t.Errorf("nobody can be asked: %v", err)
		}
	})
	bubble(t, "an import is not missed", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		wantRefused(t, v, text, "before the import")
		r.set(func() { r.refuse, r.silent = true, true })
		time.Sleep(ttl)
		r.adopt(text)
		if source, ok := check(t, v, text); !ok || source != verifier.FromAuthority {
			t.Errorf("imported while there was no lease: accepted %t from %q", ok, source)
		}
	})
	bubble(t, "a closed verifier knows none", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		r.adopt(text)
		settle()
		wantCached(t, v, text)
		v.Close()
		if _, err := v.Check(t.Context(), string(text)); !errors.Is(err, fault.AuthorityUnavailable) {
			t.Errorf("closed: %v", err)
		}
	})
}

// A foreign text is found by the ids that imported keys have. Were a verdict of another id remembered under it, no revision of that id
// would find it.
func TestAForeignTextOfAnotherIDIsNotRemembered(t *testing.T) {
	t.Parallel()
	bubble(t, "an id of ours", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		id := apikey.NewID()
		for apikey.IsImportedID(id) {
			id = apikey.NewID()
		}
		r.set(func() {
			r.adoptLocked(text, id)
			r.touchLocked(introspection.SubjectImports, "")
		})
		settle()
		for range 2 {
			if source, ok := check(t, v, text); !ok || source != verifier.FromAuthority {
				t.Errorf("accepted %t from %q, want the authority asked each time", ok, source)
			}
		}
		r.disown(text, id)
		settle()
		wantRefused(t, v, text, "revoked")
	})
}

func TestARememberedForeignKey(t *testing.T) {
	t.Parallel()
	bubble(t, "ends when it did", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		r.adopt(text)
		r.set(func() {
			verdict := r.live[apikey.DigestOf(string(text))]
			verdict.ExpiresInMicros = time.Minute.Microseconds()
			r.live[apikey.DigestOf(string(text))] = verdict
		})
		settle()
		first, err := v.Check(t.Context(), string(text))
		if err != nil {
			t.Fatal(err)
		}
		again, err := v.Check(t.Context(), string(text))
		if err != nil || again.Source != verifier.FromCache || again.Ends.IsZero() || !again.Ends.Equal(first.Ends) {
			t.Errorf("from %q it ends at %v, %v; first at %v", again.Source, again.Ends, err, first.Ends)
		}
	})
	bubble(t, "acts for others from memory", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		id := r.adopt(text)
		r.employ("alice", over(t, "org/*"))
		settle()
		for _, source := range []verifier.Source{verifier.FromAuthority, verifier.FromCache} {
			if got := readsOf(v.CheckOnBehalf(t.Context(), string(text), "alice")); got != (reading{"[org/*]", source}) {
				t.Errorf("%+v, want it from %q", got, source)
			}
		}
		r.disown(text, id)
		settle()
		for range 2 {
			if _, err := v.CheckOnBehalf(t.Context(), string(text), "alice"); err == nil {
				t.Error("a revoked one acts for others")
			}
		}
	})
	bubble(t, "takes no more memory than others", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{MaxKeys: 8, MaxRefused: 8})
		settle()
		ids := make(map[foreign]string)
		for n := range 100 {
			f := foreign(fmt.Sprintf("another-system_%08d", n))
			ids[f] = r.adopt(f)
			settle()
			wantCached(t, v, f)
		}
		if got := v.ForeignLen(); got > 8 {
			t.Errorf("%d foreign keys are remembered, of 8 keys at the most", got)
		}
		for f, id := range ids { // whichever are remembered
			r.disown(f, id)
		}
		settle()
		for f := range ids {
			wantRefused(t, v, f, "revoked")
		}
		if got := v.ForeignLen(); got != 0 {
			t.Errorf("%d foreign keys are remembered, of none", got)
		}
	})
}
