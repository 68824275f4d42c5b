package record_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
)

func TestFiltersAreExplained(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		``:                                     `{}`,
		`null`:                                 `{}`,
		`{}`:                                   `{}`,
		`{"actor":"did:a"}`:                    `{"actor":{"$eq":"did:a"}}`,
		`{"clock":{"$gt":1.0,"$lte":1e2}}`:     `{"$and":[{"clock":{"$gt":1}},{"clock":{"$lte":100}}]}`,
		`{"body.a.b":{"$in":[1,"x",null]}}`:    `{"body.a.b":{"$in":[1,"x",null]}}`,
		`{"$or":[{"act":"DO"},{}],"id":"<"}`:   `{"$and":[{"$or":[{"act":{"$eq":"DO"}},{}]},{"id":{"$eq":"<"}}]}`,
		`{"body.x":{"$exists":false,"$ne":1}}`: `{"$and":[{"body.x":{"$exists":false}},{"body.x":{"$ne":1}}]}`,
	} {
		filter, err := record.ParseFilter([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		explained, err := json.Marshal(filter.Explain())
		if err != nil {
			t.Fatal(err)
		}
		var got, wanted any
		if err := errors.Join(json.Unmarshal(explained, &got), json.Unmarshal([]byte(want), &wanted)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wanted, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestBadFilters(t *testing.T) {
	t.Parallel()
	many := func(item string, n int) string {
		return "[" + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + "]"
	}
	for text, where := range map[string]string{
		`[]`:                         "filter",
		`"x"`:                        "filter",
		`{"x"`:                       "filter",
		`{} {}`:                      "filter",
		`{"owner":1}`:                "filter.owner",
		`{"body":1}`:                 "filter.body",
		`{"parents":"x"}`:            "filter.parents",
		`{"body.":1}`:                "filter.body.",
		`{"body.a..b":1}`:            "filter.body.a..b",
		`{"body.a\"b":1}`:            `filter.body.a"b`,
		`{"body.a\\b":1}`:            `filter.body.a\b`,
		`{"body.a\n":1}`:             "filter.body.a\n",
		`{"actor":[1]}`:              "filter.actor",
		`{"actor":{}}`:               "filter.actor",
		`{"actor":{"$like":"x"}}`:    "filter.actor.$like",
		`{"actor":{"$and":[]}}`:      "filter.actor.$and",
		`{"actor":{"eq":1}}`:         "filter.actor.eq",
		`{"actor":{"$eq":{}}}`:       "filter.actor.$eq",
		`{"actor":{"$in":"x"}}`:      "filter.actor.$in",
		`{"actor":{"$in":["x",[]]}}`: "filter.actor.$in.1",
		`{"actor":{"$exists":1}}`:    "filter.actor.$exists",
		`{"actor":{"$gt":true}}`:     "filter.actor.$gt",
		`{"clock":9007199254740993}`: "filter.clock",
		`{"clock":1e400}`:            "filter.clock",
		`{"actor":"\u0000"}`:         "filter.actor",
		`{"$not":{}}`:                "filter.$not",
		`{"$and":{}}`:                "filter.$and",
		`{"$or":[]}`:                 "filter.$or",
		`{"$or":[{"id":1},{"x":1}]}`: "filter.$or.1.x",
		`{"body` + strings.Repeat(".x", 17) + `":1}`:                      "filter.body",
		strings.Repeat(`{"$and":[`, 10) + `{}` + strings.Repeat(`]}`, 10): "filter.$and",
		`{"id":{"$in":` + many("1", 201) + `}}`:                           "filter.id.$in.199",
		`{"$or":` + many("{}", 201) + `}`:                                 "filter.$or",
		`{"$or":` + many(`{"id":{"$in":[]}}`, 101) + `}`:                  "filter.$or",
	} {
		_, err := record.ParseFilter([]byte(text))
		e, ok := errors.AsType[*fault.Error](err)
		if !ok || e.Kind != fault.Invalid || e.Code != record.CodeQuery || !strings.HasPrefix(e.Field, where) {
			t.Errorf("%s: %v (want it at %s)", text, err, where)
		}
	}
}

func TestSorts(t *testing.T) {
	t.Parallel()
	if got, err := record.ParseSort(map[string]int{"body.a.b": -1}); err != nil || !got.Descending || got.Field.String() != "body.a.b" {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := record.ParseSort(nil); err != nil || got.Field.Name != "" {
		t.Errorf("without any: %+v, %v", got, err)
	}
	for _, bad := range []map[string]int{{"id": 0}, {"id": 2}, {"owner": 1}, {"id": 1, "clock": 1}} {
		if _, err := record.ParseSort(bad); codeOf(err) != record.CodeQuery {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

// FuzzFilter: a filter is refused, or means what it is explained to mean.
func FuzzFilter(f *testing.F) {
	for _, text := range []string{
		`{}`, `{"actor":"a","clock":{"$gt":1,"$lt":1e2}}`, `{"$or":[{"body.x.y":{"$in":[1,null,true,"\u2028"]}},{"$and":[{}]}]}`, `{"body.x":{"$exists":false}}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		filter, err := record.ParseFilter([]byte(text))
		if err != nil {
			e, ok := errors.AsType[*fault.Error](err)
			if !ok || e.Kind != fault.Invalid || e.Code != record.CodeQuery || !strings.HasPrefix(e.Field, "filter") {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		explained, err := json.Marshal(filter.Explain())
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		again, err := record.ParseFilter(explained)
		if err != nil {
			// Spelt out, a filter may be a little more than may be asked for.
			if !strings.Contains(err.Error(), "levels deep") && !strings.Contains(err.Error(), "conditions") {
				t.Fatalf("%q is explained as %s: %v", text, explained, err)
			}
			return
		}
		if diff := cmp.Diff(filter, again); diff != "" {
			t.Errorf("%q is explained as %s (-read +explained):\n%s", text, explained, diff)
		}
	})
}
