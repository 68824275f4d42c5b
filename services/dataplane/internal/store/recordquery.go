package store

import (
	"slices"
	"strings"

	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
)

// fragment is a piece of SQL with its parameters.
type fragment struct {
	text string
	args []any
}

// bodies says in SQL what is in the body of a record r. A condition is true or false, never NULL; paths and values are always
// parameters. Of a path, each name leads from an object to one of its values; nothing is at a path that leads elsewhere.
type bodies interface {
	// exists: there is a value at path.
	exists(path []string) fragment
	// equals: the value at path is v.
	equals(path []string, v record.Value) fragment
	// compares: the value at path is of the kind of v, a number or a text, and stands to it as operator says.
	compares(path []string, operator string, v record.Value) fragment
	// order returns what to sort by, one after the other: whether the value at path is a number, a text or neither, and then
	// the value.
	order(path []string) []fragment
	// number reads v, a number.
	number(v record.Value) fragment
}

const (
	always = "(1 = 1)"
	never  = "(1 = 0)"
)

// recordQuery returns the statement that answers q, with one row more than its limit.
func (s *Store) recordQuery(space string, q record.Query) (statement string, args []any) {
	b := s.engine.bodies()
	var f filter
	f.and("r.context_id = ?", space)
	f.and(visible)
	where := condition(b, q.Filter)
	f.and(where.text, where.args...)
	var by []string
	args = f.conditions
	for _, each := range sortedBy(b, q.Sort) {
		by, args = append(by, each.text), append(args, each.args...)
	}
	return "SELECT r.* FROM records r WHERE " + f.conjunction() + " ORDER BY " + strings.Join(by, ", ") + " LIMIT ? OFFSET ?",
		append(args, q.Limit+1, q.Offset)
}

// columns are the fields of a record that are columns of texts.
var columns = map[string]string{"id": "r.id", "thread": "r.thread", "actor": "r.actor", "act": "r.act", "data_type": "r.data_type"}

const clockField = "clock"

func sortedBy(b bodies, sort record.Sort) []fragment {
	var out []fragment
	switch column := columns[sort.Field.Name]; {
	case sort.Field.Name == "":
	case column != "":
		out = []fragment{{column, nil}}
	case sort.Field.Name == clockField:
		out = []fragment{{"r.clock", nil}}
	default:
		out = b.order(sort.Field.Path)
	}
	if sort.Descending {
		for i := range out {
			out[i].text += " DESC"
		}
	}
	return append(out, fragment{"r.seq", nil})
}

// condition returns f in SQL.
func condition(b bodies, f record.Filter) fragment {
	switch f.Op { //nolint:exhaustive // the others compare a field
	case record.And:
		return joined(b, f.Parts, " AND ", always)
	case record.Or:
		return joined(b, f.Parts, " OR ", never)
	case record.In:
		parts := make([]record.Filter, len(f.Values))
		for i, value := range f.Values {
			parts[i] = record.Filter{Op: record.Eq, Field: f.Field, Values: []record.Value{value}}
		}
		return joined(b, parts, " OR ", never)
	case record.Ne:
		equal := condition(b, record.Filter{Op: record.Eq, Field: f.Field, Values: f.Values})
		return fragment{"NOT " + equal.text, equal.args}
	case record.Exists:
		there := fragment{always, nil}
		if f.Field.Path != nil {
			there = b.exists(f.Field.Path)
		}
		if !f.Values[0].True {
			there.text = "NOT " + there.text
		}
		return there
	default:
		return comparison(b, f)
	}
}

func joined(b bodies, parts []record.Filter, by, none string) fragment {
	if len(parts) == 0 {
		return fragment{none, nil}
	}
	texts, args := make([]string, len(parts)), []any(nil)
	for i, part := range parts {
		each := condition(b, part)
		texts[i], args = each.text, append(args, each.args...)
	}
	return fragment{"(" + strings.Join(texts, by) + ")", args}
}

// operators are how SQL writes those that compare.
var operators = map[record.Op]string{record.Eq: "=", record.Gt: ">", record.Gte: ">=", record.Lt: "<", record.Lte: "<="}

func comparison(b bodies, f record.Filter) fragment {
	operator, value := operators[f.Op], f.Values[0]
	switch column := columns[f.Field.Name]; {
	case operator == "":
		return fragment{never, nil}
	case column != "" && value.Kind == record.Text:
		return fragment{"(" + column + " " + operator + " ?)", []any{value.Text}}
	case f.Field.Name == clockField && value.Kind == record.Number:
		number := b.number(value)
		return fragment{"(r.clock " + operator + " " + number.text + ")", number.args}
	case f.Field.Path == nil: // of another kind
		return fragment{never, nil}
	case f.Op == record.Eq:
		return b.equals(f.Field.Path, value)
	default:
		return b.compares(f.Field.Path, operator, value)
	}
}

