package storetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
)

// together runs n functions at once and waits for them.
func together(n int, run func(i int)) {
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { run(i) })
	}
	group.Wait()
}

func testSameRecordRaces(t *testing.T, f Fixture) {
	in, records := incarnation(), recordsOf(f)
	const racers = 8
	var created [racers]bool
	var ids [racers]string
	together(racers, func(i int) {
		stored, isNew, err := records.Append(t.Context(), in, statedAt(1, "th_a", "did:a", `{"x":1}`))
		if err != nil {
			t.Errorf("racing: %v", err)
		}
		created[i], ids[i] = isNew, stored.ID
	})
	if n := len(slices.DeleteFunc(created[:], func(is bool) bool { return !is })); n != 1 {
		t.Errorf("%d say that it is new", n)
	}
	if distinct := slices.Compact(slices.Sorted(slices.Values(ids[:]))); len(distinct) != 1 {
		t.Errorf("ids: %v", distinct)
	}
	if n := len(feed(t, records, in, record.Selection{}, 100)); n != 1 {
		t.Errorf("%d records are stored", n)
	}
	if found, err := threadsOf(f).Get(t.Context(), in, "th_a"); err != nil || found.Records != 1 {
		t.Errorf("the thread: %+v, %v", found, err)
	}
}

func testClocksRace(t *testing.T, f Fixture) {
	in, records := incarnation(), recordsOf(f)
	const racers = 8
	together(racers, func(int) {
		for range 3 {
			if _, _, err := records.Append(t.Context(), in, stated("th_a", "did:a", `{}`)); err != nil {
				t.Errorf("racing: %v", err)
			}
		}
	})
	var clocks []int64
	for i, each := range feed(t, records, in, record.Selection{}, 5) {
		clocks = append(clocks, each.Clock)
		if each.Seq != int64(i+1) {
			t.Errorf("the record at %d has number %d", i, each.Seq)
		}
	}
	if len(clocks) != 3*racers || !slices.IsSorted(clocks) || len(slices.Compact(clocks)) != 3*racers {
		t.Errorf("clocks: %v", clocks)
	}
}

// testFeedSkipsNothing reads on behind writers: what a reader has seen and what is there in the end must be the same, in the
// same order.
func testFeedSkipsNothing(t *testing.T, f Fixture) {
	in, records := incarnation(), recordsOf(f)
	const writers, each = 6, 8
	var seen []string
	var reading sync.WaitGroup
	reading.Go(func() {
		cursor := ""
		for len(seen) < writers*each {
			changed := records.Changed(in)
			page, err := records.Since(t.Context(), in, record.Selection{}, cursor, 3)
			if err != nil {
				t.Errorf("reading on: %v", err)
				return
			}
			seen, cursor = append(seen, idsOf(page.Records)...), page.Next
			if len(page.Records) > 0 {
				continue
			}
			select {
			case <-changed:
			case <-time.After(20 * time.Second):
				t.Errorf("nothing came after %d records", len(seen))
				return
			}
		}
	})
	together(writers, func(i int) {
		for range each {
			if _, _, err := records.Append(t.Context(), in, stated(fmt.Sprintf("th_%d", i), "did:a", `{}`)); err != nil {
				t.Errorf("writing: %v", err)
			}
		}
	})
	reading.Wait()
	if diff := cmp.Diff(idsOf(feed(t, records, in, record.Selection{}, 100)), seen); diff != "" {
		t.Errorf("the reader saw something else (-there +seen):\n%s", diff)
	}
}
