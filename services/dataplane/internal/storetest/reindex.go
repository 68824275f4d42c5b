package storetest

import (
	"testing"

	"github.com/spectron-hq/spectron/services/dataplane/internal/job"
)

// testReindex loses the search index of one of two contexts and builds it anew, some of it twice.
func testReindex(t *testing.T, f Fixture) {
	in, other := incarnation(), incarnation()
	const n = 7
	for _, each := range []string{in, other} {
		for _, text := range numbered("otter ", n) {
			remember(t, f.Store, write(each, text, sets(t, []string{"org/a"})))
		}
	}
	reindex := func(limit int) {
		t.Helper()
		rounds, after := 0, ""
		for {
			last, err := f.Store.Reindex(t.Context(), in, after, limit)
			if err != nil {
				t.Fatal(err)
			}
			if last == "" {
				break
			}
			if last <= after {
				t.Fatalf("after %q comes %q", after, last)
			}
			rounds, after = rounds+1, last
		}
		if want := (n + limit - 1) / limit; rounds != want {
			t.Errorf("%d rounds of %d, want %d", rounds, limit, want)
		}
	}
	whole := f.Rows(t, in)
	f.Unindex(t, in)
	if found := count(t, f.Store, in, "otter"); found != 0 {
		t.Fatalf("without an index %d are found", found)
	}
	reindex(3)
	reindex(200) // what is indexed already stays so
	for query, want := range map[string]int{"otter": n, "otters": n, "badger": 0} {
		if found := count(t, f.Store, in, query); found != want {
			t.Errorf("%q finds %d, want %d", query, found, want)
		}
	}
	if rows := f.Rows(t, in); rows != whole {
		t.Errorf("%d rows became %d", whole, rows)
	}
	if found := count(t, f.Store, other, "otter"); found != n {
		t.Errorf("of the other context %d are found", found)
	}
	// What its chunk says now is what it is found by.
	f.Exec(t, "UPDATE memory_chunks SET text = 'heron' WHERE context_id = ?", in)
	f.Exec(t, "UPDATE memory_chunks SET forgotten_at = created_at WHERE context_id = ? AND id = (SELECT min(id) FROM memory_chunks WHERE context_id = ?)", in, in)
	f.Unindex(t, in)
	if err := job.Reindex(f.Store)(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if left, found := count(t, f.Store, in, "otter"), count(t, f.Store, in, "heron"); left != 0 || found != n-1 {
		t.Errorf("%d are found by what they said, %d by what they say, want 0 and %d", left, found, n-1)
	}
}
