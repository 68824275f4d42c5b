package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	signing "github.com/spectron-hq/spectron/services/dataplane/internal/assertion"
)

// testAssertionKeys is one test: the keys are those of the deployment, so no other may have any.
func testAssertionKeys(t *testing.T, f Fixture) {
	keys := func() ([]signing.Row, time.Time) {
		t.Helper()
		rows, at, err := f.Store.AssertionKeys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return rows, at
	}
	rows, at := keys()
	if age := time.Since(at); len(rows) != 0 || age < -time.Minute || age > time.Minute {
		t.Fatalf("at first: %d keys, at %v", len(rows), at)
	}
	add := func(row signing.Row) {
		t.Helper()
		if err := f.Store.AddAssertionKey(t.Context(), row); err != nil {
			t.Error(err)
		}
	}
	first := signing.Row{Generation: 1, Kid: "a", Sealed: []byte{0, 1, 2}, SignsFrom: start}
	second := signing.Row{Generation: 2, Kid: "b", Sealed: []byte{3}, SignsFrom: start.Add(time.Hour)}
	add(second)
	add(first)
	add(signing.Row{Generation: 1, Kid: "late", Sealed: []byte{9}, SignsFrom: start})
	if rows, _ = keys(); cmp.Diff([]signing.Row{first, second}, rows) != "" {
		t.Errorf("got %+v", rows)
	}
	var racing sync.WaitGroup
	for _, kid := range numbered("r", 8) {
		racing.Go(func() { add(signing.Row{Generation: 3, Kid: kid, Sealed: []byte(kid), SignsFrom: start}) })
	}
	racing.Wait()
	rows, _ = keys()
	if len(rows) != 3 || string(rows[2].Sealed) != rows[2].Kid {
		t.Fatalf("after a race: %+v", rows)
	}
	if err := f.Store.DropAssertionKeys(t.Context(), []string{"a", "b", "nobody"}); err != nil {
		t.Error(err)
	}
	if left, _ := keys(); len(left) != 1 || left[0].Kid != rows[2].Kid {
		t.Errorf("dropped: %+v", left)
	}
}
