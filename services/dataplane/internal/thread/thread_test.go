package thread_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
	"github.com/spectron-hq/spectron/services/dataplane/internal/thread"
)

// pile is the records of one thread in the order of their arrival.
type pile struct {
	thread.Store
	records []record.Record
}

func (pile) Thread(context.Context, string, string) (thread.Thread, error) {
	return thread.Thread{}, nil
}

func (p pile) Fold(_ context.Context, _, _ string, order record.Order, each func(record.Record) error) error {
	if order == record.ByClock {
		p.records = slices.SortedFunc(slices.Values(p.records), func(a, b record.Record) int {
			if a.Clock != b.Clock {
				return int(a.Clock - b.Clock)
			}
			return strings.Compare(a.ID, b.ID)
		})
	}
	for _, r := range p.records {
		if err := each(r); err != nil {
			return err
		}
	}
	return nil
}

func of(records ...record.Record) *thread.Service {
	p := pile{records: records}
	return thread.New(p, p, time.Now)
}

func said(id string, clock int64, act record.Act, body string, parents ...string) record.Record {
	return record.Record{ID: id, Content: record.Content{Act: act, Clock: clock, Actor: "did:a", Body: json.RawMessage(body), Parents: parents}}
}

func TestState(t *testing.T) {
	t.Parallel()
	records := []record.Record{
		said("c", 2, record.Put, `{"x":{"deep":1},"y":null}`, "a", "elsewhere"),
		said("a", 1, record.Know, `{"x":1,"z":100000000000000000000}`),
		said("d", 2, record.Learn, `{"y":"last"}`),
		said("b", 5, record.Get, `{"x":"asked"}`),
		said("e", 3, record.Do, `{"done":true}`, "d"),
	}
	want := thread.State{
		Records: 5, Heads: []string{"b", "c", "e"}, LastClock: 5,
		Acts: map[record.Act]int64{record.Put: 1, record.Know: 1, record.Learn: 1, record.Get: 1, record.Do: 1},
		Fields: map[string]json.RawMessage{
			"x": json.RawMessage(`{"deep":1}`), "y": json.RawMessage(`"last"`), "z": json.RawMessage(`100000000000000000000`), "done": json.RawMessage(`true`),
		},
	}
	rapid.Check(t, func(rt *rapid.T) {
		got, err := of(rapid.Permutation(records).Draw(rt, "order of arrival")...).State(t.Context(), "s", "th_a")
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("state (-want +got):\n%s", diff)
		}
	})
}

func TestMessages(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"text":"a","message":"b"}`:                              "a",
		`{"title":"d","content":"c"}`:                             "c",
		`{"text":"","message":"b"}`:                               "b",
		`{"text":5,"title":"d"}`:                                  "d",
		`{"n":1}`:                                                 `{"n":1}`,
		`{"text":"` + strings.Repeat("é", 10000) + `"}`:           strings.Repeat("é", 8192) + "…",
		`{"text":"x` + strings.Repeat("é", 10000) + `"}`:          "x" + strings.Repeat("é", 8191) + "…",
		`{"n":"` + strings.Repeat("x", 20000) + `","text":false}`: `{"n":"` + strings.Repeat("x", 16384-6) + "…",
	} {
		got, err := of(said("a", 1, record.Know, body)).Messages(t.Context(), "s", "th_a")
		if err != nil || len(got) != 1 || got[0].Text != want {
			t.Errorf("%.40s: %.40q, %v", body, got[0].Text, err)
		}
	}
	var many []record.Record
	for i := range 3*thread.MaxMessages + 7 {
		many = append(many, said(fmt.Sprint(i), int64(i), record.Know, `{}`))
	}
	got, err := of(many...).Messages(t.Context(), "s", "th_a")
	if err != nil || len(got) != thread.MaxMessages || got[0].Clock != 2*thread.MaxMessages+7 || got[len(got)-1].Clock != 3*thread.MaxMessages+6 {
		t.Errorf("of many: %d from %d on, %v", len(got), got[0].Clock, err)
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	got := thread.Lines([]thread.Message{
		{Clock: 7, Act: record.Know, Actor: "did:\x1b]0;x\x07a", Text: "one\ttwo\r\n\x1b[31mred\u202e\u009b\n\n"},
		{Clock: 8, Act: record.Intend, Actor: "did:é", Text: "👩\u200d🚀 e\u0301"},
		{Clock: 9, Act: record.Do, Actor: "did:a"},
	})
	want := []string{
		"     7  KNOW    did:\ufffd]0;x\ufffda  one two", "        \ufffd[31mred\ufffd\ufffd",
		"     8  INTEND  did:é  👩\u200d🚀 e\u0301",
		"     9  DO      did:a  ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}
