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
// find and prefetch take no lock; everything else is called under the cache's mutex.
type store struct {
	directory atomic.Pointer[directory]
	tallies   [segments]tally
	limit     int
	count     int
}

// directory has the parts of a store. It is replaced when one of them is, and never changes. It is small, so that it stays in
// the processor's nearest cache.
type directory [segments]table

// segments bounds how much is copied at once when a store grows: one part in so many.
const segments = 64

// table is a part of a store. It may have no places; otherwise one of them, at least, is free.
type table []place

// tally counts the places of a table.
type tally struct {
	live  int // that hold something
	taken int // that hold something or did
}

// place is written once: first everything else, then verdict, which lets readers see it. From then on only the atomic fields
// change, and verdict only once more, when it is dropped. The size is that of a cache line.
type place struct {
	verdict atomic.Pointer[worth] // nil while the place is free, dropped when it has been used
	digest  apikey.Digest         // of a token its mark
	gone    *atomic.Bool          // of the actor, see there
	until   time.Duration         // since the verifier's epoch
	footing atomic.Uint64         // a footing; its minute is since the verifier's epoch
}

// worth is what a key is worth. It does not change.
type worth struct {
	caller caller.Caller
	asOf   int64
	ends   time.Duration // when the key expires, since the verifier's epoch; 0: never
}

// dropped stands in a place whose entry is gone. A new entry goes elsewhere, so that nobody reads what is being written.
var dropped = new(worth)

const (
	// samples is how many random entries compete to be evicted: near to the least recently used, without a list to
	// maintain on every hit.
	samples = 5
	// A new table has loose places for each key, and is replaced when fewer than tight are left.
	loose, tight = 1.35, 1.2
)

// hashed is the hash of a key's id. It is seeded, so that nobody can think of ids that crowd one part of a store.
type hashed uint64

var seed = maphash.MakeSeed()

func hashOf(id string) hashed {
	if len(id) == apikey.TokenIDLen {
		return hashOfTokenID(id)
	}
	return hashed(maphash.String(seed, id))
}

// tag stands for the id in its segment. Few ids of a million share one.
func (h hashed) tag() uint32 { return uint32(h >> (64 - tagBits)) }

func (h hashed) segment() int { return int(h % segments) }

// home is where the search for a tag begins.
func (t table) home(tag uint32) int { return int(uint64(tag) * uint64(len(t)) >> tagBits) }

// prefetch begins to fetch what find will read, and does not wait for it.
func (s *store) prefetch(h hashed) {
	if t := s.directory.Load()[h.segment()]; len(t) > 0 {
		prefetch(&t[t.home(h.tag())])
	}
}

// find returns the place that holds digest under an id, and what that is worth.
func (s *store) find(h hashed, digest *apikey.Digest) (*place, *worth) {
	t, tag := s.directory.Load()[h.segment()], h.tag()
	if len(t) == 0 {
		return nil, nil
	}
	for i := t.home(tag); ; i = t.next(i) {
		p := &t[i]
		verdict := p.verdict.Load()
		if verdict == nil {
			return nil, nil
		}
		if footing(p.footing.Load()).tag() == tag && verdict != dropped && p.digest.Equal(digest) {
			return p, verdict
		}
	}
}

// next is where the search goes on. It ends at a free place, of which there are always some.
func (t table) next(i int) int {
	if i++; i < len(t) {
		return i
	}
	return 0
}

func newStore(limit int) *store {
	s := &store{limit: limit}
	s.clear()
	return s
}

// entry is what goes into a place.
type entry struct {
	verdict *worth
	digest  *apikey.Digest
	gone    *atomic.Bool
	until   time.Duration
	minute  int32
	count   uint64 // of uses, see footing
}

// left is what has left a store. It is zero when nothing has.
type left struct {
	verdict *worth
	digest  *apikey.Digest
	gone    *atomic.Bool
	minute  int32 // in which it was used
	uses    int64 // that have not been harvested, about
}

// put stores e and returns what had to go for it, if anything: its predecessor, or a victim.
func (s *store) put(h hashed, id string, e *entry) (out left) {
	if out = s.remove(h, id); out.verdict == nil && s.count >= s.limit {
		out = s.evict()
	}
	segment, tally := h.segment(), &s.tallies[h.segment()]
	t := s.directory.Load()[segment]
	if float64(len(t)) < tight*float64(tally.taken+1) {
		t = t.successor(tally.live)
		tally.taken = tally.live
		s.install(segment, t)
	}
	t.add(h.tag(), e)
	tally.live++
	tally.taken++
	s.count++
	return out
}

func (s *store) install(segment int, t table) {
	next := *s.directory.Load()
	next[segment] = t
	s.directory.Store(&next)
}

// successor returns a table of the same entries, of which there are live, with room for more.
func (t table) successor(live int) table {
	next := make(table, max(4, int(loose*float64(live+1))))
	for i := range t {
		p := &t[i]
		if verdict := p.verdict.Load(); verdict != nil && verdict != dropped {
			f := footing(p.footing.Load())
			next.add(f.tag(), &entry{verdict, &p.digest, p.gone, p.until, f.minute(), f.count()})
		}
	}
	return next
}

func (t table) add(tag uint32, e *entry) {
	i := t.home(tag)
	for t[i].verdict.Load() != nil {
		i = t.next(i)
	}
	p := &t[i]
	p.digest, p.gone, p.until = *e.digest, e.gone, e.until
	p.footing.Store(uint64(newFooting(tag, e.minute, e.count)))
	p.verdict.Store(e.verdict)
}

// remove returns what it removed. Nothing tells refusals of the same tag apart, so they go together.
func (s *store) remove(h hashed, id string) (out left) {
	t, tag := s.directory.Load()[h.segment()], h.tag()
	if len(t) == 0 {
		return out
	}
	for i := t.home(tag); ; i = t.next(i) {
		p := &t[i]
		verdict := p.verdict.Load()
		if verdict == nil {
			return out
		}
		if footing(p.footing.Load()).tag() == tag && verdict != dropped && (verdict == refusal || verdict.caller.KeyID == id) {
			out = s.drop(h.segment(), p)
		}
	}
}

func (s *store) drop(segment int, p *place) left {
	s.tallies[segment].live--
	s.count--
	f := footing(p.footing.Load())
	return left{p.verdict.Swap(dropped), &p.digest, p.gone, f.minute(), usesOf(f.count())}
}

// evict drops one of a few random entries, the one that has not been used for longest. The store must not be empty.
func (s *store) evict() left {
	segment, best := s.random()
	for range samples - 1 {
		if other, p := s.random(); footing(p.footing.Load()).minute() < footing(best.footing.Load()).minute() {
			segment, best = other, p
		}
	}
	return s.drop(segment, best)
}

func (s *store) random() (segment int, _ *place) {
	segment = rand.IntN(segments) //nolint:gosec // no secret
	for s.tallies[segment].live == 0 {
		segment = (segment + 1) % segments
	}
	t := s.directory.Load()[segment]
	for i := rand.IntN(len(t)); ; i = t.next(i) { //nolint:gosec // no secret
		if verdict := t[i].verdict.Load(); verdict != nil && verdict != dropped {
			return segment, &t[i]
		}
	}
}

func (s *store) clear() {
	s.directory.Store(new(directory))
	s.tallies = [segments]tally{}
	s.count = 0
}
