package storetest

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
	"github.com/spectron-hq/spectron/services/dataplane/internal/scopetree"
	"github.com/spectron-hq/spectron/services/dataplane/internal/session"
)

func conversation(t testing.TB, s Store, incarnation string, at time.Time, sets scope.Sets, metadata string) session.Overview {
	t.Helper()
	made := session.Overview{Session: session.Session{ID: session.NewID(), Sets: sets, Principal: "writer", CreatedAt: at}}
	if metadata != "" {
		made.Metadata = json.RawMessage(metadata)
	}
	if err := s.CreateSession(t.Context(), incarnation, made); err != nil {
		t.Fatal(err)
	}
	return made
}

// batch returns a write of texts into a new session.
func batch(incarnation string, sets scope.Sets, texts ...string) memory.BatchWrite {
	w := memory.BatchWrite{
		Incarnation: incarnation, NewSession: true,
		Session: session.Session{ID: session.NewID(), Sets: sets, Principal: "writer", CreatedAt: start},
	}
	for _, text := range texts {
		w.Turns = append(w.Turns, session.Turn{ID: session.NewID(), Role: session.Tool, Content: text, Principal: "writer", CreatedAt: start})
		w.Chunks = append(w.Chunks, memory.Chunk{ID: session.NewID(), Sets: sets, Text: text, Labels: []string{"a=b"}, CreatedAt: start})
	}
	return w
}

func testConversations(t *testing.T, f Fixture) {
	in := incarnation()
	samePath := cmp.Comparer(func(a, b scope.Path) bool { return a == b })
	older := conversation(t, f.Store, in, start, sets(t, []string{"a", "b"}, []string{"c"}), `{"k": [1, null]}`)
	newer := conversation(t, f.Store, in, start.Add(time.Second), sets(t, []string{"c"}), "")
	everything := scope.Region{scope.Everything}
	all, err := f.Store.Sessions(t.Context(), in, everything, session.Page{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]session.Overview{newer, older}, all, samePath); diff != "" {
		t.Errorf("newest first (-want +got):\n%s", diff)
	}
	second, err := f.Store.Sessions(t.Context(), in, everything, session.Page{Limit: 1, Offset: 1})
	if err != nil || len(second) != 1 || second[0].ID != older.ID {
		t.Errorf("the second page: %v, %v", second, err)
	}
	got, err := f.Store.Overview(t.Context(), session.Conversation{Incarnation: in, Region: region(t, "a", "b"), ID: older.ID})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(older, got, samePath); diff != "" {
		t.Errorf("session (-want +got):\n%s", diff)
	}
	for name, which := range map[string]session.Conversation{
		"outside the region":   {Incarnation: in, Region: region(t, "a"), ID: older.ID},
		"without a region":     {Incarnation: in, ID: older.ID},
		"from another context": {Incarnation: incarnation(), Region: everything, ID: older.ID},
		"unknown":              {Incarnation: in, Region: everything, ID: "unknown"},
	} {
		if _, err := f.Store.Overview(t.Context(), which); !errors.Is(err, session.ErrAbsent) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := f.Store.Turns(t.Context(), which, session.Page{Limit: 1}); !errors.Is(err, session.ErrAbsent) {
			t.Errorf("turns %s: %v", name, err)
		}
	}
}

