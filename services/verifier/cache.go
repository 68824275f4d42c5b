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

// actor is what the keys of one principal share.
type actor struct {
	principal *caller.Principal
	effective grant.Map // of a key that inherits
	tenant    *tenant
	keys      int // that are remembered; guarded by the cache's mutex
	// What the latest key has that does not inherit, for the next one that has the same, as nearly all tokens of an account do.
	own struct{ grants, effective grant.Map } // guarded by the cache's mutex
	// gone is set once, when the principal or its context is touched, and then the keys are worth nothing. Each hit reads it,
	// so it is not in the actor: the flags of sixteen share a cache line, and those of a thousand stay in the processor. It
	// never becomes another actor's.
	gone *atomic.Bool
}

// tenant is what the keys of one context share.
type tenant struct {
	context, incarnation string
	blocked              bool              // its calls to language models
	actors               map[string]*actor // by the principal's id; guarded by the cache's mutex
}

// cache remembers verdicts. Looking one up takes no lock; whatever changes it holds the mutex.
type cache struct {
	good, bad *store
	// imported says that there may be foreign keys. It is as fresh as what is remembered: worth something under a lease.
	imported atomic.Bool

	mu      sync.Mutex         // guards the following fields and every change of the stores
	tenants map[string]*tenant // by the context's id
	flags   []atomic.Bool      // for the next actors
	targets *targets           // has a mutex of its own for readers
	// Where foreign keys are, by their ids, which are not in their texts.
	foreign map[string]hashed
	history history
	since   time.Duration // what was asked before is not remembered; since the verifier's epoch
	// counted is told how often keys were used whose entries go; nil for nobody.
	counted func(id string, uses int64)
	// The nameless keys that were used in a minute: one for each context at the most.
	nameless struct {
		minute int32
		used   map[string]bool
	}
}

// refusal is what is remembered of a key that opens nothing. It has no actor that could be gone.
var (
	refusal = new(worth)
	present = new(atomic.Bool)
)

func newCache(maxGood, maxBad int) *cache {
	return &cache{
		good: newStore(maxGood),
		bad:  newStore(maxBad),
		// Nothing is known of any revision until the first stream begins, so that nothing read before it is remembered.
		history: history{base: unknown},
		tenants: make(map[string]*tenant),
		foreign: make(map[string]hashed),
	}
}

// recall returns what s holds on this digest, if it is still true at now.
func recall(s *store, h hashed, digest *apikey.Digest, now time.Duration) (*place, *worth) {
	p, verdict := s.find(h, digest)
	if verdict == nil || now >= p.until || p.gone.Load() {
		return nil, nil
	}
	return p, verdict
}

// fill sets the callers of q and remembers its verdicts, but for those that a revision has touched which was applied
// after they were read: the revision's drop came too early for them. It returns those that are used for the first time in this
// minute, as far as that is known.
func (c *cache) fill(q *question, sent, reread time.Duration) (used []*caller.Caller) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fillTargetsLocked(q, sent, reread)
	outdated := func(subject introspection.Event, principal string) bool {
		return sent < c.since || c.history.touched(q.asOf, subject, principal)
	}
	minute := minuteOf(sent)
	for i, verdict := range q.verdicts {
		// Up to a fifth sooner, so that keys learnt together are not read again together.
		until := sent + reread - rand.N(reread/5+1) //nolint:gosec // jitter, not a secret
		h := q.credentials[i].hash()
		if !verdict.Active || verdict.Principal == nil {
			if q.credentials[i].id != nameless && !outdated(introspection.Event{ID: q.credentials[i].id}, "") {
				c.bad.put(h, q.credentials[i].id, &entry{refusal, &q.credentials[i].mark, present, until, minute, 0})
			}
			continue
		}
		subject := introspection.Event{Context: verdict.Context, ID: verdict.KeyID}
		if q.credentials[i].id == nameless {
			if q.callers[i] = verdict.Caller(); c.firstOfMinuteLocked(verdict.KeyID, minute) {
				used = append(used, q.callers[i])
			}
			continue
		}
		foreign := q.credentials[i].foreign
		if !foreign && verdict.KeyID != q.credentials[i].id || foreign && !apikey.IsImportedID(verdict.KeyID) || outdated(subject, verdict.Principal.ID) {
			q.callers[i] = verdict.Caller()
			used = append(used, q.callers[i])
			continue
		}
		ends := time.Duration(0)
		if verdict.ExpiresInMicros > 0 {
			// Counted from the moment the question was sent, which is before the authority read its clock.
			ends = sent + time.Duration(verdict.ExpiresInMicros)*time.Microsecond
			until = min(until, ends)
		}
		learnt := worth{asOf: q.asOf, ends: ends}
		who, again := c.rememberLocked(h, &verdict, learnt, &entry{digest: &q.credentials[i].mark, until: until, minute: minute})
		if q.callers[i] = who; !again {
			used = append(used, who)
		}
		if foreign {
			c.foreign[who.KeyID] = h
		}
	}
	return used
}

// firstOfMinuteLocked reports whether a nameless key is used for the first time in this minute.
func (c *cache) firstOfMinuteLocked(id string, minute int32) bool {
	if n := &c.nameless; n.used == nil || n.minute != minute {
		n.minute, n.used = minute, make(map[string]bool)
	}
	first := !c.nameless.used[id]
	c.nameless.used[id] = true
	return first
}

