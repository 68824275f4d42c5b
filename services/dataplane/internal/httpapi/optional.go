package httpapi

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/scope"
)

// value returns what an optional field holds, or the zero value.
func value[T any](field *T) T {
	if field == nil {
		var zero T
		return zero
	}
	return *field
}

// given returns a field to show, or nil for the zero value, which is not shown.
func given[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// either returns a field that has two names. To prefer one silently would be to ignore what the caller said by the other.
func either[T any](name string, field *T, alias string, other *T) (*T, error) {
	if field != nil && other != nil {
		return nil, fault.InvalidField(alias, "is another name of %s; give one of them", name)
	}
	if other != nil {
		return other, nil
	}
	return field, nil
}

// eitherClauses reads scope sets or a lens, which has two names. The second result is the name that was used.
func eitherClauses[T scope.Path | scope.Pattern](
	name string, field ScopeSets, alias string, other ScopeSets,
) (clauses scope.Clauses[T], used string, err error) {
	if field != nil && other != nil {
		return nil, "", fault.InvalidField(alias, "is another name of %s; give one of them", name)
	}
	if other != nil {
		name, field = alias, other
	}
	text, err := json.Marshal(field)
	if err != nil {
		return nil, "", fmt.Errorf("reading %s: %w", name, err)
	}
	if err := json.Unmarshal(text, &clauses); err != nil {
		return nil, "", fault.InvalidField(name, "%v", err)
	}
	return clauses, name, nil
}

// moment reads a point in time; zero when there is none.
func moment(name string, field *string) (time.Time, error) {
	if field == nil {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, *field)
	if err != nil {
		return time.Time{}, fault.InvalidField(name, "want a time like 2026-01-31T12:00:00Z")
	}
	at = at.UTC()
	if at.Year() < 0 || at.Year() > 9999 { // it could be stored, and never be written as JSON again
		return time.Time{}, fault.InvalidField(name, "want a time of the years 0000 to 9999 in UTC")
	}
	return at, nil
}
