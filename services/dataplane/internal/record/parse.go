package record

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// maxConditions bounds the comparisons of a filter, counting each value of $in, and maxNesting how its parts nest.
	maxConditions, maxNesting = 200, 8
	// maxPath bounds the names of a path into a body, and maxName the bytes of each.
	maxPath, maxName = 16, 128
)

// ParseFilter reads a filter as it is written in JSON; nothing is the one that lets everything through. An error says where the
// filter is wrong.
func ParseFilter(text []byte) (Filter, error) {
	everything := Filter{Op: And}
	if len(bytes.TrimSpace(text)) == 0 {
		return everything, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil || decoder.More() {
		return Filter{}, unreadable("filter", "must be JSON")
	}
	if value == nil {
		return everything, nil
	}
	p := parser{}
	return p.filter("filter", value, 0)
}

// ParseSort reads the order of a query: at most one field, with 1 or -1.
func ParseSort(sort map[string]int) (Sort, error) {
	if len(sort) > 1 {
		return Sort{}, unreadable("sort", "must name one field")
	}
	for name, direction := range sort {
		where := "sort." + short(name)
		field, err := parseField(where, name)
		if err != nil {
			return Sort{}, err
		}
		if direction != 1 && direction != -1 {
			return Sort{}, unreadable(where, "must be 1 or -1")
		}
		return Sort{field, direction < 0}, nil
	}
	return Sort{}, nil
}

// parser counts the conditions of a filter.
type parser struct{ conditions int }

func (p *parser) count(where string) error {
	if p.conditions++; p.conditions > maxConditions {
		return unreadable(where, "the filter has more than %d conditions", maxConditions)
	}
	return nil
}

// filter reads an object: all that it says must hold.
func (p *parser) filter(where string, value any, depth int) (Filter, error) {
	object, ok := value.(map[string]any)
	if !ok {
		return Filter{}, unreadable(where, "must be an object")
	}
	if depth > maxNesting {
		return Filter{}, unreadable(where, "nests more than %d levels deep", maxNesting)
	}
	var parts []Filter
	for _, name := range slices.Sorted(maps.Keys(object)) {
		inner := where + "." + short(name)
		var found []Filter
		var err error
		switch op := Op(name); {
		case op == And || op == Or:
			found, err = p.list(inner, op, object[name], depth)
		case strings.HasPrefix(name, "$"):
			err = unreadable(inner, "is no operator that joins filters: $and, $or")
		default:
			found, err = p.field(inner, name, object[name])
		}
		if err != nil {
			return Filter{}, err
		}
		parts = append(parts, found...)
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return Filter{Op: And, Parts: parts}, nil
}

// list reads what $and or $or joins.
func (p *parser) list(where string, op Op, value any, depth int) ([]Filter, error) {
	items, ok := value.([]any)
	if !ok || len(items) == 0 {
		return nil, unreadable(where, "must be a list of filters")
	}
	joined := Filter{Op: op}
	for i, item := range items {
		if err := p.count(where); err != nil {
			return nil, err
		}
		part, err := p.filter(where+"."+strconv.Itoa(i), item, depth+1)
		if err != nil {
			return nil, err
		}
		joined.Parts = append(joined.Parts, part)
	}
	return []Filter{joined}, nil
}

// field reads what must hold of a field: a value, or operators with theirs.
func (p *parser) field(where, name string, value any) ([]Filter, error) {
	field, err := parseField(where, name)
	if err != nil {
		return nil, err
	}
	operators, ok := value.(map[string]any)
	if !ok {
		condition, err := p.condition(where, field, Eq, value)
		return []Filter{condition}, err
	}
	if len(operators) == 0 {
		return nil, unreadable(where, "must be a value, or an object of operators such as {\"$gt\": 1}")
	}
	var out []Filter
	for _, op := range slices.Sorted(maps.Keys(operators)) {
		condition, err := p.condition(where+"."+short(op), field, Op(op), operators[op])
		if err != nil {
			return nil, err
		}
		out = append(out, condition)
	}
	return out, nil
}

func (p *parser) condition(where string, field Field, op Op, value any) (Filter, error) {
	values, accepts := []any{value}, func(Kind) bool { return true }
	wanted := "a text, a number, true, false or null"
	switch op {
	case Eq, Ne:
	case Gt, Gte, Lt, Lte:
		accepts, wanted = func(kind Kind) bool { return kind == Number || kind == Text }, "a text or a number"
	case Exists:
		accepts, wanted = func(kind Kind) bool { return kind == Boolean }, "true or false"
	case In:
		list, ok := value.([]any)
		if !ok {
			return Filter{}, unreadable(where, "must be a list of values")
		}
		values = list
		if err := p.count(where); err != nil { // an empty list costs something, too
			return Filter{}, err
		}
	case And, Or:
		return Filter{}, unreadable(where, "joins filters, and stands outside a field")
	default:
		return Filter{}, unreadable(where, "is no operator: $eq, $ne, $gt, $gte, $lt, $lte, $in, $exists")
	}
	out := Filter{Op: op, Field: field}
	for i, each := range values {
		place := where
		if op == In {
			place += "." + strconv.Itoa(i)
		}
		if err := p.count(place); err != nil {
			return Filter{}, err
		}
		read, err := parseValue(place, each, wanted)
		if err != nil {
			return Filter{}, err
		}
		if !accepts(read.Kind) {
			return Filter{}, unreadable(place, "must be %s", wanted)
		}
		out.Values = append(out.Values, read)
	}
	return out, nil
}

func parseValue(where string, value any, wanted string) (Value, error) {
	switch value := value.(type) {
	case nil:
		return Value{Kind: Null}, nil
	case bool:
		return Value{Kind: Boolean, True: value}, nil
	case string:
		if !storable(value) {
			return Value{}, unreadable(where, "must not contain the character NUL")
		}
		return Value{Kind: Text, Text: value}, nil
	case json.Number:
		text, err := number(value.String())
		if err != nil {
			return Value{}, unreadable(where, "%s", err.Error())
		}
		return Value{Kind: Number, Text: text}, nil
	default:
		return Value{}, unreadable(where, "must be %s", wanted)
	}
}

// parseField reads the name of a field of a query.
func parseField(where, name string) (Field, error) {
	switch name {
	case "id", "thread", "actor", "act", "clock", "data_type":
		return Field{Name: name}, nil
	}
	path := strings.Split(name, ".")
	if path[0] != bodyField || len(path) == 1 {
		return Field{}, unreadable(where, "is no field: id, thread, actor, act, clock, data_type, body.<path>")
	}
	if path = path[1:]; len(path) > maxPath {
		return Field{}, unreadable(where, "has more than %d names", maxPath)
	}
	for _, each := range path {
		// SQLite writes a path as one text, in which quotes and backslashes mean something.
		if each == "" || len(each) > maxName || !printable(each) || strings.ContainsAny(each, `"\`) {
			return Field{}, unreadable(where, `the names of a path are printable, without ", \ and ., and have 1 to %d bytes`, maxName)
		}
	}
	return Field{bodyField, path}, nil
}

func storable(text string) bool { return utf8.ValidString(text) && !strings.ContainsRune(text, 0) }

// short keeps the names that a caller made up from filling an error.
func short(name string) string {
	const longest = 64
	if runes := []rune(name); len(runes) > longest {
		return string(runes[:longest]) + "…"
	}
	return name
}
