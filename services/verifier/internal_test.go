package verifier

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
)

// Nothing in a test of behaviour would notice, but every look-up would pay for it.
func TestAPlaceIsACacheLine(t *testing.T) {
	t.Parallel()
	if size := unsafe.Sizeof(place{}); size != 64 {
		t.Errorf("a place has %d bytes", size)
	}
}

// crowded gives ids hashes that often share a segment, a home and even a tag.
func crowded(id int) hashed { return hashed(id%7)<<40 | hashed(id%3) }

func put(s *store, h hashed, id int, digest apikey.Digest, minute int32) {
	name := fmt.Sprint(id)
	s.put(h, name, &entry{&worth{caller: caller.Caller{KeyID: name}}, &digest, nobody, time.Hour, minute})
}

func TestAStoreIsAMap(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	s, model := newStore(1000), map[int]apikey.Digest{}
	for step := range 20_000 {
		id := r.IntN(100)
		switch r.IntN(100) {
		case 0:
			s.clear()
			clear(model)
		case 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20:
			s.remove(crowded(id), fmt.Sprint(id))
			delete(model, id)
		default:
			digest := apikey.DigestOf(fmt.Sprint(step))
			put(s, crowded(id), id, digest, 0)
			model[id] = digest
		}
		id = r.IntN(100)
		digest, want := model[id]
		_, found := s.find(crowded(id), &digest)
		if want != (found != nil) || want && found.caller.KeyID != fmt.Sprint(id) {
			t.Fatalf("seed %d, step %d: id %d found %t, want %t", seed, step, id, found != nil, want)
		}
		if s.count != len(model) {
			t.Fatalf("seed %d, step %d: counts %d, want %d", seed, step, s.count, len(model))
		}
	}
}

func TestAFullStoreKeepsWhatIsUsed(t *testing.T) {
	t.Parallel()
	const limit = 2000
	s := newStore(limit)
	for id := range 10 * limit {
		minute, name := int32(0), fmt.Sprint(id)
		if id < limit/2 {
			minute = 1
		}
		put(s, hashOf(name), id, apikey.DigestOf(name), minute)
		if s.count > limit {
			t.Fatalf("%d entries", s.count)
		}
	}
	kept := 0
	for id := range limit / 2 {
		name := fmt.Sprint(id)
		digest := apikey.DigestOf(name)
		if _, found := s.find(hashOf(name), &digest); found != nil {
			kept++
		}
	}
	// Now and then all samples are of the half that was used. By chance none of it would be left.
	if kept < limit/5 {
		t.Errorf("%d of %d are left of what was used", kept, limit/2)
	}
	places := 0
	for _, table := range s.directory.Load() {
		places += len(table)
	}
	if places > 2*limit {
		t.Errorf("%d places for %d entries", places, limit)
	}
}

// Readers never see an entry that was not stored as they see it, whatever goes on, and under the race detector none is read
// while it is written.
func TestAStoreIsReadWhileItChanges(t *testing.T) {
	t.Parallel()
	s := newStore(60)
	digests := make([]apikey.Digest, 100)
	for id := range digests {
		digests[id] = apikey.DigestOf(fmt.Sprint(id))
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
				p.usedMinute.Store(1)
				if found.caller.KeyID != fmt.Sprint(id) {
					t.Errorf("%s in the place of %d", found.caller.KeyID, id)
					return
				}
			}
		})
	}
	for step := range 20_000 {
		id := rand.IntN(len(digests))
		if rand.IntN(3) == 0 {
			s.remove(crowded(id), fmt.Sprint(id))
		} else {
			put(s, crowded(id), id, digests[id], 0)
		}
		if step%5000 == 0 {
			s.clear()
		}
	}
	close(done)
	readers.Wait()
}
