package verifier_test

import (
	"crypto/sha256"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/verifier"
)

// filled returns a verifier that remembers n keys, and these.
func filled(tb testing.TB, n int, mint func(*registry) credential) (*verifier.Verifier, []string) {
	tb.Helper()
	r := newRegistry()
	v, err := verifier.New(verifier.Config{Authority: r, MaxKeys: max(n, 1), Reread: time.Hour})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(v.Close)
	for !v.Stats().LeaseValid {
		time.Sleep(time.Millisecond)
	}
	keys := make([]string, n)
	for i := range keys {
		keys[i] = mint(r).Reveal()
		if _, err := v.Verify(tb.Context(), keys[i]); err != nil {
			tb.Fatal(err)
		}
	}
	return v, keys
}

// kinds are what a benchmark mints. Each is asked about once: the registry of a benchmark must not grow with the cache.
func kinds(tb testing.TB) map[string]func(*registry) credential {
	tb.Helper()
	var id string
	minted := 0
	return map[string]func(*registry) credential{
		"keys": func(r *registry) credential {
			r.set(func() { clear(r.live) })
			return r.mint(tb)
		},
		"tokens": func(r *registry) credential {
			r.set(func() { clear(r.live) })
			if minted++; minted%100 == 1 { // as many are of one account
				id = apikey.NewAccountID()
			}
			return r.mintToken(tb, id, []string{"did:sync:svc:x"}, grant.RecordsRead, grant.RecordsWrite)
		},
	}
}

func BenchmarkSHA256OfAKey(b *testing.B) {
	key := newRegistry().mint(b).Reveal()
	for b.Loop() {
		sha256.Sum256([]byte(key))
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, n := range []int{1, 10_000, 1_000_000} {
		for kind, mint := range kinds(b) {
			b.Run(fmt.Sprintf("%s=%d", kind, n), func(b *testing.B) { benchmarkVerify(b, n, mint) })
		}
	}
}

func benchmarkVerify(b *testing.B, n int, mint func(*registry) credential) {
	b.Helper()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	v, keys := filled(b, n, mint)
	runtime.GC()
	runtime.ReadMemStats(&after)
	texts := uint64(n * (apikey.Len + 9 + 16)) // the texts themselves: rounded up to 64 bytes, and their headers
	b.ReportAllocs()
	ctx := b.Context()
	i := 0
	for b.Loop() {
		if _, err := v.Verify(ctx, keys[i]); err != nil {
			b.Fatal(err)
		}
		if i += 7919; i >= n { // a stride, so that neighbours in time are not neighbours in memory
			i %= n
		}
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc-texts)/float64(n), "bytes/key")
}
