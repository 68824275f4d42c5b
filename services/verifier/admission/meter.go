package admission

import (
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spectron-hq/spectron/services/contract/caller"
)

// meter is the generic cell rate algorithm (ITU-T I.371): each request takes up the interval of the rate, and full is the time until
// everything that was taken up has gone by, since the gate's epoch. What is in the past is as good as nothing.
type meter struct{ full atomic.Int64 }

// forgotten is what a meter says that is no key's any more: whoever has looked it up before looks again, or its key would be counted
// twice.
const forgotten = math.MinInt64

// take admits a request of a key, or says how long to wait.
func (g *Gate) take(id string, limit *caller.RateLimit) (Decision, time.Duration) {
	interval := int64(limit.Interval())
	capacity := capacityOf(interval, limit.Burst)
	m, now := g.meter(id)
	for {
		before := m.full.Load()
		if before == forgotten {
			m, now = g.meter(id)
			continue
		}
		// Never fuller than full: the limit may have been another one, and the clock may have gone back.
		level := min(max(before-now, 0), capacity)
		if level+interval > capacity {
			if before-now > capacity && !m.full.CompareAndSwap(before, now+capacity) { // or it would be full for as long as before
				continue
			}
			wait := level + interval - capacity
			return decide(limit, level, interval, capacity), time.Duration(wait)
		}
		if m.full.CompareAndSwap(before, now+level+interval) {
			return decide(limit, level+interval, interval, capacity), 0
		}
	}
}

// meter returns the meter of a key, and the time: not one from before the meter was looked up, since when it may have been idle and
// forgotten.
func (g *Gate) meter(id string) (m *meter, now int64) {
	m = g.keys.of(id, g.elapsed)
	return m, g.elapsed()
}

func (g *Gate) elapsed() int64 { return int64(g.now().Sub(g.epoch)) }

// capacityOf is what may be taken up at once.
func capacityOf(interval int64, burst int) int64 {
	const most = 1 << 61 // 73 years, and room to add another time
	n := int64(max(1, burst))
	if interval > most/n {
		return max(interval, most)
	}
	return interval * n
}

func decide(limit *caller.RateLimit, level, interval, capacity int64) Decision {
	return Decision{Limit: limit, Remaining: int((capacity - level) / interval), Reset: time.Duration(level)}
}

const (
	// maxKeys bounds the keys that are remembered.
	maxKeys = 1 << 18
	shards  = 64
	// A shard is not swept before it has so many keys.
	minSweep = 64
	// A shard without room is swept no more often than this.
	sweepAgain = time.Second
	// samples is how many keys compete to be forgotten where all are in use and there is no room.
	samples = 5
)

// meters are those of the keys that were used lately.
type meters struct {
	seed   maphash.Seed
	shards [shards]shard
	limit  int // of one shard
}

type shard struct {
	mu    sync.RWMutex // guards the following fields
	keys  map[string]*meter
	sweep int // how many keys there may be before idle ones go
	swept int64
}

func newMeters(limit int) *meters {
	m := &meters{seed: maphash.MakeSeed(), limit: max(1, limit/shards)}
	for i := range m.shards {
		m.shards[i].keys, m.shards[i].sweep = make(map[string]*meter), min(minSweep, m.limit)
	}
	return m
}

// of returns the meter of a key.
func (m *meters) of(id string, now func() int64) *meter {
	s := &m.shards[maphash.String(m.seed, id)%shards]
	s.mu.RLock()
	found := s.keys[id]
	s.mu.RUnlock()
	if found != nil {
		return found
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if found = s.keys[id]; found != nil {
		return found
	}
	if len(s.keys) >= s.sweep {
		s.makeRoomLocked(now(), m.limit)
	}
	found = new(meter)
	s.keys[id] = found
	return found
}

// makeRoomLocked forgets the keys that have nothing taken up, which loses nothing; and where there is no room even so, one of a few
// that will be the first to have nothing.
func (s *shard) makeRoomLocked(now int64, limit int) {
	if len(s.keys) < limit || now-s.swept >= int64(sweepAgain) || now < s.swept {
		s.swept = now
		for id, m := range s.keys {
			if full := m.full.Load(); full <= now && m.full.CompareAndSwap(full, forgotten) {
				delete(s.keys, id)
			}
		}
	}
	// Twice as many, so that a key is looked at twice at most before there was time to become idle.
	s.sweep = min(limit, max(minSweep, 2*len(s.keys)))
	if len(s.keys) < limit {
		return
	}
	victim, soonest, seen := "", int64(0), 0
	for id, m := range s.keys { // in an order that is random enough
		if full := m.full.Load(); seen == 0 || full < soonest {
			victim, soonest = id, full
		}
		if seen++; seen == samples {
			break
		}
	}
	s.keys[victim].full.Store(forgotten)
	delete(s.keys, victim)
}

func (m *meters) len() int {
	n := 0
	for i := range m.shards {
		m.shards[i].mu.RLock()
		n += len(m.shards[i].keys)
		m.shards[i].mu.RUnlock()
	}
	return n
}
