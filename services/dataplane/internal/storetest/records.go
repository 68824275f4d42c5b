package storetest

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
	"github.com/spectron-hq/spectron/services/dataplane/internal/thread"
)

// runRecords runs the part of the suite that is about records and threads.
func runRecords(t *testing.T, f Fixture) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Fixture){
		"records are immutable":        testRecordsAreImmutable,
		"clocks do not fall":           testClocks,
		"the same record races":        testSameRecordRaces,
		"clocks race":                  testClocksRace,
		"the feed skips nothing":       testFeedSkipsNothing,
		"records are selected":         testSelections,
		"pages of records are bounded": testLargePages,
		"records of spaces never mix":  testRecordSpaces,
		"foreign records":              testImport,
		"a deleted thread":             testDeletedThread,
		"deletion races":               testDeletionRaces,
		"threads by page":              testThreads,
		"filters equal the reference":  testRecordQuery,
		"queries by page":              testQueryPages,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, f)
		})
	}
}

func recordsOf(f Fixture) *record.Service {
	return record.New(f.Store, func() time.Time { return start }, "default")
}

func threadsOf(f Fixture) *thread.Service {
	return thread.New(f.Store, recordsOf(f), func() time.Time { return start })
}

// stated returns a draft with the actor's next clock.
func stated(in, actor, body string) record.Draft {
	return record.Draft{Content: record.Content{Thread: in, Actor: actor, Act: record.Know, Body: json.RawMessage(body)}, NextClock: true}
}

// statedAt returns a draft with a clock of its own.
func statedAt(clock int64, in, actor, body string) record.Draft {
	draft := stated(in, actor, body)
	draft.Clock, draft.NextClock = clock, false
	return draft
}

func appended(t testing.TB, records *record.Service, space string, drafts ...record.Draft) []record.Record {
	t.Helper()
	out := make([]record.Record, len(drafts))
	for i, draft := range drafts {
		var err error
		if out[i], _, err = records.Append(t.Context(), space, draft); err != nil {
			t.Fatalf("appending: %v", err)
		}
	}
	return out
}

// feed reads everything, a few records at a time.
func feed(t testing.TB, records *record.Service, space string, selection record.Selection, limit int) []record.Record {
	t.Helper()
	var out []record.Record
	for cursor := ""; ; {
		page, err := records.Since(t.Context(), space, selection, cursor, limit)
		if err != nil {
			t.Fatalf("reading on: %v", err)
		}
		if len(page.Records) > limit || page.More && len(page.Records) == 0 {
			t.Fatalf("a page of %d of %d, more: %v", len(page.Records), limit, page.More)
		}
		out, cursor = append(out, page.Records...), page.Next
		if !page.More {
			return out
		}
	}
}

func idsOf(records []record.Record) []string {
	out := make([]string, len(records))
	for i, each := range records {
		out[i] = each.ID
	}
	return out
}

func hasCode(err error, kind fault.Kind, code string) bool {
	e, ok := errors.AsType[*fault.Error](err)
	return ok && e.Kind == kind && e.Code == code
}

func testRecordsAreImmutable(t *testing.T, f Fixture) {
	in, records := incarnation(), recordsOf(f)
	draft := statedAt(3, "th_a", "did:a", `{"b": 1.0, "a": "é", "deep": {"z": [1e2, null], "y": true}}`)
	draft.Parents, draft.JudgedBy = []string{strings.Repeat("b", 64), strings.Repeat("a", 64), strings.Repeat("b", 64)}, "did:judge"
	first := appended(t, records, in, draft)[0]
	want := record.Record{
		ID: first.ID, Seq: 1, JudgedBy: "did:judge", ReceivedAt: start.Truncate(time.Microsecond),
		Content: record.Content{
			Parents: []string{strings.Repeat("a", 64), strings.Repeat("b", 64)}, Thread: "th_a", Actor: "did:a", Act: record.Know, Clock: 3,
			Body: json.RawMessage(`{"a":"é","b":1,"deep":{"y":true,"z":[100,null]}}`), DataType: record.Scalar,
		},
	}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	appended(t, records, in, statedAt(9, "th_a", "did:a", `{}`)) // the clock has moved on
	draft.JudgedBy = "did:another"
	again, created, err := records.Append(t.Context(), in, draft)
	if err != nil || created {
		t.Fatalf("again: created %v, %v", created, err)
	}
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("again (-want +got):\n%s", diff)
	}
	got, err := records.Get(t.Context(), in, first.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, got); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	if n := len(feed(t, records, in, record.Selection{}, 1)); n != 2 {
		t.Errorf("%d records are stored", n)
	}
	if _, err := records.Get(t.Context(), in, strings.Repeat("0", 64)); !errors.Is(err, fault.NotFound) {
		t.Errorf("an unknown one: %v", err)
	}
}