func testConversationsVisibility(t *testing.T, f Fixture) {
	rapid.Check(t, func(rt *rapid.T) {
		in := incarnation()
		rows := rapid.SliceOfN(rapid.SliceOfN(rapid.SliceOfN(paths, 1, 3), 1, 3), 1, 6).Draw(rt, "rows")
		made := make(map[string]scope.Sets, len(rows))
		for _, row := range rows {
			made[conversation(t, f.Store, in, start, scopetree.Normal(row), "").ID] = row
		}
		for range 10 {
			region := regions.Draw(rt, "region")
			found, err := f.Store.Sessions(t.Context(), in, region, session.Page{Limit: 100})
			if err != nil {
				rt.Fatal(err)
			}
			var want, got []string
			for _, each := range found {
				got = append(got, each.ID)
			}
			for id, row := range made {
				if readable(row, region) {
					want = append(want, id)
				}
				turns, err := f.Store.Turns(t.Context(), session.Conversation{Incarnation: in, Region: region, ID: id}, session.Page{Limit: 1})
				if (err == nil) != readable(row, region) || len(turns) != 0 {
					rt.Fatalf("region %v, row %v: turns %v, %v", region, row, turns, err)
				}
			}
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(want, got) {
				rt.Fatalf("region %v of %v: want %d, got %d", region, rows, len(want), len(got))
			}
		}
	})
}

func testTurnsInOrder(t *testing.T, f Fixture) {
	in := incarnation()
	w := batch(in, sets(t, []string{"a"}), "one", "two", "three")
	if _, err := f.Store.RememberAll(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	more := batch(in, sets(t, []string{"a"}), "four", "five")
	more.Session, more.NewSession = w.Session, false
	if _, err := f.Store.RememberAll(t.Context(), more); err != nil {
		t.Fatal(err)
	}
	which := session.Conversation{Incarnation: in, Region: region(t, "a"), ID: w.Session.ID}
	turns, err := f.Store.Turns(t.Context(), which, session.Page{Limit: 3, Offset: 1})
	if err != nil {
		t.Fatal(err)
	}
	want := []session.Said{{Turn: w.Turns[1], Seq: 2}, {Turn: w.Turns[2], Seq: 3}, {Turn: more.Turns[0], Seq: 4}}
	if diff := cmp.Diff(want, turns); diff != "" {
		t.Errorf("turns (-want +got):\n%s", diff)
	}
	if got, err := f.Store.Overview(t.Context(), which); err != nil || got.Turns != 5 {
		t.Errorf("%d turns, %v", got.Turns, err)
	}
	if beyond, err := f.Store.Turns(t.Context(), which, session.Page{Limit: 3, Offset: 5}); err != nil || len(beyond) != 0 {
		t.Errorf("beyond the end: %v, %v", beyond, err)
	}
}

func testDeleteSession(t *testing.T, f Fixture) {
	in := incarnation()
	w := batch(in, sets(t, []string{"a"}), "otter one", "otter two")
	if _, err := f.Store.RememberAll(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	other := incarnation()
	if err := f.Store.DeleteSession(t.Context(), other, w.Session.ID); !errors.Is(err, session.ErrAbsent) {
		t.Errorf("from another context: %v", err)
	}
	if err := f.Store.DeleteSession(t.Context(), in, w.Session.ID); err != nil {
		t.Fatal(err)
	}
	if err := f.Store.DeleteSession(t.Context(), in, w.Session.ID); !errors.Is(err, session.ErrAbsent) {
		t.Errorf("again: %v", err)
	}
	if left := f.Seqs(t, in, w.Session.ID); len(left) != 0 {
		t.Errorf("%d turns are left", len(left))
	}
	if n := count(t, f.Store, in, "otter"); n != 2 {
		t.Errorf("of what was learnt %d are found", n)
	}
}

func testBatchIsWhole(t *testing.T, f Fixture) {
	in := incarnation()
	twice := batch(in, sets(t, []string{"a"}), "otter one", "otter two")
	twice.Chunks[1].ID = twice.Chunks[0].ID
	before := f.Rows(t, in)
	if _, err := f.Store.RememberAll(t.Context(), twice); err == nil {
		t.Fatal("two rows of one id were stored")
	}
	if after := f.Rows(t, in); after != before {
		t.Errorf("half a batch was stored: %d rows", after-before)
	}
	gone := batch(in, sets(t, []string{"a"}), "otter")
	gone.NewSession = false
	if _, err := f.Store.RememberAll(t.Context(), gone); !errors.Is(err, session.ErrAbsent) {
		t.Errorf("appending to an unknown session: %v", err)
	}
}
