package storetest

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/session"
)

func testSessions(t *testing.T, f Fixture) {
	in := incarnation()
	w := write(in, "hello", sets(t, []string{"b", "a"}, []string{"c"}))
	remember(t, f.Store, w)
	got, err := f.Store.Session(t.Context(), in, w.Session.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(w.Session, got, cmp.Comparer(func(a, b scope.Path) bool { return a == b })); diff != "" {
		t.Errorf("session (-want +got):\n%s", diff)
	}
	if _, err := f.Store.Session(t.Context(), incarnation(), w.Session.ID); !errors.Is(err, session.ErrAbsent) {
		t.Errorf("from another context: %v", err)
	}
	if _, err := f.Store.Session(t.Context(), in, "no such"); !errors.Is(err, session.ErrAbsent) {
		t.Errorf("unknown: %v", err)
	}
	w.Session.ID, w.NewSession = "no such", false
	if _, err := f.Store.Remember(t.Context(), w); !errors.Is(err, session.ErrAbsent) {
		t.Errorf("appending to an unknown one: %v", err)
	}
}

func testTurns(t *testing.T, f Fixture) {
	in := incarnation()
	first := write(in, "first", sets(t, []string{"a"}))
	remember(t, f.Store, first)
	const more = 8
	var wg sync.WaitGroup
	for range more {
		wg.Go(func() {
			w := write(in, "more", first.Chunk.Sets)
			w.Session, w.NewSession = first.Session, false
			if _, err := f.Store.Remember(t.Context(), w); err != nil {
				t.Errorf("remembering: %v", err)
			}
		})
	}
	wg.Wait()
	got := f.Seqs(t, in, first.Session.ID)
	if len(got) != more+1 || !slices.Equal(got, []int64{1, 2, 3, 4, 5, 6, 7, 8, 9}) {
		t.Errorf("numbers: %v", got)
	}
}
