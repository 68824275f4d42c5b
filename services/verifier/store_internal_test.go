package verifier

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
)

// No test of behaviour would notice, but every look-up would pay for it.
func TestAPlaceIsACacheLine(t *testing.T) {
	t.Parallel()
	if size := unsafe.Sizeof(place{}); size != 64 {
		t.Errorf("a place has %d bytes", size)
	}
}

// crowded gives ids hashes that often share a segment, a home and even a tag.
func crowded(id int) hashed { return hashed(id%4)<<40 | hashed(id%3) }

func name(id int) string { return fmt.Sprint(id) }

// value is an entry that bears a number, as the revision of its snapshot.
func value(id, number int) *entry {
	digest := apikey.DigestOf(name(number))
	return &entry{
		verdict: &worth{caller: caller.Caller{KeyID: name(id)}, asOf: int64(number)}, digest: &digest,
		gone: present, until: time.Hour, minute: int32(number),
	}
}

// number is that of what has left, or -1.
func (out left) number() int {
	if out.verdict == nil {
		return -1
	}
	return int(out.verdict.asOf)
}

// A store does what a map does, within its bound: what is put and not removed is there, unless it had to go for something
// else, and then [store.put] says so.
func TestAStoreIsABoundedMap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 16).Draw(t, "limit")
		s, naive := newStore(limit), map[int]int{}
		var puts []int // the id of each number
		id := rapid.IntRange(0, 30)
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				k := id.Draw(t, "key")
				next := len(puts)
				puts = append(puts, k)
				before, known := naive[k]
				out := s.put(crowded(k), name(k), value(k, next)).number()
				switch {
				case known && out != before:
					t.Fatalf("putting in the place of %d let go of %d", before, out)
				case !known && (out >= 0) != (len(naive) == limit):
					t.Fatalf("of %d entries at most %d, %d had to go", len(naive), limit, out)
				case !known && out >= 0:
					forget(t, naive, out)
				}
				naive[k] = next
			},
			"remove": func(t *rapid.T) {
				k := id.Draw(t, "key")
				want, known := naive[k]
				if !known {
					want = -1
				}
				if out := s.remove(crowded(k), name(k)).number(); out != want {
					t.Fatalf("removing %d removed %d", want, out)
				}
				delete(naive, k)
			},
			"clear": func(*rapid.T) {
				s.clear()
				clear(naive)
			},
			"": func(t *rapid.T) {
				if s.count != len(naive) {
					t.Fatalf("%d entries, want %d", s.count, len(naive))
				}
				for number, k := range puts {
					digest := apikey.DigestOf(name(number))
					_, got := s.find(crowded(k), &digest)
					if last, known := naive[k]; (got != nil) != (known && last == number) || got != nil && got.caller.KeyID != name(k) {
						t.Fatalf("number %d of id %d found: %t", number, k, got != nil)
					}
				}
			},
		})
	})
}

func forget(t *rapid.T, naive map[int]int, number int) {
	for k, v := range naive {
		if v == number {
			delete(naive, k)
			return
		}
	}
	t.Fatalf("%d had to go, and was not there", number)
}

// Of a full store the older entries go: with five samples each time, hardly ever one of the newer half.
func TestAStoreEvictsWhatIsOld(t *testing.T) {
	t.Parallel()
	const limit = 1000
	s := newStore(limit)
	for i := range limit {
		s.put(hashOf(name(i)), name(i), value(i, i))
	}
	young := 0
	for i := range limit / 4 {
		if out := s.put(hashOf(name(limit+i)), name(limit+i), value(limit+i, limit+i)); out.number() >= limit/2 {
			young++
		}
	}
	if young > limit/4/4 {
		t.Errorf("%d of %d evictions took of the newer half", young, limit/4)
	}
}

// However long entries come and go, the room they take depends on how many there are.
func TestAStoreDoesNotGrow(t *testing.T) {
	t.Parallel()
	const limit = 1000
	s := newStore(limit)
	for i := range 100 * limit {
		s.put(hashOf(name(i)), name(i), value(i, i))
	}
	places := 0
	for _, table := range s.directory.Load() {
		places += len(table)
	}
	if places > 2*limit {
		t.Errorf("%d places for %d entries", places, limit)
	}
}

// Readers never find an entry under another's digest, whatever goes on; and under the race detector, none is read while it is
// written.
func TestAStoreIsReadWhileItChanges(t *testing.T) {
	t.Parallel()
	s := newStore(60)
	digests := make([]apikey.Digest, 100)
	for id := range digests {
		digests[id] = apikey.DigestOf(name(id))
	}
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for id := 0; ; id = (id + 1) % len(digests) {
				select {
				case <-done:
					return
				default:
				}
				s.prefetch(crowded(id))
				p, found := recall(s, crowded(id), &digests[id], 0)
				if found == nil {
					continue
				}
				p.footing.Store(uint64(newFooting(footing(p.footing.Load()).tag(), 1, 0)))
				if found.caller.KeyID != name(id) {
					t.Errorf("%s under the digest of %d", found.caller.KeyID, id)
					return
				}
			}
		})
	}
	for step := range 10_000 {
		id := rand.IntN(len(digests))
		if rand.IntN(3) == 0 {
			s.remove(crowded(id), name(id))
		} else {
			s.put(crowded(id), name(id), value(id, id))
		}
		if step%3000 == 0 {
			s.clear()
		}
	}
	close(done)
	readers.Wait()
}
