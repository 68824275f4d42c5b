package verifier

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// A store does what a map does, within its bound: what is put and not removed is there, unless it had to go for something
// else, and then [store.put] says so.
func TestAStoreIsABoundedMap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 8).Draw(t, "limit")
		s := newStore(limit, func(a, b *int) bool { return *a < *b })
		naive := map[keyID]int{}
		next := 0
		id := rapid.Custom(func(t *rapid.T) keyID { return idOf(fmt.Sprint(rapid.IntRange(0, 12).Draw(t, "id"))) })
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				k := id.Draw(t, "key")
				next++
				before, known := naive[k]
				gone := s.put(k, &slot[int]{value: next})
				switch {
				case known && (gone == nil || *gone != before):
					t.Fatalf("putting in the place of %d let go of %v", before, gone)
				case !known && (gone != nil) != (len(naive) == limit):
					t.Fatalf("of %d entries at most %d, one had to go: %t", len(naive), limit, gone != nil)
				case !known && gone != nil:
					forget(t, naive, *gone)
				}
				naive[k] = next
			},
			"remove": func(t *rapid.T) {
				k := id.Draw(t, "key")
				want, known := naive[k]
				if gone := s.remove(k); (gone != nil) != known || known && *gone != want {
					t.Fatalf("removing %d (%t) removed %v", want, known, gone)
				}
				delete(naive, k)
			},
			"clear": func(*rapid.T) {
				s.clear()
				clear(naive)
			},
			"": func(t *rapid.T) {
				if len(s.order) != len(naive) || s.entries.Size() != len(naive) {
					t.Fatalf("%d entries in an order of %d, want %d", s.entries.Size(), len(s.order), len(naive))
				}
				for place, k := range s.order {
					if found, ok := s.entries.Load(k); !ok || found.place != place {
						t.Fatalf("the entry at place %d is not there, or believes to be elsewhere", place)
					}
				}
				for k, want := range naive {
					if got, ok := s.get(k); !ok || *got != want {
						t.Fatalf("got %v, %t; want %d", got, ok, want)
					}
				}
			},
		})
	})
}

func forget(t *rapid.T, naive map[keyID]int, value int) {
	for k, v := range naive {
		if v == value {
			delete(naive, k)
			return
		}
	}
	t.Fatalf("%d had to go, and was not there", value)
}

// Of a full store the older entries go: with five samples each time, hardly ever one of the newer half.
func TestAStoreEvictsWhatIsOld(t *testing.T) {
	t.Parallel()
	const limit = 1000
	s := newStore(limit, func(a, b *int) bool { return *a < *b })
	for i := range limit {
		s.put(idOf(fmt.Sprint(i)), &slot[int]{value: i})
	}
	young := 0
	for i := range limit / 4 {
		if gone := s.put(idOf(fmt.Sprint(limit+i)), &slot[int]{value: limit + i}); *gone >= limit/2 {
			young++
		}
	}
	if young > limit/4/4 {
		t.Errorf("%d of %d evictions took of the newer half", young, limit/4)
	}
}
