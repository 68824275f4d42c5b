package verifier

import (
	"hash/maphash"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
)

// store is a bounded map from the ids of keys to what is remembered of them. A key has one live secret at a time, so a store
// by id holds as much as one by digest, and a revision that touches a key finds its entry at once.
//
// It exists because a look-up among a million keys costs what it waits for memory. Everything that a hit needs lies in one
// place of 64 bytes, which is found by open addressing and so without reading anything cold before it, and early enough that
// hashing the key takes place meanwhile.
//
// find takes no lock; everything else is called under the cache's mutex.
type store struct {
	segments [segments]atomic.Pointer[table]
	limit    int
	count    int
}

// segments bounds how much is copied at once when a store grows: one part in so many.
const segments = 256

// table is a part of a store. It is replaced, never enlarged.
type table struct {
	places []place
	live   int // places that hold something
	taken  int // places that hold something or did
}

// place is written once: first everything else, then verdict, which lets readers see it. From then on only the atomic fields
// change, and verdict only once more, when it is dropped. The size is that of a cache line.
type place struct {
	verdict    atomic.Pointer[worth] // nil while the place is free, dropped when it has been used
	digest     apikey.Digest
	owner      *actor
	until      time.Duration // since the verifier's epoch
	usedMinute atomic.Int32  // since the verifier's epoch; never before the first use
	tag        uint32
}

// worth is what a key is worth. It does not change.
type worth struct {
	caller caller.Caller
	asOf   int64
}

// dropped stands in a place whose entry is gone. A new entry goes elsewhere, so that nobody reads what is being written.
var dropped = new(worth)

const (
	never = -1
	// samples is how many random entries compete to be evicted: near to the least recently used, without a list to
	// maintain on every hit.
	samples = 5
	// A new table has loose places for each key, and is replaced when fewer than tight are left.
	loose, tight = 1.7, 1.33
)

// hashed is the hash of a key's id. It is seeded, so that nobody can think of ids that crowd one part of a store.
type hashed uint64

var seed = maphash.MakeSeed()

func hashOf(id string) hashed { return hashed(maphash.String(seed, id)) }

// tag stands for the id in its segment. Should another id have the same one, as two of a million may, then one evicts the
// other.
func (h hashed) tag() uint32 { return uint32(h >> 32) } //nolint:gosec // the upper half

func (s *store) segment(h hashed) *atomic.Pointer[table] { return &s.segments[h%segments] }

// home is where the search for a tag begins.
func (t *table) home(tag uint32) int { return int(uint64(tag) * uint64(len(t.places)) >> 32) } //nolint:gosec // an index

// prefetch begins to fetch what find will read, and does not wait for it.
func (s *store) prefetch(h hashed) {
	if t := s.segment(h).Load(); t != nil {
		prefetch(&t.places[t.home(h.tag())])
	}
}

// find returns the place of an id and what it holds.
func (s *store) find(h hashed) (*place, *worth) {
	t := s.segment(h).Load()
	if t == nil {
		return nil, nil
	}
	tag := h.tag()
	for i := t.home(tag); ; i++ { // ends at a free place: there are always some
		if i == len(t.places) {
			i = 0
		}
		p := &t.places[i]
		verdict := p.verdict.Load()
		if verdict == nil {
			return nil, nil
		}
		if p.tag == tag && verdict != dropped {
			return p, verdict
		}
	}
}

// entry is what goes into a place.
type entry struct {
	verdict *worth
	digest  *apikey.Digest
	owner   *actor
	until   time.Duration
	minute  int32
}

// put stores e and returns the owner of what had to go for it, if anything: its predecessor, or a victim.
func (s *store) put(h hashed, e *entry) (gone *actor) {
	if gone = s.remove(h); gone == nil && s.count >= s.limit {
		gone = s.evict()
	}
	t := s.segment(h).Load()
	if t == nil || float64(len(t.places)) < tight*float64(t.taken+1) {
		t = t.successor()
		s.segment(h).Store(t)
	}
	t.add(h.tag(), e)
	s.count++
	return gone
}

// successor returns a table of the same entries with room for more.
func (t *table) successor() *table {
	if t == nil {
		return &table{places: make([]place, 4)}
	}
	next := &table{places: make([]place, max(4, int(loose*float64(t.live+1))))}
	for i := range t.places {
		p := &t.places[i]
		if verdict := p.verdict.Load(); verdict != nil && verdict != dropped {
			next.add(p.tag, &entry{verdict, &p.digest, p.owner, p.until, p.usedMinute.Load()})
		}
	}
	return next
}

func (t *table) add(tag uint32, e *entry) {
	i := t.home(tag)
	for t.places[i].verdict.Load() != nil {
		if i++; i == len(t.places) {
			i = 0
		}
	}
	p := &t.places[i]
	p.digest, p.owner, p.until, p.tag = *e.digest, e.owner, e.until, tag
	p.usedMinute.Store(e.minute)
	p.verdict.Store(e.verdict)
	t.live++
	t.taken++
}

// remove returns the owner of what was removed, or nil.
func (s *store) remove(h hashed) *actor {
	p, verdict := s.find(h)
	if verdict == nil {
		return nil
	}
	return s.drop(s.segment(h).Load(), p)
}

func (s *store) drop(t *table, p *place) *actor {
	p.verdict.Store(dropped)
	t.live--
	s.count--
	return p.owner
}

// evict drops one of a few random entries, the one that has not been used for longest. The store must not be empty.
func (s *store) evict() *actor {
	t, best := s.random()
	for range samples - 1 {
		if other, p := s.random(); p.usedMinute.Load() < best.usedMinute.Load() {
			t, best = other, p
		}
	}
	return s.drop(t, best)
}

func (s *store) random() (*table, *place) {
	i := rand.IntN(segments) //nolint:gosec // no secret
	t := s.segments[i].Load()
	for t == nil || t.live == 0 {
		i = (i + 1) % segments
		t = s.segments[i].Load()
	}
	for i = rand.IntN(len(t.places)); ; i = (i + 1) % len(t.places) { //nolint:gosec // no secret
		if verdict := t.places[i].verdict.Load(); verdict != nil && verdict != dropped {
			return t, &t.places[i]
		}
	}
}

func (s *store) clear() {
	for i := range s.segments {
		s.segments[i].Store(nil)
	}
	s.count = 0
}
