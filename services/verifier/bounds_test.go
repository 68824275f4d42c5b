package verifier_test

import (
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/verifier"
)

func TestRefusedKeysEvictNoGoodOne(t *testing.T) {
	t.Parallel()
	bubble(t, "flood", func(t *testing.T) {
		const good, bad = 20, 10
		r := newRegistry()
		v := open(t, r, verifier.Config{MaxKeys: good, MaxRefused: bad})
		settle()
		keys := make([]apikey.Key, good)
		for i := range keys {
			keys[i] = r.mint(t)
			wantCached(t, v, keys[i])
		}
		for range 10 * bad {
			made, err := apikey.Mint(apikey.NewID())
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := check(t, v, made); ok {
				t.Fatal("a made-up key was accepted")
			}
		}
		if got := v.Stats(); got.Keys != good || got.Refused != bad {
			t.Errorf("%d good and %d refused keys are remembered, want %d and %d", got.Keys, got.Refused, good, bad)
		}
		for _, key := range keys {
			if source, _ := check(t, v, key); source != verifier.FromCache {
				t.Fatal("a good key was evicted by refused ones")
			}
		}
	})
	bubble(t, "more good keys than fit", func(t *testing.T) {
		const most = 10
		r := newRegistry()
		v := open(t, r, verifier.Config{MaxKeys: most})
		settle()
		for range 3 * most {
			wantCached(t, v, r.mint(t))
		}
		if got := v.Stats().Keys; got != most {
			t.Errorf("%d keys are remembered, want %d", got, most)
		}
		last := r.mint(t)
		wantCached(t, v, last)
		r.revoke(last)
		settle()
		if got := v.Stats().Keys; got != most-1 {
			t.Errorf("after a revocation %d keys are remembered, want %d", got, most-1)
		}
	})
}

func TestUsesAreReportedOnceAMinute(t *testing.T) {
	t.Parallel()
	bubble(t, "hits and questions", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{Reread: 24 * time.Hour})
		settle()
		hot, cold := r.mint(t), r.mint(t)
		time.Sleep(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute)))
		check(t, v, cold)
		for range 119 { // just under two minutes
			check(t, v, hot)
			time.Sleep(time.Second)
		}
		counts := r.reported()
		if counts[hot.ID()] != 2 || counts[cold.ID()] != 1 {
			t.Errorf("in two minutes a hot key was reported %d times, one used once %d times", counts[hot.ID()], counts[cold.ID()])
		}
	})
	bubble(t, "without a lease", func(t *testing.T) {
		r := newRegistry()
		r.refuse = true
		v := open(t, r, verifier.Config{})
		settle()
		key := r.mint(t)
		time.Sleep(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute)))
		for range 59 {
			check(t, v, key)
			time.Sleep(time.Second)
		}
		if got := r.reported()[key.ID()]; got != 1 {
			t.Errorf("in a minute a key was reported %d times", got)
		}
	})
	bubble(t, "the rest at the end", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		good, bad := r.mint(t), r.mint(t)
		r.set(func() { delete(r.live, bad.Digest()) })
		check(t, v, good)
		check(t, v, bad)
		if got := r.reported(); len(got) != 0 {
			t.Errorf("at once: %v", got)
		}
		v.Close()
		if got := r.reported(); got[good.ID()] != 1 || len(got) != 1 {
			t.Errorf("at the end: %v", got)
		}
	})
}

func TestCloseGivesTheLeaseBack(t *testing.T) {
	t.Parallel()
	bubble(t, "with a lease", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		v.Close()
		if got := r.released(); got != 1 {
			t.Errorf("%d releases", got)
		}
	})
	bubble(t, "without", func(t *testing.T) {
		r := newRegistry()
		r.refuse = true
		v := open(t, r, verifier.Config{})
		settle()
		v.Close()
		if got := r.released(); got != 0 {
			t.Errorf("%d releases of no lease", got)
		}
	})
}
