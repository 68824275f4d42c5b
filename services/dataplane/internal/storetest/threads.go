package storetest

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
	"github.com/spectron-hq/spectron/services/dataplane/internal/thread"
)

func testThreads(t *testing.T, f Fixture) {
	in, threads := incarnation(), threadsOf(f)
	made, err := threads.Create(t.Context(), in, "th_m", "Minutes")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := threads.Create(t.Context(), in, "th_m", "Another title"); err != nil || again != made {
		t.Errorf("again: %+v, %v", again, err)
	}
	appended(t, recordsOf(f), in, stated("th_a", "did:b", `{}`), stated("th_a", "did:a", `{}`), stated("th_a", "did:a", `{}`), stated("th_m", "did:a", `{}`))
	at := start.Truncate(time.Microsecond)
	want := []thread.Thread{
		{ID: "th_a", Records: 3, CreatedAt: at, LastRecordAt: at},
		{ID: "th_m", Title: "Minutes", Records: 1, CreatedAt: at, LastRecordAt: at},
	}
	for _, limit := range []int{1, 10} {
		var got []thread.Thread
		for after, more := "", true; more; after = got[len(got)-1].ID {
			var page []thread.Thread
			if page, more, err = threads.List(t.Context(), in, after, limit); err != nil || len(page) == 0 {
				t.Fatalf("listing: %v, %v", page, err)
			}
			got = append(got, page...)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d at a time (-want +got):\n%s", limit, diff)
		}
	}
	people, err := threads.Participants(t.Context(), in, "th_a")
	if diff := cmp.Diff([]thread.Participant{{Actor: "did:a", Records: 2, First: 1, Last: 2}, {Actor: "did:b", Records: 1, First: 1, Last: 1}}, people); diff != "" || err != nil {
		t.Errorf("participants: %v (-want +got):\n%s", err, diff)
	}
	if counts, err := threads.Count(t.Context(), in); err != nil || counts != (thread.Counts{Threads: 2, Records: 4}) {
		t.Errorf("counts: %+v, %v", counts, err)
	}
	if counts, err := threads.Count(t.Context(), incarnation()); err != nil || counts != (thread.Counts{}) {
		t.Errorf("counts of nothing: %+v, %v", counts, err)
	}
}

func testDeletedThread(t *testing.T, f Fixture) {
	in, records, threads := incarnation(), recordsOf(f), threadsOf(f)
	gone := appended(t, records, in, stated("th_gone", "did:a", `{"x":1}`), statedAt(4, "th_gone", "did:a", `{"x":1}`))
	stays := appended(t, records, in, stated("th_stays", "did:a", `{"x":1}`))
	if err := threads.Delete(t.Context(), in, "th_never"); !errors.Is(err, fault.NotFound) {
		t.Errorf("deleting what is not there: %v", err)
	}
	for range 2 {
		if err := threads.Delete(t.Context(), in, "th_gone"); err != nil {
			t.Fatal(err)
		}
	}
	if got := idsOf(feed(t, records, in, record.Selection{}, 10)); !cmp.Equal(got, idsOf(stays)) {
		t.Errorf("the feed: %v", got)
	}
	if got := feed(t, records, in, record.Selection{Thread: "th_gone"}, 10); len(got) != 0 {
		t.Errorf("its feed: %v", got)
	}
	if _, err := records.Get(t.Context(), in, gone[0].ID); !errors.Is(err, fault.NotFound) {
		t.Errorf("by id: %v", err)
	}
	if found, err := records.Find(t.Context(), in, idsOf(append(gone, stays...))); err != nil || !cmp.Equal(idsOf(found), idsOf(stays)) {
		t.Errorf("by ids: %v, %v", found, err)
	}
	if page, err := records.Query(t.Context(), in, record.Query{Filter: record.Filter{Op: record.And}, Limit: 10}); err != nil || !cmp.Equal(idsOf(page.Records), idsOf(stays)) {
		t.Errorf("by a query: %v, %v", page, err)
	}
	if err := records.Fold(t.Context(), in, "th_gone", record.ByClock, func(record.Record) error { return errors.New("seen") }); err != nil {
		t.Errorf("folded: %v", err)
	}
	for name, ask := range map[string]func() error{
		"get":          func() error { _, err := threads.Get(t.Context(), in, "th_gone"); return err },
		"state":        func() error { _, err := threads.State(t.Context(), in, "th_gone"); return err },
		"messages":     func() error { _, err := threads.Messages(t.Context(), in, "th_gone"); return err },
		"participants": func() error { _, err := threads.Participants(t.Context(), in, "th_gone"); return err },
	} {
		if err := ask(); !errors.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if all, _, err := threads.List(t.Context(), in, "", 10); err != nil || len(all) != 1 {
		t.Errorf("listed: %v, %v", all, err)
	}
	if counts, err := threads.Count(t.Context(), in); err != nil || counts != (thread.Counts{Threads: 1, Records: 1}) {
		t.Errorf("counts: %+v, %v", counts, err)
	}
	for name, write := range map[string]func() error{
		"a new record": func() error {
			_, _, err := records.Append(t.Context(), in, stated("th_gone", "did:a", `{}`))
			return err
		},
		"a known record": func() error {
			_, _, err := records.Append(t.Context(), in, statedAt(4, "th_gone", "did:a", `{"x":1}`))
			return err
		},
		"the thread": func() error { _, err := threads.Create(t.Context(), in, "th_gone", ""); return err },
	} {
		if err := write(); !hasCode(err, fault.Conflict, record.CodeDeleted) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// testDeletionRaces appends to a thread while it is deleted: what was answered with success before is counted and hidden, and
// after the deletion has been answered nothing is taken.
func testDeletionRaces(t *testing.T, f Fixture) {
	in, records, threads := incarnation(), recordsOf(f), threadsOf(f)
	appended(t, records, in, stated("th_a", "did:a", `{}`))
	var deleted atomic.Bool
	together(6, func(i int) {
		if i == 0 {
			if err := threads.Delete(t.Context(), in, "th_a"); err != nil {
				t.Errorf("deleting: %v", err)
			}
			deleted.Store(true)
			return
		}
		for range 4 {
			late := deleted.Load()
			_, _, err := records.Append(t.Context(), in, stated("th_a", "did:a", `{}`))
			if err != nil && !hasCode(err, fault.Conflict, record.CodeDeleted) || err == nil && late {
				t.Errorf("appending, after the deletion: %v: %v", late, err)
			}
		}
	})
	if left := feed(t, records, in, record.Selection{}, 100); len(left) != 0 {
		t.Errorf("%d records are seen", len(left))
	}
}
