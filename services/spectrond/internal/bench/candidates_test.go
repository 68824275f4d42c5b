package bench_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/puzpuzpuz/xsync/v4"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/grant"
)

// keyID is what the candidates are keyed by: it needs no allocation and no pointer.
type keyID [16]byte

// remembered is what a candidate holds of a key: the same as the verifier's own store.
type remembered struct {
	digest     apikey.Digest
	gone       *atomic.Bool
	until      time.Duration
	usedMinute atomic.Int32
	caller     caller.Caller
	_          int64 // the revision, for the room it takes
}

// candidate is a map that the verifier could use instead of its own. Otter bounds itself; the others would need an order of
// eviction beside them, which is left out here in their favour.
type candidate struct {
	name  string
	load  func(keyID) (*remembered, bool)
	store func(keyID, *remembered)
}

func candidates(t *testing.T, n int) []candidate {
	t.Helper()
	xs := xsync.NewMap[keyID, *remembered]()
	// A little more than it must hold, so that it does not evict what is looked for.
	ot, err := otter.New(&otter.Options[keyID, *remembered]{MaximumSize: n + n/10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ot.StopAllGoroutines() })
	var std sync.Map
	return []candidate{
		{"xsync.Map", xs.Load, xs.Store},
		{"otter", ot.GetIfPresent, func(id keyID, r *remembered) { ot.Set(id, r) }},
		{"sync.Map", func(id keyID) (*remembered, bool) {
			found, ok := std.Load(id)
			if !ok {
				return nil, false
			}
			r, ok := found.(*remembered)
			return r, ok
		}, func(id keyID, r *remembered) { std.Store(id, r) }},
	}
}

// path is the way of a hit through the verifier, around another map.
type path struct {
	candidate
	start time.Time
	hits  *xsync.Counter
}

func (p *path) verify(key string) *caller.Caller {
	text, ok := apikey.PeekID(key)
	now := time.Now()
	if !ok || now.Sub(p.start) >= time.Hour || now.UnixNano()-p.start.UnixNano() >= int64(time.Hour) {
		return nil
	}
	digest := apikey.DigestOf(key)
	r, ok := p.load(keyID([]byte(text)))
	elapsed := now.Sub(p.start)
	if !ok || !r.digest.Equal(&digest) || elapsed >= r.until || r.gone.Load() {
		return nil
	}
	p.hits.Inc()
	if minute := int32(elapsed / time.Minute); r.usedMinute.Load() != minute {
		r.usedMinute.Store(minute)
	}
	return &r.caller
}

// fill stores the keys as the verifier does: a hundred share a principal.
func (p *path) fill(keys []string) {
	var principal *caller.Principal
	var gone *atomic.Bool
	var effective grant.Map
	for i, key := range keys {
		verdict := verdictOn(key[len("sp-"):len("sp-")+16], i)
		if i%100 == 0 {
			principal, gone, effective = verdict.Principal, new(atomic.Bool), grant.Effective(verdict.Principal.Grants, nil)
		}
		r := &remembered{digest: apikey.DigestOf(key), gone: gone, until: time.Hour, caller: caller.Caller{
			Context: contextID, Incarnation: contextID, KeyID: verdict.KeyID, KeyName: verdict.KeyName,
			Principal: principal, Effective: effective,
		}}
		p.store(keyID([]byte(verdict.KeyID)), r)
	}
}

// candidateRows compares a hit among n keys with the same around the maps that one could use instead, all in turn.
func candidateRows(t *testing.T, out *table, e effort, n int) {
	t.Helper()
	empty := heap()
	v, keys := filled(t, n, aKey)
	sizes := []int{heap() - empty - n*textSize}
	names := []string{"ours"}
	ways := []func(key string){func(key string) {
		if _, err := v.Verify(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}}
	for _, c := range candidates(t, n) {
		before := heap()
		p := &path{c, time.Now(), xsync.NewCounter()}
		p.fill(keys)
		sizes = append(sizes, heap()-before)
		names = append(names, c.name)
		ways = append(ways, func(key string) {
			if p.verify(key) == nil {
				t.Fatalf("%s has lost a key", p.name)
			}
		})
	}
	took := make([][]float64, len(ways))
	texts, buffer := make([]string, 16*batch), make([]byte, 64)
	for range e.pairs / 16 {
		for way, verify := range ways {
			for i := range texts {
				texts[i] = keys[rand.IntN(n)]
			}
			start := time.Now()
			for _, key := range texts {
				verify(view(buffer[:copy(buffer, key)]))
			}
			took[way] = append(took[way], float64(time.Since(start).Nanoseconds())/float64(len(texts)))
		}
	}
	ours := median(took[0])
	for way, name := range names {
		out.row(fmt.Sprintf("a hit among %d keys, %s", n, name), "compare",
			fmt.Sprintf("%.0f ns (%.2f × ours), %d B/key", median(took[way]), median(took[way])/ours, sizes[way]/n), "")
	}
	runtime.KeepAlive(keys)
}
