package verifier_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/verifier"
)

func TestTargetsAreBounded(t *testing.T) {
	t.Parallel()
	bubble(t, "made-up targets evict no good one", func(t *testing.T) {
		const most = 10
		r := newRegistry()
		v := open(t, r, verifier.Config{MaxTargets: most})
		settle()
		key := r.mint(t)
		for i := range most {
			r.employ(fmt.Sprint("p", i), over(t, "a"))
			reads(t, v, key, fmt.Sprint("p", i))
		}
		for i := range 5 * most {
			wantReads(t, v, key, fmt.Sprint("nobody", i), "unknown", "")
		}
		if got := v.Stats().Targets; got != 2*most {
			t.Errorf("%d targets are remembered, want %d", got, 2*most)
		}
		for i := range most {
			wantReads(t, v, key, fmt.Sprint("p", i), "[a]", verifier.FromCache)
		}
		for i := range 3 * most {
			r.employ(fmt.Sprint("q", i), over(t, "a"))
			reads(t, v, key, fmt.Sprint("q", i))
			wantReads(t, v, key, fmt.Sprint("q", i), "[a]", verifier.FromCache)
		}
		if got := v.Stats().Targets; got != 2*most {
			t.Errorf("%d targets are remembered, want %d", got, 2*most)
		}
	})
	bubble(t, "read again within five minutes", func(t *testing.T) {
		r := newRegistry()
		v := open(t, r, verifier.Config{})
		settle()
		key := r.mint(t)
		r.employ("alice", over(t, "a"))
		reads(t, v, key, "alice")
		r.employ("alice", over(t, "b")) // without a revision: a bug elsewhere, or a hand in the database
		wantReads(t, v, key, "alice", "[a]", verifier.FromCache)
		time.Sleep(5 * time.Minute)
		wantReads(t, v, key, "alice", "[b]", verifier.FromAuthority)
	})
	bubble(t, "large questions are split", func(t *testing.T) {
		r := newRegistry()
		gate := make(chan struct{})
		r.gate = gate
		v := open(t, r, verifier.Config{})
		key := r.mint(t)
		var pending []<-chan reading
		for i := range 2 + introspection.MaxTargets + 1 {
			pending = append(pending, onBehalf(v, key, fmt.Sprint("nobody", i)))
			if i < 2 {
				settle()
			}
		}
		settle()
		close(gate)
		for _, p := range pending {
			if got := <-p; got.region != "unknown" {
				t.Fatal(got.region)
			}
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, n := range r.targets {
			if n > introspection.MaxTargets {
				t.Errorf("one question about %d principals", n)
			}
		}
	})
}
