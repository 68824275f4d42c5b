package verifier

import (
	"math/rand/v2"

	"github.com/puzpuzpuz/xsync/v4"
)

// keyID is the id in a key's text. A key has one live secret at a time, so a store by id holds as much as one by digest, and
// a revision that touches a key finds its entry at once.
type keyID [16]byte

func idOf(text string) (id keyID) {
	copy(id[:], text)
	return id
}

// store is a bounded map. get takes no lock; everything else is called under the cache's mutex.
type store[V any] struct {
	entries *xsync.Map[keyID, *slot[V]]
	order   []keyID // every id once; the place of its slot is its index
	limit   int
	older   func(a, b *V) bool // which of two to evict
}

type slot[V any] struct {
	value V
	place int
}

// samples is how many random entries compete to be evicted: near to the least recently used, without a list to maintain
// on every hit.
const samples = 5

func newStore[V any](limit int, older func(a, b *V) bool) store[V] {
	return store[V]{entries: xsync.NewMap[keyID, *slot[V]](), limit: limit, older: older}
}

func (s *store[V]) get(id keyID) (*V, bool) {
	found, ok := s.entries.Load(id)
	if !ok {
		return nil, false
	}
	return &found.value, true
}

// put stores value and returns what had to go for it, if anything: its predecessor, or a victim.
func (s *store[V]) put(id keyID, fresh *slot[V]) (gone *V) {
	if before, ok := s.entries.Load(id); ok {
		fresh.place = before.place
		s.entries.Store(id, fresh)
		return &before.value
	}
	if len(s.order) >= s.limit {
		gone = s.remove(s.victim())
	}
	fresh.place = len(s.order)
	s.order = append(s.order, id)
	s.entries.Store(id, fresh)
	return gone
}

func (s *store[V]) victim() keyID {
	best := s.order[rand.IntN(len(s.order))] //nolint:gosec // a sample, not a secret
	bestValue, _ := s.get(best)
	for range samples - 1 {
		id := s.order[rand.IntN(len(s.order))] //nolint:gosec // a sample, not a secret
		if value, _ := s.get(id); s.older(value, bestValue) {
			best, bestValue = id, value
		}
	}
	return best
}

// remove returns what was removed, or nil.
func (s *store[V]) remove(id keyID) *V {
	found, ok := s.entries.LoadAndDelete(id)
	if !ok {
		return nil
	}
	last := len(s.order) - 1
	if moved := s.order[last]; moved != id {
		s.order[found.place] = moved
		if other, ok := s.entries.Load(moved); ok {
			other.place = found.place
		}
	}
	s.order = s.order[:last]
	return &found.value
}

func (s *store[V]) clear() {
	s.entries.Clear()
	s.order = nil
}
