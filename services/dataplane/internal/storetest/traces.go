package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/dataplane/internal/session"
	"github.com/spectron-hq/spectron/services/dataplane/internal/trace"
)

// traced stores one row for each entry, a second after the one before.
func traced(t *testing.T, s Store, incarnation string, entries ...trace.Entry) []trace.Entry {
	t.Helper()
	rows := make([]trace.Row, len(entries))
	for i := range entries {
		entries[i].At = start.Add(time.Duration(i) * time.Second)
		rows[i] = trace.Row{Incarnation: incarnation, ID: session.NewID(), Entry: entries[i]}
	}
	if err := s.AddTraces(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	return entries
}

func testTraces(t *testing.T, f Fixture) {
	in := incarnation()
	all := traced(t, f.Store, in,
		trace.Entry{
			TraceID: "t1", Kind: trace.Retrieval, Action: trace.Query, Principal: "a", OnBehalfOf: "c", Key: "k1", Query: "what?", Tier: "hybrid",
			Reason: "because", Took: 1500 * time.Microsecond, Rows: 3,
		},
		trace.Entry{TraceID: "t1", Kind: trace.Decision, Action: trace.AddFacts, Principal: "a", Key: "k2", Rows: 1},
		trace.Entry{TraceID: "t2", Kind: trace.Response, Action: trace.Reflect, Principal: "b", Key: "k3"},
	)
	other := incarnation()
	traced(t, f.Store, other, trace.Entry{TraceID: "t1", Kind: trace.Decision, Principal: "a", Key: "k1"})
	for name, tt := range map[string]struct {
		filter trace.Filter
		want   []trace.Entry
	}{
		"all":                 {trace.Filter{}, []trace.Entry{all[2], all[1], all[0]}},
		"one kind":            {trace.Filter{Kinds: []trace.Kind{trace.Decision}}, []trace.Entry{all[1]}},
		"queries":             {trace.Filter{Kinds: trace.Queries()}, []trace.Entry{all[2], all[0]}},
		"own":                 {trace.Filter{Own: &trace.Owner{Principal: "b"}}, []trace.Entry{all[2]}},
		"own for another":     {trace.Filter{Own: &trace.Owner{Principal: "a", OnBehalfOf: "c"}}, []trace.Entry{all[0]}},
		"own for nobody":      {trace.Filter{Own: &trace.Owner{Principal: "a", OnBehalfOf: "d"}}, nil},
		"own and of another":  {trace.Filter{Own: &trace.Owner{Principal: "b"}, Principal: "a"}, nil},
		"one principal":       {trace.Filter{Principal: "a"}, []trace.Entry{all[1], all[0]}},
		"one key":             {trace.Filter{Key: "k2"}, []trace.Entry{all[1]}},
		"one trace":           {trace.Filter{TraceID: "t1"}, []trace.Entry{all[1], all[0]}},
		"since is included":   {trace.Filter{Since: all[1].At}, []trace.Entry{all[2], all[1]}},
		"until is not":        {trace.Filter{Until: all[1].At}, []trace.Entry{all[0]}},
		"of unknown identity": {trace.Filter{Principal: "' OR 1=1 --"}, nil},
	} {
		tt.filter.Limit = 10
		got, err := f.Store.Traces(t.Context(), in, tt.filter)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(tt.want, got, cmp.Transformer("nil", func(in []trace.Entry) []trace.Entry { return append([]trace.Entry{}, in...) })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if got, err := f.Store.Traces(t.Context(), in, trace.Filter{Limit: 2}); err != nil || len(got) != 2 {
		t.Errorf("limited: %d, %v", len(got), err)
	}
}

func testTraceStats(t *testing.T, f Fixture) {
	in := incarnation()
	traced(t, f.Store, in,
		trace.Entry{Kind: trace.Retrieval, Tier: "direct", Took: time.Hour, Rows: 100}, // too old
		trace.Entry{Kind: trace.Retrieval, Tier: "hybrid", Took: 10 * time.Millisecond, Rows: 4},
		trace.Entry{Kind: trace.Retrieval, Tier: "hybrid", Took: 20 * time.Millisecond},
		trace.Entry{Kind: trace.Response, Tier: "hybrid", Took: time.Hour, Rows: 7},
		trace.Entry{Kind: trace.Decision, Took: time.Hour, Rows: 7},
	)
	got, err := f.Store.TraceStats(t.Context(), in, start.Add(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	want := trace.Stats{
		Queries: 2, Empty: 1, Took: 15 * time.Millisecond, Hits: 2, Tiers: map[string]int64{"hybrid": 2}, Responses: 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("figures (-want +got):\n%s", diff)
	}
	if none, err := f.Store.TraceStats(t.Context(), incarnation(), start); err != nil || none.Queries != 0 {
		t.Errorf("of another context: %+v, %v", none, err)
	}
}

func testPurgeTraces(t *testing.T, f Fixture) {
	in := incarnation()
	long := start.AddDate(-50, 0, 0) // older than what other tests write
	rows := make([]trace.Row, 3)
	for i := range rows {
		rows[i] = trace.Row{Incarnation: in, ID: session.NewID(), Entry: trace.Entry{At: long.Add(time.Duration(i) * time.Hour)}}
	}
	if err := f.Store.AddTraces(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	for want, before := range []time.Time{long, long.Add(time.Hour), long.Add(2 * time.Hour)} {
		n, err := f.Store.PurgeTraces(t.Context(), before, 10)
		if err != nil || n != min(want, 1) {
			t.Errorf("before %v: %d, %v", before, n, err)
		}
	}
	if left, err := f.Store.Traces(t.Context(), in, trace.Filter{Limit: 10}); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
}
