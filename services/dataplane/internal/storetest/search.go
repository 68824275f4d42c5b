package storetest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
	"github.com/spectron-hq/spectron/services/dataplane/internal/session"
)

func testWords(t *testing.T, f Fixture) {
	in := incarnation()
	everywhere := sets(t, []string{"/"})
	for _, text := range []string{
		"Alice prefers green tea to coffee.",
		"The deployments failed on Friday",
		"Reach her at alice.smith@example.com or https://example.com/contact",
		"They met in the café of the École Normale",
		"Release v1.2.3 broke foo_bar-baz, didn't it?",
		"東京タワー opened in 1958",
		"हिन्दी में नमस्ते",
		strings.Repeat("supercalifragilistic", 200) + " is long",
	} {
		remember(t, f.Store, write(in, text, everywhere))
	}
	for _, tt := range []struct{ query, want string }{
		{"What does Alice like to drink, tea?", "Alice prefers"},
		{"deployment failing", "The deployments"},
		{"DEPLOYMENTS", "The deployments"},
		{"smith", "Reach her"},
		{"alice.smith@example.com", "Reach her"},
		{"cafe", "They met"},
		{"CAFÉ", "They met"},
		{"ecole", "They met"},
		{"foo bar", "Release v1"},
		{"baz", "Release v1"},
		{"v1", "Release v1"},
		{"1958", "東京タワー"},
		{"東京タワー", "東京タワー"},
		{"नमस्ते", "हिन्दी"},
		{strings.Repeat("supercalifragilistic", 200), "supercali"},
	} {
		hits := find(t, f.Store, search(in, tt.query))
		if !slices.ContainsFunc(texts(hits), func(text string) bool { return strings.HasPrefix(text, tt.want) }) {
			t.Errorf("%.40q does not find %q", tt.query, tt.want)
		}
	}
	for _, query := range []string{"unheard", "ali", "example.org"} {
		for _, text := range texts(find(t, f.Store, search(in, query))) {
			if !strings.HasPrefix(text, "Reach her") || query != "example.org" { // it shares a word
				t.Errorf("%q finds %q", query, text)
			}
		}
	}
}

func testRanking(t *testing.T, f Fixture) {
	in := incarnation()
	everywhere := sets(t, []string{"/"})
	later := write(in, "an equal text about otters", everywhere)
	later.Chunk.CreatedAt = start.Add(time.Microsecond)
	same := write(in, "an equal text about otters", everywhere)
	for _, w := range []memory.Write{
		same,
		later,
		write(in, "otters and badgers, badgers, badgers", everywhere),
		write(in, "nothing of the kind", everywhere),
	} {
		remember(t, f.Store, w)
	}
	hits := find(t, f.Store, search(in, "badgers otters"))
	if len(hits) != 3 || !strings.HasPrefix(hits[0].Text, "otters and badgers") {
		t.Fatalf("hits: %v", texts(hits))
	}
	if hits[1].ID != later.Chunk.ID || hits[2].ID != same.Chunk.ID {
		t.Error("of equal hits the newest must come first")
	}
	if hits[0].Score <= hits[1].Score || hits[1].Score != hits[2].Score {
		t.Errorf("scores: %v %v %v", hits[0].Score, hits[1].Score, hits[2].Score)
	}
	limited := search(in, "badgers otters")
	limited.Limit = 1
	if got := find(t, f.Store, limited); len(got) != 1 || got[0].ID != hits[0].ID {
		t.Errorf("limited to one: %v", texts(got))
	}
}