// rememberLocked completes e with what was learnt of a key and its caller, and remembers it. It was used again, if it was remembered
// as used in the same minute.
func (c *cache) rememberLocked(h hashed, verdict *introspection.Verdict, learnt worth, e *entry) (_ *caller.Caller, again bool) {
	a := c.actorLocked(verdict)
	a.keys++
	fresh := &learnt
	fresh.caller = caller.Caller{
		Context: a.tenant.context, Incarnation: a.tenant.incarnation,
		KeyID: verdict.KeyID, KeyName: verdict.KeyName,
		Principal: a.principal, KeyGrants: verdict.KeyGrants, Effective: a.effective, Limits: verdict.Limits,
	}
	if a.tenant.blocked {
		fresh.caller.Limits = verdict.Limits.Stopped()
	}
	if verdict.KeyGrants != nil {
		if !reflect.DeepEqual(a.own.grants, verdict.KeyGrants) {
			a.own.grants, a.own.effective = verdict.KeyGrants, a.principal.Effective(verdict.KeyGrants)
		}
		fresh.caller.KeyGrants, fresh.caller.Effective = a.own.grants, a.own.effective
	}
	if verdict.KeyName == verdict.KeyID { // as a token's: then one of the two suffices
		fresh.caller.KeyName = verdict.KeyID
	}
	e.verdict, e.gone = fresh, a.gone
	out := c.good.put(h, verdict.KeyID, e)
	c.releaseLocked(out)
	c.bad.remove(h, verdict.KeyID)
	again = out.verdict != nil && out.verdict.caller.KeyID == verdict.KeyID && out.minute == e.minute
	return &fresh.caller, again
}

// actorLocked returns what the keys of the verdict's principal share. When the principal or the context looks otherwise
// than it is remembered, the remembered one goes at once: the revision that will say so may find only the new one.
func (c *cache) actorLocked(verdict *introspection.Verdict) *actor {
	t := c.tenants[verdict.Context]
	if t == nil || t.incarnation != verdict.Incarnation || t.blocked != verdict.Blocked {
		c.dropTenantLocked(t)
		t = &tenant{
			context: verdict.Context, incarnation: verdict.Incarnation, blocked: verdict.Blocked, actors: make(map[string]*actor),
		}
		c.tenants[verdict.Context] = t
	}
	a := t.actors[verdict.Principal.ID]
	if a == nil || !reflect.DeepEqual(a.principal, verdict.Principal) {
		if a != nil {
			a.gone.Store(true)
		}
		a = &actor{principal: verdict.Principal, effective: verdict.Principal.Effective(nil), tenant: t, gone: c.flagLocked()}
		if reflect.DeepEqual(a.effective, a.principal.Grants) { // as nearly always: then one of the two suffices
			a.effective = a.principal.Grants
		}
		t.actors[verdict.Principal.ID] = a
	}
	return a
}

func (c *cache) flagLocked() *atomic.Bool {
	if len(c.flags) == 0 {
		c.flags = make([]atomic.Bool, 16)
	}
	flag := &c.flags[0]
	c.flags = c.flags[1:]
	return flag
}

// releaseLocked forgets the actor of what has left the store of good keys, when that was its last key, and the tenant with its
// last actor.
func (c *cache) releaseLocked(out left) {
	if out.verdict == nil {
		return
	}
	who := &out.verdict.caller
	if out.uses > 0 && c.counted != nil {
		c.counted(who.KeyID, out.uses)
	}
	// By its place: a key that was rotated has a text of ours, too, under the same id.
	if h, known := c.foreign[who.KeyID]; known && h == hashOfDigest(out.digest) {
		delete(c.foreign, who.KeyID)
	}
	t := c.tenants[who.Context]
	if t == nil {
		return
	}
	// By its flag, since another may have come in its place.
	a := t.actors[who.Principal.ID]
	if a == nil || a.gone != out.gone {
		return
	}
	if a.keys--; a.keys > 0 {
		return
	}
	c.dropActorLocked(a)
}

func (c *cache) dropActorLocked(a *actor) {
	if a == nil {
		return
	}
	a.gone.Store(true)
	delete(a.tenant.actors, a.principal.ID)
	if len(a.tenant.actors) == 0 {
		delete(c.tenants, a.tenant.context)
	}
}

func (c *cache) dropTenantLocked(t *tenant) {
	if t == nil {
		return
	}
	for _, a := range t.actors {
		a.gone.Store(true)
	}
	delete(c.tenants, t.context)
}

// drop forgets everything that a revision touched.
func (c *cache) drop(e introspection.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.history.add(e)
	c.targets.drop(e)
	switch e.Kind {
	case introspection.SubjectKey:
		h := hashOf(e.ID)
		c.releaseLocked(c.good.remove(h, e.ID))
		c.bad.remove(h, e.ID)
		if apikey.IsImportedID(e.ID) {
			if h, known := c.foreign[e.ID]; known {
				c.releaseLocked(c.good.remove(h, e.ID))
			}
			c.bad.clear() // nothing tells which refusals are of foreign texts
		}
	case introspection.SubjectImports:
		c.imported.Store(true)
		c.bad.clear()
	case introspection.SubjectPrincipal:
		if t := c.tenants[e.Context]; t != nil {
			c.dropActorLocked(t.actors[e.ID])
		}
	case introspection.SubjectContext:
		c.dropTenantLocked(c.tenants[e.Context])
		c.bad.clear()
	case introspection.SubjectDeployment:
		c.clearLocked()
	default:
		// A later release may touch what this one does not know: everything, to be safe.
		c.imported.Store(true)
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
	clear(c.tenants)
	clear(c.foreign)
}
