package bench_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
	"unsafe"
)

// batch is how many calls are timed together.
const batch = 256

// textSize is what the text of a key or a token takes itself: 55 or 64 bytes, rounded up by the allocator, and where they are.
const textSize = 64 + int(unsafe.Sizeof(""))

// verifyRows compares a hit in a cache of n keys with hashing the key, for random keys. Their texts are as cold as the cache.
// With many keys there is a second row, for keys whose text the processor has at hand: only the look-up waits for memory then.
// What is said of keys goes for tokens, which are of a kind of their own.
func verifyRows(t *testing.T, out *table, e effort, n int, kind string, issue credential) {
	t.Helper()
	empty := heap()
	v, keys := filled(t, n, issue)
	perKey := float64(heap()-empty-n*textSize) / float64(n)

	ctx := context.Background()
	verify := func(key string) {
		if _, err := v.Verify(ctx, key); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range keys { // each key is noted as used once a minute
		verify(key)
	}
	measure := func(prepare func(key string, into []byte) string, call func(key string)) func() float64 {
		var texts [batch]string
		into := make([]byte, batch*64)
		return func() float64 {
			for i := range texts {
				texts[i] = prepare(keys[rand.IntN(n)], into[64*i:])
			}
			start := time.Now()
			for _, key := range texts {
				call(key)
			}
			return float64(time.Since(start).Nanoseconds()) / batch
		}
	}
	cold := func(key string, _ []byte) string { return key }
	buffer := make([]byte, 64)
	read := func(key string) string { return view(buffer[:copy(buffer, key)]) }
	c := compare(e.pairs, measure(cold, func(key string) { verify(read(key)) }), measure(cold, func(key string) { hashed(read(key)) }))
	allocs := testing.AllocsPerRun(1000, func() { verify(keys[0]) })
	out.add(fmt.Sprintf("verify from the cache ÷ SHA-256 of the %[2]s, %[1]d %[2]ss", n, kind), "≤ 2.5, 0 allocs",
		fmt.Sprintf("%s, %.0f allocs", c.in(" ns"), allocs), c.ratio <= 2.5 && allocs == 0)
	if n < 10_000 {
		return
	}
	hot := func(key string, into []byte) string { return view(into[:copy(into, key)]) }
	c = compare(e.pairs, measure(hot, verify), measure(hot, hashed))
	out.add(fmt.Sprintf("  the same, when the %[2]s's text is at hand, %[1]d %[2]ss", n, kind), "≤ 2.5", c.in(" ns"), c.ratio <= 2.5)
	out.add(fmt.Sprintf("memory per cached %[2]s, %[1]d %[2]ss", n, kind), "≤ 250 B", fmt.Sprintf("%.0f B", perKey), perKey <= 250)
	runtime.KeepAlive(keys)
}

func view(text []byte) string { return unsafe.String(unsafe.SliceData(text), len(text)) }

func hashed(key string) {
	var text [64]byte
	sink = sha256.Sum256(text[:copy(text[:], key)])
}

var sink [sha256.Size]byte

func heap() int {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc)
}
