package verifier

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// target is a remembered principal that a key acted for, or wanted to. It does not change once it is remembered.
type target struct {
	context, incarnation, id string
	principal                *caller.Principal // nil when there is none of this id
	until                    time.Duration     // since the verifier's epoch
	asOf                     int64
}

// targets remembers principals that keys act for. What may be remembered is decided under the cache's mutex, as it is for
// keys; the mutex here only keeps readers and the one writer apart.
type targets struct {
	mu sync.RWMutex // guards the following fields
	// Those that do not exist are kept apart, so that made-up ids cannot evict good ones.
	known, unknown targetStore
}

// targetStore is a bounded set of targets.
type targetStore struct {
	byContext map[string]map[string]*targetSlot // by the ids of the context and of the principal
	order     []*targetSlot                     // each once; the place of a slot is its index
	limit     int
}

type targetSlot struct {
	target
	place int
}

func newTargets(limit int) *targets {
	t := new(targets)
	for _, s := range []*targetStore{&t.known, &t.unknown} {
		s.limit, s.byContext = limit, make(map[string]map[string]*targetSlot)
	}
	return t
}

// find returns the target of this id in this life of a context, if it is remembered and still good at now.
func (t *targets) find(contextID, incarnation, id string, now time.Duration) (target, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, s := range []*targetStore{&t.known, &t.unknown} {
		if slot := s.byContext[contextID][id]; slot != nil && slot.incarnation == incarnation && now < slot.until {
			return slot.target, true
		}
	}
	return target{}, false
}

// put remembers fresh instead of whatever was remembered of it.
func (t *targets) put(fresh target) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known.remove(fresh.context, fresh.id)
	t.unknown.remove(fresh.context, fresh.id)
	if fresh.principal == nil {
		t.unknown.put(fresh)
	} else {
		t.known.put(fresh)
	}
}

// drop forgets everything that a revision touched.
func (t *targets) drop(e introspection.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range []*targetStore{&t.known, &t.unknown} {
		switch e.Kind {
		case introspection.SubjectKey, introspection.SubjectImports: // principals are not keys
		case introspection.SubjectPrincipal:
			s.remove(e.Context, e.ID)
		case introspection.SubjectContext:
			for id := range s.byContext[e.Context] {
				s.remove(e.Context, id)
			}
		case introspection.SubjectDeployment:
			s.clear()
		default:
			s.clear()
		}
	}
}

func (t *targets) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known.clear()
	t.unknown.clear()
}

func (t *targets) len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.known.order) + len(t.unknown.order)
}

// put adds a target that is not there. When the store is full, any other goes for it: each is read again within minutes anyway.
func (s *targetStore) put(fresh target) {
	if len(s.order) >= s.limit {
		victim := s.order[rand.IntN(len(s.order))] //nolint:gosec // a sample, not a secret
		s.remove(victim.context, victim.id)
	}
	slot := &targetSlot{fresh, len(s.order)}
	s.order = append(s.order, slot)
	if s.byContext[fresh.context] == nil {
		s.byContext[fresh.context] = make(map[string]*targetSlot)
	}
	s.byContext[fresh.context][fresh.id] = slot
}

func (s *targetStore) remove(contextID, id string) {
	slot := s.byContext[contextID][id]
	if slot == nil {
		return
	}
	last := len(s.order) - 1
	s.order[slot.place] = s.order[last]
	s.order[slot.place].place = slot.place
	s.order[last] = nil
	s.order = s.order[:last]
	if delete(s.byContext[contextID], id); len(s.byContext[contextID]) == 0 {
		delete(s.byContext, contextID)
	}
}

func (s *targetStore) clear() {
	clear(s.byContext)
	s.order = nil
}

// fillTargetsLocked remembers the answers about the principals of q, but for those that a revision has touched which was
// applied after they were read.
func (c *cache) fillTargetsLocked(q *question, sent, reread time.Duration) {
	for i, asked := range q.targets {
		verdict := &q.verdicts[asked.Key]
		if !verdict.Active {
			continue // nothing was said about a principal
		}
		if sent < c.since || c.history.touched(q.asOf, introspection.Event{Context: verdict.Context}, asked.Principal) {
			continue
		}
		c.targets.put(target{
			context: verdict.Context, incarnation: verdict.Incarnation, id: asked.Principal, principal: q.principals[i],
			// Up to a fifth sooner, as for keys.
			until: sent + reread - rand.N(reread/5+1), //nolint:gosec // jitter, not a secret
			asOf:  q.asOf,
		})
	}
}
