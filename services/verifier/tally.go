package verifier

import (
	"math/rand/v2"
	"sync/atomic"
)

// A place has eight bytes for three things, so that it stays a cache line: the tag of its key, the minute in which the key was
// used last, and how often it was since that was harvested. The tag does not change.
const (
	countBits, minuteBits, tagBits = 16, 24, 24

	countMask  = 1<<countBits - 1
	minuteMask = 1<<minuteBits - 1
)

// footing is those three things.
type footing uint64

func newFooting(tag uint32, minute int32, count uint64) footing {
	return footing(uint64(tag)<<(countBits+minuteBits) | uint64(uint32(minute)&minuteMask)<<countBits | count) //nolint:gosec // the bits that there are
}

func (f footing) tag() uint32   { return uint32(f >> (countBits + minuteBits)) }
func (f footing) minute() int32 { return int32(f >> countBits & minuteMask) }
func (f footing) count() uint64 { return uint64(f & countMask) }

// Few uses are counted one by one. Of many, one in so many is, at random, and stands for all of these: the expected sum is right, and
// cores that verify the same key do not fight over its line. full is where counting ends until the next harvest, far enough from the
// end of the field that no number of cores gets there from below it. A sum is off by 2.2 in a hundred (a standard deviation) where
// it is off most, at twice the uses that a step begins with.
const (
	exact = 1 << 13 // up to here each counts
	often = 1 << 14 // up to here one in 16
	busy  = 1 << 15 // up to here one in 256, and beyond one in 4096
	full  = countMask - 1<<12
)

// weight is how many uses one stands for.
func weight(count uint64) uint32 {
	switch {
	case count < exact:
		return 1
	case count < often:
		return 1 << 4
	case count < busy:
		return 1 << 8
	default:
		return 1 << 12
	}
}

// usesOf is how many uses a count stands for.
func usesOf(count uint64) (uses int64) {
	for _, step := range []struct{ from, to uint64 }{{0, exact}, {exact, often}, {often, busy}, {busy, countMask}} {
		if count > step.from {
			uses += int64(min(count, step.to)-step.from) * int64(weight(step.from)) //nolint:gosec // below 2^28
		}
	}
	return uses
}

// note counts a use in a minute, and reports whether it is the first one in that.
func note(f *atomic.Uint64, minute int32) (first bool) {
	for {
		before := footing(f.Load())
		count := before.count()
		if before.minute() == minute {
			if count >= exact && (count >= full || rand.Uint32()&(weight(count)-1) != 0) { //nolint:gosec // a sample
				return false
			}
			f.Add(1)
			return false
		}
		if f.CompareAndSwap(uint64(before), uint64(newFooting(before.tag(), minute, min(count+1, full)))) {
			return true
		}
	}
}

// harvest calls counted with the keys of some segments that were used since the last time, and how often, about, as long as there is
// room. It returns where to go on.
func (c *cache) harvest(from, segmentsAtOnce int, room func() bool, counted func(id string, uses int64)) (next int) {
	for range segmentsAtOnce {
		if !c.harvestSegment(from, room, counted) {
			return from
		}
		from = (from + 1) % segments
	}
	return from
}

// harvestSegment reports whether all of it was harvested.
func (c *cache) harvestSegment(segment int, room func() bool, counted func(id string, uses int64)) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.good.directory.Load()[segment]
	for i := range t {
		p := &t[i]
		verdict := p.verdict.Load()
		if verdict == nil || verdict == dropped || footing(p.footing.Load()).count() == 0 {
			continue
		}
		if !room() {
			return false
		}
		count := footing(p.footing.And(^uint64(countMask))).count()
		counted(verdict.caller.KeyID, usesOf(count))
	}
	return true
}
