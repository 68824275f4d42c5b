package verifier

import (
	"math/rand/v2"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// acceptedKey is a remembered good key. Only usedMinute changes after it is stored.
type acceptedKey struct {
	digest     apikey.Digest
	caller     caller.Caller
	actor      *actor
	until      time.Duration // since the verifier's epoch
	asOf       int64
	usedMinute atomic.Int32 // since the verifier's epoch; -1 before the first use
}

// refusedKey is a remembered refusal: of one secret per id, the last one asked about.
type refusedKey struct {
	digest apikey.Digest
	until  time.Duration // since the verifier's epoch
}

// actor is what the keys of one principal share. It is gone when the principal is touched.
type actor struct {
	principal *caller.Principal
	effective grant.Map // of a key that inherits
	tenant    *tenant
	keys      int // that are remembered; guarded by the cache's mutex
	gone      atomic.Bool
}

// tenant is what the keys of one context share. It is gone when the context is touched.
type tenant struct {
	context, incarnation string
	blocked              bool // its calls to language models
	actors               int  // guarded by the cache's mutex
	gone                 atomic.Bool
}

type actorID struct{ context, principal string }

// cache remembers verdicts. Looking one up takes no lock; whatever changes it holds the mutex.
type cache struct {
	good store[acceptedKey]
	bad  store[refusedKey]

	mu      sync.Mutex // guards the following fields and every change of the stores
	actors  map[actorID]*actor
	tenants map[string]*tenant
	targets *targets // has a mutex of its own for readers
	history history
	since   time.Duration // what was asked before is not remembered; since the verifier's epoch
}

func newCache(maxGood, maxBad int) *cache {
	return &cache{
		good: newStore(maxGood, func(a, b *acceptedKey) bool { return a.usedMinute.Load() < b.usedMinute.Load() }),
		bad:  newStore(maxBad, func(a, b *refusedKey) bool { return a.until < b.until }),
		// Nothing is known of any revision until the first stream begins, so that nothing read before it is remembered.
		history: history{base: unknown},
		actors:  make(map[actorID]*actor),
		tenants: make(map[string]*tenant),
	}
}

// accepted returns the remembered good key of this digest, if it is still good at now.
func (c *cache) accepted(id keyID, digest *apikey.Digest, now time.Duration) (*acceptedKey, bool) {
	e, ok := c.good.get(id)
	if !ok || now >= e.until || !e.digest.Equal(digest) ||
		e.actor.gone.Load() || e.actor.tenant.gone.Load() {
		return nil, false
	}
	return e, true
}

// refused reports whether this digest is remembered as one that opens nothing.
func (c *cache) refused(id keyID, digest *apikey.Digest, now time.Duration) bool {
	e, ok := c.bad.get(id)
	return ok && now < e.until && e.digest.Equal(digest)
}

// fill sets the callers of q and remembers its verdicts, but for those that a revision has touched which was applied
// after they were read: the revision's drop came too early for them.
func (c *cache) fill(q *question, sent, reread time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fillTargetsLocked(q, sent, reread)
	outdated := func(subject introspection.Event, principal string) bool {
		return sent < c.since || c.history.touched(q.asOf, subject, principal)
	}
	for i, verdict := range q.verdicts {
		// Up to a fifth sooner, so that keys learnt together are not read again together.
		until := sent + reread - rand.N(reread/5+1) //nolint:gosec // jitter, not a secret
		id := idOf(q.ids[i])
		if !verdict.Active || verdict.Principal == nil {
			if !outdated(introspection.Event{ID: q.ids[i]}, "") {
				c.bad.put(id, &slot[refusedKey]{value: refusedKey{digest: q.digests[i], until: until}})
			}
			continue
		}
		subject := introspection.Event{Context: verdict.Context, ID: verdict.KeyID}
		if verdict.KeyID != q.ids[i] || outdated(subject, verdict.Principal.ID) {
			q.callers[i] = verdict.Caller()
			continue
		}
		if verdict.ExpiresInMicros > 0 {
			// Counted from the moment the question was sent, which is before the authority read its clock.
			until = min(until, sent+time.Duration(verdict.ExpiresInMicros)*time.Microsecond)
		}
		q.callers[i] = c.rememberLocked(id, q.digests[i], &verdict, until, q.asOf)
	}
}

func (c *cache) rememberLocked(id keyID, digest apikey.Digest, verdict *introspection.Verdict, until time.Duration, asOf int64) *caller.Caller {
	a := c.actorLocked(verdict)
	a.keys++
	fresh := &slot[acceptedKey]{value: acceptedKey{
		digest: digest, actor: a, until: until, asOf: asOf,
		caller: caller.Caller{
			Context: a.tenant.context, Incarnation: a.tenant.incarnation,
			KeyID: verdict.KeyID, KeyName: verdict.KeyName,
			Principal: a.principal, KeyGrants: verdict.KeyGrants, Effective: a.effective, Blocked: a.tenant.blocked,
		},
	}}
	if verdict.KeyGrants != nil {
		fresh.value.caller.Effective = grant.Effective(a.principal.Grants, verdict.KeyGrants)
	}
	fresh.value.usedMinute.Store(-1)
	c.releaseLocked(c.good.put(id, fresh))
	c.bad.remove(id)
	return &fresh.value.caller
}

// actorLocked returns what the keys of the verdict's principal share. When the principal or the context looks otherwise
// than it is remembered, the remembered one goes at once: the revision that will say so may find only the new one.
func (c *cache) actorLocked(verdict *introspection.Verdict) *actor {
	t := c.tenants[verdict.Context]
	if t == nil || t.incarnation != verdict.Incarnation || t.blocked != verdict.Blocked {
		if t != nil {
			t.gone.Store(true)
		}
		t = &tenant{context: verdict.Context, incarnation: verdict.Incarnation, blocked: verdict.Blocked}
		c.tenants[verdict.Context] = t
	}
	id := actorID{verdict.Context, verdict.Principal.ID}
	a := c.actors[id]
	if a == nil || a.tenant != t || !reflect.DeepEqual(a.principal, verdict.Principal) {
		if a != nil {
			a.gone.Store(true)
		}
		a = &actor{principal: verdict.Principal, effective: grant.Effective(verdict.Principal.Grants, nil), tenant: t}
		t.actors++
		c.actors[id] = a
	}
	return a
}

// releaseLocked forgets what only e, which has left the store, was using.
func (c *cache) releaseLocked(e *acceptedKey) {
	if e == nil {
		return
	}
	a := e.actor
	if a.keys--; a.keys > 0 {
		return
	}
	id := actorID{a.tenant.context, a.principal.ID}
	if c.actors[id] == a {
		delete(c.actors, id)
	}
	if a.tenant.actors--; a.tenant.actors == 0 && c.tenants[a.tenant.context] == a.tenant {
		delete(c.tenants, a.tenant.context)
	}
}

// drop forgets everything that a revision touched.
func (c *cache) drop(e introspection.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.history.add(e)
	c.targets.drop(e)
	switch e.Kind {
	case introspection.SubjectKey:
		id := idOf(e.ID)
		c.releaseLocked(c.good.remove(id))
		c.bad.remove(id)
	case introspection.SubjectPrincipal:
		if a := c.actors[actorID{e.Context, e.ID}]; a != nil {
			a.gone.Store(true)
			delete(c.actors, actorID{e.Context, e.ID})
		}
	case introspection.SubjectContext:
		if t := c.tenants[e.Context]; t != nil {
			t.gone.Store(true)
			delete(c.tenants, e.Context)
		}
		c.bad.clear()
	case introspection.SubjectDeployment:
		c.clearLocked()
	default:
		// A later release may touch what this one does not know: everything, to be safe.
		c.clearLocked()
	}
}

// reset begins again at now: what happened up to the given revision is not known. An answer that is still on its way may
// count revisions of another history, so it must not be compared with this one.
func (c *cache) reset(revision int64, now time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.history, c.since = history{base: revision}, now
	c.clearLocked()
}

// forget forgets the verdicts, and what is on its way at now, but no revision.
func (c *cache) forget(now time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.since = now
	c.clearLocked()
}

func (c *cache) clearLocked() {
	c.good.clear()
	c.bad.clear()
	c.targets.clear()
	clear(c.actors)
	clear(c.tenants)
}
