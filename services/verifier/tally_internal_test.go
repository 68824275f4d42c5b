package verifier

import (
	"sync"
	"sync/atomic"
	"testing"
)

// Few uses are counted exactly, many to within a few in a hundred, by however many at once; the tag and the minute stay.
func TestCountsAreAboutRight(t *testing.T) {
	t.Parallel()
	for _, uses := range []int64{1, exact, 2 * exact, 3 * exact, 60_000, 1_000_000, 20_000_000} {
		var f atomic.Uint64
		f.Store(uint64(newFooting(0xabcdef, 7, 0)))
		const cores = 4
		var group sync.WaitGroup
		for range cores {
			group.Go(func() {
				for range uses / cores {
					note(&f, 7)
				}
			})
		}
		group.Wait()
		for range uses % cores {
			note(&f, 7)
		}
		got := footing(f.Load())
		if got.tag() != 0xabcdef || got.minute() != 7 {
			t.Fatalf("a count of %d ran over: %x", uses, got)
		}
		off := usesOf(got.count()) - uses
		// An eighth is more than five standard deviations: by chance it comes once in millions of runs.
		if uses <= exact && off != 0 || max(off, -off)*8 > uses {
			t.Errorf("%d uses are counted as %d", uses, usesOf(got.count()))
		}
	}
}

func TestACountThatIsFullStops(t *testing.T) {
	t.Parallel()
	var f atomic.Uint64
	f.Store(uint64(newFooting(1, 7, full)))
	for minute := range int32(3) {
		for range 1000 {
			note(&f, minute)
		}
	}
	if got := footing(f.Load()); got.count() != full || got.tag() != 1 || got.minute() != 2 {
		t.Errorf("it went on to %x", got)
	}
	if usesOf(full) < 100_000_000 {
		t.Errorf("a minute holds %d uses only", usesOf(full))
	}
}

func TestTheFirstUseOfAMinute(t *testing.T) {
	t.Parallel()
	var f atomic.Uint64
	f.Store(uint64(newFooting(1, 7, 0)))
	var first atomic.Int64
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 1000 {
				if note(&f, 8) {
					first.Add(1)
				}
			}
		})
	}
	group.Wait()
	if n := first.Load(); n != 1 {
		t.Errorf("%d first uses in a minute", n)
	}
}
