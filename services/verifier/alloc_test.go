//go:build !race

package verifier_test

import (
	"testing"

	"github.com/spectron-hq/spectron/services/verifier"
)

// Not under the race detector, which allocates on its own account.
func TestAHitAllocatesNothing(t *testing.T) { //nolint:paralleltest // others would allocate beside it
	for kind, mint := range kinds(t) {
		v, keys := filled(t, 10, mint)
		if n := testing.AllocsPerRun(100, func() {
			for _, key := range keys {
				if verdict, err := v.Check(t.Context(), key); err != nil || verdict.Source != verifier.FromCache {
					t.Fatal("not a hit")
				}
			}
		}); n != 0 {
			t.Errorf("%v allocations of %s", n, kind)
		}
	}
}
