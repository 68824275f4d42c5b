package storetest

import (
	"testing"

	"github.com/spectron-hq/spectron/services/dataplane/internal/scopetree"
	"github.com/spectron-hq/spectron/services/dataplane/internal/trace"
)

func testPurge(t *testing.T, f Fixture) {
	gone, stays := incarnation(), incarnation()
	for _, in := range []string{gone, stays} {
		for _, text := range numbered("otter ", 5) {
			w := named(t, in, text, text)
			w.Chunk.Labels = []string{"a=b", "c=d"}
			w.Chunk.Sets = scopetree.Normal(sets(t, []string{"org/a", "org/b"}, []string{"org/c"}))
			remember(t, f.Store, w)
		}
		for _, where := range []string{"org/a", "org/b", "org/c"} {
			seedAlice(t, f.Store, in, sets(t, []string{where}))
		}
		register(t, f.Store, in, "org/acme/user")
		keepPair(t, f.Store, in, kept("a", nil))
		appended(t, recordsOf(f), in, stated("th_a", "did:a", `{}`), stated("th_a", "did:a", `{}`), stated("th_b", "did:a", `{}`))
		traced(t, f.Store, in, trace.Entry{TraceID: "t"}, trace.Entry{TraceID: "t"}, trace.Entry{TraceID: "t"})
	}
	before := f.Rows(t, stays)
	rounds := 0
	for {
		n, err := f.Store.PurgeContext(t.Context(), gone, 2)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		rounds++
	}
	if rounds < 3 {
		t.Errorf("emptied in %d rounds: the limit was not kept", rounds)
	}
	if left := f.Rows(t, gone); left != 0 {
		t.Errorf("%d rows are left", left)
	}
	if after := f.Rows(t, stays); after != before || before == 0 {
		t.Errorf("the other context had %d rows, has %d", before, after)
	}
	if n := count(t, f.Store, stays, "otter"); n != 5 {
		t.Errorf("of the other context %d are found", n)
	}
}
