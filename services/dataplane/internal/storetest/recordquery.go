package storetest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
)

// testRecordQuery compares what the database makes of a query with what a program does that goes through all records.
func testRecordQuery(t *testing.T, f Fixture) {
	in, records := incarnation(), recordsOf(f)
	var all []record.Record
	add := func(draft record.Draft) { all = append(all, appended(t, records, in, draft)...) }
	for i, body := range bodies() {
		draft := stated([]string{"th_a", "th_b"}[i%2], []string{"did:a", "did:B", "did:é"}[i%3], body)
		draft.Act = []record.Act{record.Know, record.Do}[i%2]
		draft.DataType = []record.DataType{record.Scalar, record.Void, record.Formula}[i%3]
		add(draft)
	}
	add(statedAt(record.MaxClock, "th_c", "did:a", `{}`))
	rapid.Check(t, func(rt *rapid.T) {
		filter := filters(all, 3).Draw(rt, "filter")
		text, err := json.Marshal(filter)
		if err != nil {
			rt.Fatal(err)
		}
		parsed, err := record.ParseFilter(text)
		if err != nil {
			rt.Fatalf("%s: %v", text, err)
		}
		q := record.Query{Filter: parsed, Limit: len(all)}
		if sort := fields().Draw(rt, "sort"); rapid.Bool().Draw(rt, "sorted") {
			if q.Sort, err = record.ParseSort(map[string]int{sort: rapid.SampledFrom([]int{1, -1}).Draw(rt, "direction")}); err != nil {
				rt.Fatal(err)
			}
		}
		page, err := records.Query(t.Context(), in, q)
		if err != nil {
			rt.Fatalf("%s: %v", text, err)
		}
		if diff := gocmp.Diff(idsOf(naive(all, q)), idsOf(page.Records)); diff != "" {
			rt.Fatalf("%s sorted by %+v (-reference +database):\n%s", text, q.Sort, diff)
		}
	})
}

// bodies are of all kinds, and of what looks alike but is not.
func bodies() []string {
	var out []string
	for _, value := range scalars() {
		out = append(out, `{"x":`+value+`}`, `{"x":{"y":`+value+`},"z":[`+value+`]}`)
	}
	return append(out, `{}`, `{"x":{}}`, `{"x":[]}`, `{"x":[{"y":1}]}`, `{"x.y":1}`, `{"x":{"y":{"0":1}}}`, `{"0":{"y":"x"},"é y":true}`, `{"x":["a"],"y":{"0":"a"}}`)
}

func scalars() []string {
	return []string{
		`1`, `"1"`, `1.5`, `-1`, `0`, `100`, `1e2`, `9007199254740991`, `1e21`, `100000000000000000000`, `1e300`, `-1e-7`, `0.1`, `0.30000000000000004`, `true`, `false`, `null`,
		`"true"`, `"null"`, `""`, `"a"`, `"B"`, `"b"`, `"é"`, `"ｚ"`, `"😀"`, `"%"`, `"' OR 1=1 --"`, `"$.x"`, `"a\"b\\c\n\u0001"`, `"{}"`,
	}
}

func fields() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{
		"id", "thread", "actor", "act", "clock", "data_type", "body.x", "body.x.y", "body.z", "body.z.0", "body.x.0", "body.0.y", "body.é y", "body.none", "body.y.0",
		"body.' OR 1=1", "body.x.y.0", "body.$", "body.[0]", "body.#-1",
	})
}

func values(all []record.Record) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		if rapid.IntRange(0, 3).Draw(t, "which") == 0 {
			r := rapid.SampledFrom(all).Draw(t, "record")
			return rapid.SampledFrom([]any{r.ID, r.Thread, r.Actor, r.Act, r.Clock, r.DataType, 1.5, int64(record.MaxClock)}).Draw(t, "of it")
		}
		return json.RawMessage(rapid.SampledFrom(scalars()).Draw(t, "scalar"))
	})
}

// filters draws filters as they are written.
func filters(all []record.Record, depth int) *rapid.Generator[map[string]any] {
	return rapid.Custom(func(t *rapid.T) map[string]any {
		out := map[string]any{}
		if depth > 0 && rapid.Bool().Draw(t, "join") {
			op := rapid.SampledFrom([]string{"$and", "$or"}).Draw(t, "joined by")
			out[op] = rapid.SliceOfN(filters(all, depth-1), 1, 3).Draw(t, "parts")
		}
		for range rapid.IntRange(0, 2).Draw(t, "conditions") {
			name, value := fields().Draw(t, "field"), values(all)
			switch op := rapid.SampledFrom([]string{"", "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$exists"}).Draw(t, "op"); op {
			case "":
				out[name] = value.Draw(t, "value")
			case "$in":
				out[name] = map[string]any{op: rapid.SliceOfN(value, 0, 3).Draw(t, "values")}
			case "$exists":
				out[name] = map[string]any{op: rapid.Bool().Draw(t, "exists")}
			case "$eq", "$ne":
				out[name] = map[string]any{op: value.Draw(t, "value")}
			default:
				ordered := value.Filter(func(v any) bool {
					raw, ok := v.(json.RawMessage)
					return !ok || !slices.Contains([]string{"true", "false", "null"}, string(raw))
				})
				out[name] = map[string]any{op: ordered.Draw(t, "value")}
			}
		}
		return out
	})
}