func testClocks(t *testing.T, f Fixture) {
	in, records := incarnation(), recordsOf(f)
	made := appended(t, records, in,
		stated("th_a", "did:a", `{}`), stated("th_a", "did:a", `{}`), statedAt(7, "th_a", "did:a", `{}`), statedAt(7, "th_a", "did:a", `{"equal":true}`),
		stated("th_a", "did:a", `{}`), stated("th_a", "did:b", `{}`), stated("th_b", "did:a", `{}`), statedAt(0, "th_c", "did:a", `{}`))
	var clocks []int64
	for _, each := range made {
		clocks = append(clocks, each.Clock)
	}
	if diff := cmp.Diff([]int64{1, 2, 7, 7, 8, 1, 1, 0}, clocks); diff != "" {
		t.Errorf("clocks (-want +got):\n%s", diff)
	}
	if _, _, err := records.Append(t.Context(), in, statedAt(7, "th_a", "did:a", `{"late":true}`)); !hasCode(err, fault.Conflict, record.CodeClock) {
		t.Errorf("a lower clock: %v", err)
	}
	appended(t, records, in, statedAt(record.MaxClock, "th_a", "did:a", `{}`))
	if _, _, err := records.Append(t.Context(), in, stated("th_a", "did:a", `{}`)); !hasCode(err, fault.Conflict, record.CodeClock) {
		t.Errorf("behind the last clock: %v", err)
	}
	wrong := stated("th_a", "did:b", `{}`)
	wrong.ID = made[0].ID
	if _, _, err := records.Append(t.Context(), in, wrong); !hasCode(err, fault.Invalid, record.CodeInvalid) {
		t.Errorf("another id: %v", err)
	}
	if n := len(feed(t, records, in, record.Selection{}, 100)); n != 9 {
		t.Errorf("%d records are stored", n)
	}
}

func testSelections(t *testing.T, f Fixture) {
	in, records := incarnation(), recordsOf(f)
	drafts := []record.Draft{
		statedAt(1, "th_a", "did:a", `{}`), statedAt(2, "th_a", "did:b", `{}`), statedAt(3, "th_b", "did:a", `{}`), statedAt(4, "th_b", "did:b", `{}`),
	}
	drafts[3].Act = record.Do
	made := appended(t, records, in, drafts...)
	two, three := int64(2), int64(3)
	for name, tt := range map[string]struct {
		selection record.Selection
		want      []int
	}{
		"all":             {record.Selection{}, []int{0, 1, 2, 3}},
		"thread":          {record.Selection{Thread: "th_a"}, []int{0, 1}},
		"actor":           {record.Selection{Actor: "did:b"}, []int{1, 3}},
		"both":            {record.Selection{Thread: "th_b", Actor: "did:a"}, []int{2}},
		"act":             {record.Selection{Act: record.Do}, []int{3}},
		"clocks from":     {record.Selection{From: &two}, []int{1, 2, 3}},
		"clocks to":       {record.Selection{To: &two}, []int{0, 1}},
		"clocks":          {record.Selection{From: &two, To: &three}, []int{1, 2}},
		"everything":      {record.Selection{Thread: "th_a", Actor: "did:b", Act: record.Know, From: &two, To: &two}, []int{1}},
		"unknown":         {record.Selection{Thread: "th_c"}, nil},
		"not a statement": {record.Selection{Actor: "' OR 1=1 --"}, nil},
	} {
		want := []string{}
		for _, i := range tt.want {
			want = append(want, made[i].ID)
		}
		for _, limit := range []int{1, 100} {
			if diff := cmp.Diff(want, idsOf(feed(t, records, in, tt.selection, limit))); diff != "" {
				t.Errorf("%s, %d at a time (-want +got):\n%s", name, limit, diff)
			}
		}
	}
	end := record.Cursor(in, made[3].Seq)
	if page, err := records.Since(t.Context(), in, record.Selection{}, end, 1); err != nil || page.Next != end || page.More {
		t.Errorf("at the end: %+v, %v", page, err)
	}
	for name, bad := range map[string]struct{ cursor, code string }{
		"garbage":              {"garbage", record.CodeQuery},
		"negative":             {record.Cursor(in, -1), record.CodeQuery},
		"of another space":     {record.Cursor(incarnation(), 1), record.CodeCursor},
		"of what is not there": {record.Cursor(in, made[3].Seq+1), record.CodeCursor},
	} {
		if _, err := records.Since(t.Context(), in, record.Selection{}, bad.cursor, 1); !hasCode(err, fault.Invalid, bad.code) {
			t.Errorf("a cursor that is %s: %v", name, err)
		}
	}
	if _, err := records.AppendSystem(t.Context(), in, record.AuditTokens, record.Learn, map[string]any{}); err != nil {
		t.Fatal(err)
	}
	if all, public := len(feed(t, records, in, record.Selection{}, 2)), idsOf(feed(t, records, in, record.Selection{Public: true}, 2)); all != 5 || len(public) != 4 {
		t.Errorf("of 4 records and one of the engine's own there are %d, %d of them public", all, len(public))
	}
}

