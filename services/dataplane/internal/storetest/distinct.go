package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
)

func testDistinct(t *testing.T, f Fixture) {
	in := incarnation()
	everywhere := sets(t, []string{"/"})
	// More equal ones than are looked at first.
	for range 2 {
		if _, err := f.Store.RememberAll(t.Context(), batch(in, everywhere, repeated("otter", 60)...)); err != nil {
			t.Fatal(err)
		}
	}
	newest := write(in, "otter", everywhere)
	newest.Chunk.CreatedAt = start.Add(time.Hour)
	remember(t, f.Store, newest)
	remember(t, f.Store, write(in, "an otter and many other animals of the river", everywhere))
	for limit, want := range map[int][]string{
		1: {"otter"}, 2: {"otter", "an otter and many other animals of the river"}, 3: {"otter", "an otter and many other animals of the river"},
	} {
		question := search(in, "otter")
		question.Distinct, question.Limit = true, limit
		hits := find(t, f.Store, question)
		if diff := cmp.Diff(want, texts(hits)); diff != "" {
			t.Fatalf("%d (-want +got):\n%s", limit, diff)
		}
		if hits[0].ID != newest.Chunk.ID || hits[0].Score != 1 {
			t.Errorf("not the newest stands for all: %+v", hits[0])
		}
	}
	question := search(in, "otter")
	question.Limit = 7
	if hits := find(t, f.Store, question); len(hits) != 7 {
		t.Errorf("with duplicates: %d", len(hits))
	}
}

func repeated(text string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = text
	}
	return out
}

func testValidity(t *testing.T, f Fixture) {
	in := incarnation()
	hour := func(n int) time.Time { return start.Add(time.Duration(n) * time.Hour) }
	w := write(in, "otter", sets(t, []string{"/"}))
	w.Chunk.CreatedAt, w.Chunk.ObservedAt = hour(5), hour(2)
	remember(t, f.Store, w)
	for name, tt := range map[string]struct {
		narrow func(*memory.Search)
		want   int
	}{
		"now":                          {func(*memory.Search) {}, 1},
		"before it was true":           {func(s *memory.Search) { s.AtInstant = hour(1) }, 0},
		"when it began to be":          {func(s *memory.Search) { s.AtInstant = hour(2) }, 1},
		"before it was known":          {func(s *memory.Search) { s.AsOf = hour(4) }, 0},
		"true, but not known by then":  {func(s *memory.Search) { s.AtInstant, s.AsOf = hour(3), hour(4) }, 0},
		"true, and known by then":      {func(s *memory.Search) { s.AtInstant, s.AsOf = hour(3), hour(5) }, 1},
		"valid until it began":         {func(s *memory.Search) { s.ValidUntil = hour(2) }, 0},
		"valid until later":            {func(s *memory.Search) { s.ValidUntil = hour(3) }, 1},
		"valid from, while it goes on": {func(s *memory.Search) { s.ValidFrom = hour(9) }, 1},
		"in a time before":             {func(s *memory.Search) { s.ValidFrom, s.ValidUntil = hour(0), hour(1) }, 0},
	} {
		question := search(in, "otter")
		tt.narrow(&question)
		if got := len(find(t, f.Store, question)); got != tt.want {
			t.Errorf("%s: %d hits", name, got)
		}
	}
}