func testFilters(t *testing.T, f Fixture) {
	in := incarnation()
	everywhere := sets(t, []string{"/"})
	first := write(in, "otter one", everywhere)
	first.Chunk.Labels = []string{"kind=animal", "size=small"}
	first.Chunk.ObservedAt = start.Add(-time.Hour)
	first.Chunk.Category = memory.Knowledge
	remember(t, f.Store, first)
	second := write(in, "otter two", everywhere)
	second.Chunk.Labels = []string{"kind=animal"}
	second.Chunk.CreatedAt = start.Add(time.Second)
	remember(t, f.Store, second)

	for _, tt := range []struct {
		name   string
		narrow func(*memory.Search)
		want   []string
	}{
		{"none", func(*memory.Search) {}, []string{"otter one", "otter two"}},
		{"a label", func(s *memory.Search) { s.Labels = []string{"kind=animal"} }, []string{"otter one", "otter two"}},
		{"labels", func(s *memory.Search) { s.Labels = []string{"kind=animal", "size=small"} }, []string{"otter one"}},
		{"part of a label", func(s *memory.Search) { s.Labels = []string{"kind=anim"} }, nil},
		{"session", func(s *memory.Search) { s.SessionID = second.Session.ID }, []string{"otter two"}},
		{"unknown session", func(s *memory.Search) { s.SessionID = session.NewID() }, nil},
		{"as of", func(s *memory.Search) { s.AsOf = start }, []string{"otter one"}},
		{"as of before", func(s *memory.Search) { s.AsOf = start.Add(-time.Microsecond) }, nil},
		{"region", func(s *memory.Search) { s.Region = nil }, nil},
	} {
		question := search(in, "otter")
		tt.narrow(&question)
		got := texts(find(t, f.Store, question))
		slices.Sort(got)
		if diff := cmp.Diff(tt.want, got, cmp.Comparer(slices.Equal[[]string])); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	question := search(in, "otter")
	question.SessionID = first.Session.ID
	if got := find(t, f.Store, question); !got[0].OccurredAt.Equal(first.Chunk.ObservedAt) || got[0].Score <= 0 {
		t.Errorf("hit: %+v", got[0])
	}
	question.SessionID = second.Session.ID
	if got := find(t, f.Store, question); !got[0].OccurredAt.IsZero() {
		t.Errorf("a time that nobody said: %v", got[0].OccurredAt)
	}
}

// HostileTexts are texts that mean something to the engines' query languages.
var HostileTexts = []string{
	`'`, `''`, `"`, `""`, `"otter`, `otter"`, `'otter' & 'x'`, `otter' | '`, `otter:*`, `otter*`, `^otter`, `!otter`, `NOT otter`,
	`otter NOT otter`, `otter AND otter`, `NEAR(otter otter, 2)`, `words:otter`, `context:otter`, `{words context}: otter`,
	`- context : otter`, `\`, `\'`, `otter\`, `(otter`, `otter)`, `()`, `otter <-> otter`, `:`, `::`, `otter:A`, `%`, `_`, `?`, `@otter`,
	`$1`, `; DROP TABLE memory_chunks; --`, "otter\x01otter", "\u200d", "\u0301", "ⓞⓣⓣⓔⓡ", "ﬁ", "İ", "ß", "\U0010FFFF", "otter\n\t\r otter",
}

func testHostileText(t *testing.T, f Fixture) {
	in := incarnation()
	everywhere := sets(t, []string{"/"})
	remember(t, f.Store, write(in, "otter", everywhere))
	for _, text := range HostileTexts {
		if terms := memory.Terms(text); len(terms) > 0 {
			hits := find(t, f.Store, search(in, text))
			if slices.Contains(terms, "otter") != (len(hits) == 1) {
				t.Errorf("%q with the terms %q finds %d", text, terms, len(hits))
			}
		}
	}
	in = incarnation()
	for _, text := range HostileTexts {
		w := write(in, text+" unlikely", everywhere)
		w.Chunk.Labels = []string{"text=" + text}
		remember(t, f.Store, w)
		question := search(in, "unlikely")
		question.Labels = w.Chunk.Labels
		if hits := find(t, f.Store, question); len(hits) != 1 || hits[0].Text != w.Chunk.Text {
			t.Errorf("%q was not kept as it was", text)
		}
	}
}
