package record

import (
	"encoding/json"
	"strings"
)

// Op is what a filter does.
type Op string

// The operators. And and Or have parts, the others a field and values.
const (
	And    Op = "$and"
	Or     Op = "$or"
	Eq     Op = "$eq"
	Ne     Op = "$ne"
	Gt     Op = "$gt"
	Gte    Op = "$gte"
	Lt     Op = "$lt"
	Lte    Op = "$lte"
	In     Op = "$in"
	Exists Op = "$exists"
)

// Filter is a condition on records. The zero value lets none through; And without parts lets all.
type Filter struct {
	Op Op
	// Parts are what And and Or join.
	Parts []Filter
	Field Field
	// Values are what Field is compared with: any number for In, one for the others.
	Values []Value
}

// Field is a field of a record: id, thread, actor, act, clock or data_type, or a path into the body.
type Field struct {
	Name string
	// Path has the names to follow, from object to object, where Name is "body"; it is empty elsewhere.
	Path []string
}

// bodyField is the Name of a Field with a Path.
const bodyField = "body"

// String returns the field as it is written in a query.
func (f Field) String() string { return strings.Join(append([]string{f.Name}, f.Path...), ".") }

// Kind is what a value is. Values of different kinds are neither equal nor in an order.
type Kind int

// The kinds.
const (
	Null Kind = iota
	Boolean
	Number
	Text
)

// Value is something that fields are compared with.
type Value struct {
	Kind Kind
	// Text is the text, or the canonical form of the number; empty for the others.
	Text string
	// True is the boolean.
	True bool
}

// JSON returns the value as JSON.
func (v Value) JSON() string {
	switch v.Kind {
	case Boolean:
		if v.True {
			return "true"
		}
		return "false"
	case Number:
		return v.Text
	case Text:
		text, err := json.Marshal(v.Text)
		if err != nil { // a text always has a form
			return "null"
		}
		return string(text)
	case Null:
	}
	return "null"
}

// Explain returns the filter in its one spelling: every operator is named, every condition stands for itself.
func (f Filter) Explain() map[string]any {
	switch f.Op { //nolint:exhaustive // the others compare a field
	case And, Or:
		if len(f.Parts) == 0 { // $and: lists are never empty, and nothing lets everything through
			return map[string]any{}
		}
		parts := make([]any, len(f.Parts))
		for i, part := range f.Parts {
			parts[i] = part.Explain()
		}
		return map[string]any{string(f.Op): parts}
	case In:
		values := make([]any, len(f.Values))
		for i, value := range f.Values {
			values[i] = json.RawMessage(value.JSON())
		}
		return map[string]any{f.Field.String(): map[string]any{string(In): values}}
	default:
		return map[string]any{f.Field.String(): map[string]any{string(f.Op): json.RawMessage(f.Values[0].JSON())}}
	}
}

// Sort is the order of what a query returns. Records that are equal in it come in the order of their arrival; the zero value
// is that order alone.
type Sort struct {
	// Field's values are ordered by kind first: what is absent or neither number nor text, then numbers, then texts by
	// their bytes.
	Field      Field
	Descending bool
}

// Query asks for records: Limit at most, behind the first Offset.
type Query struct {
	Filter        Filter
	Sort          Sort
	Limit, Offset int
}

// Explain tells how a query was read.
func (q Query) Explain() map[string]any {
	sort := map[string]any{"arrival": 1}
	if q.Sort.Field.Name != "" {
		direction := 1
		if q.Sort.Descending {
			direction = -1
		}
		sort = map[string]any{q.Sort.Field.String(): direction}
	}
	return map[string]any{"filter": q.Filter.Explain(), "sort": sort, "limit": q.Limit, "offset": q.Offset}
}
