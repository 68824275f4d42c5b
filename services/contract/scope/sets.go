package scope

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Limits of a set of clauses; beyond them it is refused.
const (
	MaxClauses = 64
	MaxNodes   = 64 // in one clause
)

// Clauses is an OR of ANDs over T. On the wire it is a string, a list of strings (OR), a list of lists (OR of ANDs), or
// a mixture: "a" is [["a"]], ["a","b"] is [["a"],["b"]], [["a","b"]] is both at once. It is always written in the nested
// form. Nil and empty mean "not given".
type Clauses[T Path | Pattern] [][]T

// Sets says where a row lives: it is seen by whoever may read every node of one of the clauses.
type Sets = Clauses[Path]

// Lens narrows a reading: a row passes when, for one of the clauses, each pattern matches one of its nodes.
type Lens = Clauses[Pattern]

var errShape = errors.New("want a path, a list of paths, or a list of lists of paths")

// UnmarshalJSON reads each form of the wire.
func (c *Clauses[T]) UnmarshalJSON(data []byte) error {
	data = bytes.TrimSpace(data)
	if bytes.Equal(data, []byte("null")) {
		*c = nil
		return nil
	}
	if data[0] != '[' {
		clause, err := parseClause[T](data)
		if err != nil {
			return err
		}
		*c = Clauses[T]{clause}
		return nil
	}
	var items []json.RawMessage
	if err := json.Unmarshal(data, &items); err != nil {
		return errShape
	}
	if len(items) > MaxClauses {
		return fmt.Errorf("at most %d alternatives", MaxClauses)
	}
	out := make(Clauses[T], 0, len(items))
	for _, item := range items {
		clause, err := parseClause[T](item)
		if err != nil {
			return err
		}
		out = append(out, clause)
	}
	*c = out
	return nil
}

// parseClause reads "a" or ["a","b"].
func parseClause[T Path | Pattern](data []byte) ([]T, error) {
	var texts []string
	var one string
	switch {
	case json.Unmarshal(data, &one) == nil && !bytes.Equal(data, []byte("null")):
		texts = []string{one}
	case json.Unmarshal(data, &texts) != nil:
		return nil, errShape
	}
	if len(texts) == 0 {
		return nil, errors.New("an inner list must not be empty")
	}
	if len(texts) > MaxNodes {
		return nil, fmt.Errorf("at most %d paths in one inner list", MaxNodes)
	}
	clause := make([]T, len(texts))
	for i, text := range texts {
		var err error
		switch node := any(&clause[i]).(type) {
		case *Path:
			*node, err = ParsePath(text)
		case *Pattern:
			*node, err = ParsePattern(text)
		}
		if err != nil {
			return nil, err
		}
	}
	return clause, nil
}
