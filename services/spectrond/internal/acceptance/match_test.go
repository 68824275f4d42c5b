package acceptance_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// match says where got is not as want says, if anywhere. Objects may hold more than is wanted; lists have exactly what is wanted, unless
// they begin with $has (each of the rest is among got's) or $each (each of got's is as the second). A text that begins with $ stands for a
// kind of value.
func match(at string, want, got any) error {
	switch want := want.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			return fmt.Errorf("%s: want an object, got %s", at, kindOf(got))
		}
		for name, value := range want {
			field, there := object[name]
			if value == "$absent" {
				if there {
					return fmt.Errorf("%s.%s is there", at, name)
				}
				continue
			}
			if !there {
				return fmt.Errorf("%s.%s is missing", at, name)
			}
			if err := match(at+"."+name, value, field); err != nil {
				return err
			}
		}
		return nil
	case []any:
		return matchList(at, want, got)
	case string:
		if strings.HasPrefix(want, "$") {
			return matchKind(at, want, got)
		}
	}
	if !reflect.DeepEqual(want, got) {
		return fmt.Errorf("%s: want %v, got %s", at, want, show(got))
	}
	return nil
}

func matchList(at string, want []any, got any) error {
	list, ok := got.([]any)
	if !ok {
		return fmt.Errorf("%s: want a list, got %s", at, kindOf(got))
	}
	switch {
	case len(want) > 0 && want[0] == "$has":
		for _, each := range want[1:] {
			if !slices.ContainsFunc(list, func(item any) bool { return match(at, each, item) == nil }) {
				return fmt.Errorf("%s: none of %d is %v", at, len(list), each)
			}
		}
		return nil
	case len(want) == 2 && want[0] == "$each":
		for i, item := range list {
			if err := match(fmt.Sprintf("%s[%d]", at, i), want[1], item); err != nil {
				return err
			}
		}
		return nil
	case len(want) != len(list):
		return fmt.Errorf("%s: want %d entries, got %d", at, len(want), len(list))
	}
	for i := range want {
		if err := match(fmt.Sprintf("%s[%d]", at, i), want[i], list[i]); err != nil {
			return err
		}
	}
	return nil
}

func matchKind(at, want string, got any) error {
	text, isText := got.(string)
	number, isNumber := got.(float64)
	list, isList := got.([]any)
	object, isObject := got.(map[string]any)
	ok, known := map[string]bool{
		"$any":     true,
		"$text":    isText && text != "",
		"$string":  isText,
		"$time":    isText && isTime(text),
		"$key":     isText && strings.HasPrefix(text, "sp-"),
		"$int":     isNumber && number == float64(int64(number)),
		"$some":    isNumber && number > 0,
		"$number":  isNumber,
		"$list":    isList,
		"$filled":  isList && len(list) > 0 || isObject && len(object) > 0,
		"$object":  isObject,
		"$boolean": got == true || got == false,
	}[want]
	if prefix, found := strings.CutPrefix(want, "$contains "); found {
		ok, known = isText && strings.Contains(text, prefix), true
	}
	if seconds, found := strings.CutPrefix(want, "$in "); found {
		ok, known = isText && isTime(text) && isIn(text, seconds), true
	}
	if !known {
		return fmt.Errorf("%s: %s is not known here", at, want)
	}
	if !ok {
		return fmt.Errorf("%s: want %s, got %s", at, want, show(got))
	}
	return nil
}

// isTime reports whether text is a moment as RFC 3339 writes it.
func isTime(text string) bool {
	_, err := time.Parse(time.RFC3339Nano, text)
	return err == nil
}

// isIn reports whether the moment in text is so many seconds away, give or take a minute.
func isIn(text, seconds string) bool {
	moment, err := time.Parse(time.RFC3339Nano, text)
	distance, parseErr := time.ParseDuration(seconds + "s")
	return err == nil && parseErr == nil && (time.Until(moment)-distance).Abs() < time.Minute
}

func kindOf(value any) string { return fmt.Sprintf("%T", value) }

// show shows a value, but no key.
func show(value any) string {
	text, err := json.Marshal(value)
	if err != nil || strings.Contains(string(text), "sp-") {
		return kindOf(value) + " (not shown)"
	}
	return string(text)
}

// lookup returns what is at a path such as trace.traceId or hits.0.id.
func lookup(tb testing.TB, value any, path string) string {
	tb.Helper()
	for name := range strings.SplitSeq(path, ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[name]
		case []any:
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i >= len(v) {
				tb.Fatalf("%s: there is no %s", path, name)
			}
			value = v[i]
		default:
			value = nil
		}
	}
	if value == nil {
		tb.Fatalf("the answer has no %s", path)
	}
	return fmt.Sprint(value)
}