// naive answers a query by looking at every record.
func naive(all []record.Record, q record.Query) []record.Record {
	var out []record.Record
	for _, r := range all {
		if holds(q.Filter, r) {
			out = append(out, r)
		}
	}
	if q.Sort.Field.Name == "" {
		return out
	}
	slices.SortStableFunc(out, func(a, b record.Record) int {
		order := compareValues(valueAt(q.Sort.Field, a), valueAt(q.Sort.Field, b))
		if q.Sort.Descending {
			return -order
		}
		return order
	})
	return out
}

func compareValues(a, b any) int {
	rank := func(v any) int {
		switch v.(type) {
		case float64:
			return 1
		case string:
			return 2
		default:
			return 0
		}
	}
	if order := cmp.Compare(rank(a), rank(b)); order != 0 {
		return order
	}
	switch a := a.(type) {
	case float64:
		number, _ := b.(float64)
		return cmp.Compare(a, number)
	case string:
		text, _ := b.(string)
		return strings.Compare(a, text)
	default:
		return 0
	}
}

// absent is the value of what is not there.
type absent struct{}

func valueAt(field record.Field, r record.Record) any {
	switch field.Name {
	case "id":
		return r.ID
	case "thread":
		return r.Thread
	case "actor":
		return r.Actor
	case "act":
		return string(r.Act)
	case "clock":
		return float64(r.Clock)
	case "data_type":
		return string(r.DataType)
	}
	var value any
	if err := json.Unmarshal(r.Body, &value); err != nil {
		panic(err)
	}
	for _, name := range field.Path {
		object, ok := value.(map[string]any)
		if !ok {
			return absent{}
		}
		if value, ok = object[name]; !ok {
			return absent{}
		}
	}
	return value
}

func holds(f record.Filter, r record.Record) bool {
	if f.Op == record.And || f.Op == record.Or {
		for _, part := range f.Parts {
			if holds(part, r) == (f.Op == record.Or) {
				return f.Op == record.Or
			}
		}
		return f.Op == record.And
	}
	value := valueAt(f.Field, r)
	equal := func(to record.Value) bool {
		switch to.Kind { //nolint:exhaustive // the last one is the default
		case record.Null:
			return value == nil
		case record.Boolean:
			return value == to.True
		case record.Number:
			return value == numberOf(to)
		default:
			return value == to.Text
		}
	}
	switch f.Op { //nolint:exhaustive // the others are ordered below
	case record.Eq:
		return isScalar(value) && equal(f.Values[0])
	case record.Ne:
		return !isScalar(value) || !equal(f.Values[0])
	case record.In:
		return isScalar(value) && slices.ContainsFunc(f.Values, equal)
	case record.Exists:
		return (value != any(absent{})) == f.Values[0].True
	}
	var order int
	switch value := value.(type) {
	case float64:
		if f.Values[0].Kind != record.Number {
			return false
		}
		order = cmp.Compare(value, numberOf(f.Values[0]))
	case string:
		if f.Values[0].Kind != record.Text {
			return false
		}
		order = strings.Compare(value, f.Values[0].Text)
	default:
		return false
	}
	return map[record.Op]bool{record.Gt: order > 0, record.Gte: order >= 0, record.Lt: order < 0, record.Lte: order <= 0}[f.Op]
}

func isScalar(value any) bool {
	switch value.(type) {
	case map[string]any, []any:
		return false
	default:
		return true
	}
}

func numberOf(v record.Value) float64 {
	number, err := strconv.ParseFloat(v.Text, 64)
	if err != nil {
		panic(fmt.Sprintf("a number that is none: %v", err))
	}
	return number
}

func testQueryPages(t *testing.T, f Fixture) {
	in, records := incarnation(), recordsOf(f)
	for i := range 5 {
		appended(t, records, in, stated("th_a", "did:a", fmt.Sprintf(`{"n":%d}`, 5-i)))
	}
	sort, err := record.ParseSort(map[string]int{"body.n": 1})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for offset := 0; ; offset += 2 {
		page, err := records.Query(t.Context(), in, record.Query{Filter: record.Filter{Op: record.And}, Sort: sort, Limit: 2, Offset: offset})
		if err != nil {
			t.Fatal(err)
		}
		for _, each := range page.Records {
			got = append(got, string(each.Body))
		}
		if page.More != (offset < 4) {
			t.Errorf("behind %d: more is %v", offset, page.More)
		}
		if !page.More {
			break
		}
	}
	if diff := gocmp.Diff([]string{`{"n":1}`, `{"n":2}`, `{"n":3}`, `{"n":4}`, `{"n":5}`}, got); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
}
