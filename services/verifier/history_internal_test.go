package verifier

import (
	"strconv"
	"testing"

	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// A history tells whether a key was touched since an answer was read, for as many revisions as it keeps; of what it does not know
// it says so.
func TestHistory(t *testing.T) {
	t.Parallel()
	const base = 7
	for _, length := range []int64{0, 1, 2, remembered - 1, remembered, remembered + 1, 3*remembered + 5} {
		h := history{base: base}
		newest := base + length
		for revision := int64(base + 1); revision <= newest; revision++ {
			h.add(introspection.Event{Revision: revision, Kind: introspection.SubjectKey, ID: strconv.FormatInt(revision, 10)})
		}
		for _, asOf := range []int64{base - 1, base, base + 1, newest - remembered - 1, newest - remembered, newest - remembered + 1, newest - 1, newest, newest + 1} {
			if asOf < 0 {
				continue
			}
			known := asOf >= base && newest-asOf < remembered
			for _, touched := range []int64{asOf - 1, asOf, asOf + 1, newest - 1, newest, newest + 1} {
				want := !known || touched > asOf && touched <= newest && touched > base
				if got := h.touched(asOf, introspection.Event{ID: strconv.FormatInt(touched, 10)}, ""); got != want {
					t.Fatalf("after %d revisions, key %d since %d: %t, want %t", length, touched, asOf, got, want)
				}
			}
		}
		if len(h.events) > remembered {
			t.Fatalf("%d events are kept", len(h.events))
		}
	}
}