func testLargePages(t *testing.T, f Fixture) {
	in, records := incarnation(), recordsOf(f)
	body := `{"text":"` + strings.Repeat("x", record.MaxBody-20) + `"}`
	const many = 40
	for range many {
		appended(t, records, in, stated("th_a", "did:a", body))
	}
	page, err := records.Since(t.Context(), in, record.Selection{}, "", many)
	if err != nil || !page.More || len(page.Records) == 0 || len(page.Records) >= many {
		t.Errorf("a page of %d, more: %v, %v", len(page.Records), page.More, err)
	}
	if n := len(feed(t, records, in, record.Selection{}, many)); n != many {
		t.Errorf("read %d of %d", n, many)
	}
}

func testRecordSpaces(t *testing.T, f Fixture) {
	one, other, records := incarnation(), incarnation(), recordsOf(f)
	made := appended(t, records, one, statedAt(5, "th_a", "did:a", `{"x":1}`))
	same := appended(t, records, other, statedAt(5, "th_a", "did:a", `{"x":1}`))
	if made[0].ID != same[0].ID || same[0].Seq != 1 {
		t.Errorf("the same record elsewhere: %+v", same[0])
	}
	mine := appended(t, records, one, stated("th_b", "did:a", `{}`))[0]
	if _, err := records.Get(t.Context(), other, mine.ID); !errors.Is(err, fault.NotFound) {
		t.Errorf("read from elsewhere: %v", err)
	}
	if err := threadsOf(f).Delete(t.Context(), other, "th_a"); err != nil {
		t.Fatal(err)
	}
	if n := len(feed(t, records, one, record.Selection{}, 10)); n != 2 {
		t.Errorf("%d are left after a thread was deleted elsewhere", n)
	}
	everything := record.Query{Filter: record.Filter{Op: record.And}, Limit: 10}
	if page, err := records.Query(t.Context(), other, everything); err != nil || len(page.Records) != 0 {
		t.Errorf("a query elsewhere: %v, %v", page, err)
	}
}

func testImport(t *testing.T, f Fixture) {
	in, records := incarnation(), recordsOf(f)
	mine := appended(t, records, in, statedAt(5, "th_a", "did:a", `{"x":1}`), stated("th_gone", "did:a", `{}`))
	if err := threadsOf(f).Delete(t.Context(), in, "th_gone"); err != nil {
		t.Fatal(err)
	}
	foreign := func(clock int64, thread, id string) record.Foreign {
		return record.Foreign{Content: statedAt(clock, thread, "did:a", `{"x":1}`).Content, ID: id, JudgedBy: "did:j"}
	}
	broken := foreign(1, "th_a", "")
	broken.Body = json.RawMessage(`{"n":12345678901234567890}`)
	in1 := []record.Foreign{
		foreign(3, "th_a", ""), foreign(5, "th_a", mine[0].ID), foreign(3, "th_a", ""), foreign(1, "th_gone", ""),
		foreign(2, "th_a", mine[0].ID), foreign(1, record.EngineConfig, ""), broken, foreign(9, "th_new", ""),
	}
	changed := records.Changed(in)
	outcomes, err := records.Import(t.Context(), in, in1)
	if err != nil {
		t.Fatal(err)
	}
	var states []record.State
	for i, outcome := range outcomes {
		states = append(states, outcome.State)
		if (outcome.Err == nil) != (outcome.State == record.Stored || outcome.State == record.Known) {
			t.Errorf("the record at %d: %+v", i, outcome)
		}
	}
	want := []record.State{
		record.Stored, record.Known, record.Known, record.Deleted, record.Refused, record.Refused, record.Refused, record.Stored,
	}
	if diff := cmp.Diff(want, states); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	select {
	case <-changed:
	default:
		t.Error("nobody was woken")
	}
	if again, err := records.Import(t.Context(), in, in1[:1]); err != nil || again[0].State != record.Known || again[0].ID != outcomes[0].ID {
		t.Errorf("again: %+v, %v", again, err)
	}
	all := feed(t, records, in, record.Selection{}, 10)
	if diff := cmp.Diff([]string{mine[0].ID, outcomes[0].ID, outcomes[7].ID}, idsOf(all)); diff != "" {
		t.Errorf("the feed (-want +got):\n%s", diff)
	}
	if found, err := threadsOf(f).Get(t.Context(), in, "th_a"); err != nil || found.Records != 2 {
		t.Errorf("the thread: %+v, %v", found, err)
	}
	if next := appended(t, records, in, stated("th_new", "did:a", `{}`))[0]; next.Clock != 10 || next.Seq != 5 {
		t.Errorf("the next one: %+v", next)
	}
}