func (postgres) bodies() bodies { return postgresBodies{} }

// postgresBodies uses jsonb. Its operator -> with a text looks into objects only.
type postgresBodies struct{}

func (postgresBodies) at(path []string) fragment {
	args := make([]any, len(path))
	for i, name := range path {
		args[i] = name
	}
	return fragment{"(CAST(r.body AS jsonb)" + strings.Repeat(" -> CAST(? AS text)", len(path)) + ")", args}
}

func (b postgresBodies) exists(path []string) fragment {
	at := b.at(path)
	return fragment{"(" + at.text + " IS NOT NULL)", at.args}
}

func (b postgresBodies) equals(path []string, v record.Value) fragment {
	at := b.at(path)
	return fragment{"COALESCE(" + at.text + " = CAST(CAST(? AS text) AS jsonb), FALSE)", append(at.args, v.JSON())}
}

func (b postgresBodies) compares(path []string, operator string, v record.Value) fragment {
	at := b.at(path)
	kind, left, right, value := "string", "("+at.text+` #>> '{}') COLLATE "C"`, "CAST(? AS text)", v.Text
	if v.Kind == record.Number {
		kind, left, right, value = "number", at.text, "CAST(CAST(? AS text) AS jsonb)", v.JSON()
	}
	return fragment{
		"COALESCE(jsonb_typeof" + at.text + " = '" + kind + "' AND " + left + " " + operator + " " + right + ", FALSE)",
		append(slices.Concat(at.args, at.args), value),
	}
}

func (b postgresBodies) order(path []string) []fragment {
	at := b.at(path)
	return []fragment{
		{"CASE jsonb_typeof" + at.text + " WHEN 'number' THEN 1 WHEN 'string' THEN 2 ELSE 0 END", at.args},
		{"CASE jsonb_typeof" + at.text + " WHEN 'number' THEN " + at.text + " END", slices.Concat(at.args, at.args)},
		{"CASE jsonb_typeof" + at.text + " WHEN 'string' THEN " + at.text + ` #>> '{}' END COLLATE "C"`, slices.Concat(at.args, at.args)},
	}
}

func (postgresBodies) number(v record.Value) fragment {
	return fragment{"CAST(CAST(? AS text) AS numeric)", []any{v.JSON()}}
}

func (sqlite) bodies() bodies { return sqliteBodies{} }

// sqliteBodies uses the JSON functions. The numbers that are compared have been read by the same reader, which keeps nearly
// all of a double's digits, not all.
type sqliteBodies struct{}

// at writes a path; its names hold neither quotes nor backslashes.
func (sqliteBodies) at(path []string) string {
	return `$."` + strings.Join(path, `"."`) + `"`
}

func (b sqliteBodies) exists(path []string) fragment {
	return fragment{"(json_type(r.body, ?) IS NOT NULL)", []any{b.at(path)}}
}

func (b sqliteBodies) equals(path []string, v record.Value) fragment {
	switch v.Kind {
	case record.Number, record.Text:
		return b.compares(path, "=", v)
	case record.Boolean, record.Null:
		return fragment{"(json_type(r.body, ?) IS ?)", []any{b.at(path), v.JSON()}} // types are named like their only values
	default:
		return fragment{never, nil}
	}
}

func (b sqliteBodies) compares(path []string, operator string, v record.Value) fragment {
	at, kinds := b.at(path), "('text')"
	if v.Kind == record.Number {
		kinds = "('integer', 'real')"
	}
	return fragment{
		"COALESCE(json_type(r.body, ?) IN " + kinds + " AND json_extract(r.body, ?) " + operator + " json_extract(?, '$'), 0)",
		[]any{at, at, v.JSON()},
	}
}

func (b sqliteBodies) order(path []string) []fragment {
	at := b.at(path)
	return []fragment{
		{"CASE json_type(r.body, ?) WHEN 'integer' THEN 1 WHEN 'real' THEN 1 WHEN 'text' THEN 2 ELSE 0 END", []any{at}},
		{"CASE WHEN json_type(r.body, ?) IN ('integer', 'real', 'text') THEN json_extract(r.body, ?) END", []any{at, at}},
	}
}

func (sqliteBodies) number(v record.Value) fragment {
	return fragment{"json_extract(?, '$')", []any{v.JSON()}}
}
