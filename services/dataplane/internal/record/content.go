package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spectron-hq/spectron/services/dataplane/internal/fingerprint"
)

const (
	// MaxBody is the most bytes of a body, in its canonical form.
	MaxBody = 256 << 10
	// MaxClock is the largest integer that every reader of JSON has exactly.
	MaxClock = 1<<53 - 1

	maxParents = 64
	// In bytes: an index of the database holds both together.
	maxThread, maxActor = 256, 512

	threadPrefix = "th_"
)

// normal returns c as it is stored and hashed, or says what is wrong with it.
func (c Content) normal() (Content, error) {
	if err := CheckThread("thread", c.Thread); err != nil {
		return Content{}, err
	}
	if err := checkActor("actor", c.Actor); err != nil {
		return Content{}, err
	}
	switch c.Act {
	case Intend, Do, Know, Learn, Get, Put, Call, Map:
	default:
		return Content{}, invalid("act", "must be one of INTEND, DO, KNOW, LEARN, GET, PUT, CALL, MAP")
	}
	switch c.DataType {
	case "":
		c.DataType = Scalar
	case Scalar, Formula, Distribution, Reference, Morphism, Void:
	default:
		return Content{}, invalid("data_type", "must be one of SCALAR, FORMULA, DISTRIBUTION, REFERENCE, MORPHISM, VOID")
	}
	if c.Clock < 0 || c.Clock > MaxClock {
		return Content{}, invalid("clock", "must be between 0 and %d", int64(MaxClock))
	}
	var err error
	if c.Parents, err = normalParents(c.Parents); err != nil {
		return Content{}, err
	}
	c.Body, err = canonicalBody(c.Body)
	return c, err
}

func normalParents(parents []string) ([]string, error) {
	if len(parents) > maxParents {
		return nil, invalid("parents", "must have at most %d items", maxParents)
	}
	for i, parent := range parents {
		if !isID(parent) {
			return nil, invalid(fmt.Sprintf("parents.%d", i), "must be the id of a record: 64 lower-case hexadecimal digits")
		}
	}
	sorted := append([]string{}, parents...) // not nil, which JSON writes as null
	slices.Sort(sorted)
	return slices.Compact(sorted), nil
}

// isID reports whether text can be the id of a record.
func isID(text string) bool {
	return len(text) == 64 && strings.Trim(text, "0123456789abcdef") == ""
}

// CheckThread says what keeps id, which the caller knows by the name field, from being a thread's, if anything does.
func CheckThread(field, id string) error {
	switch {
	case !strings.HasPrefix(id, threadPrefix) || len(id) == len(threadPrefix):
		return invalid(field, "must begin with %s and go on", threadPrefix)
	case len(id) > maxThread:
		return invalid(field, "must have at most %d bytes", maxThread)
	case !printable(id):
		return invalid(field, "must be printable")
	}
	return nil
}

func checkActor(field, actor string) error {
	switch {
	case actor == "":
		return invalid(field, "must not be empty")
	case len(actor) > maxActor:
		return invalid(field, "must have at most %d bytes", maxActor)
	case !printable(actor):
		return invalid(field, "must be printable")
	}
	return nil
}

func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

func canonicalBody(body json.RawMessage) (json.RawMessage, error) {
	if len(body) == 0 {
		return json.RawMessage("{}"), nil
	}
	canonical, err := canonical("body", body)
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(canonical, []byte("{")) {
		return nil, invalid("body", "must be an object")
	}
	return canonical, nil
}

// id returns the id of c, which must be normal.
func (c Content) id() (string, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("writing a record: %w", err)
	}
	text, err = canonicalText(text)
	if err != nil {
		return "", fmt.Errorf("putting a record into its canonical form: %w", err)
	}
	return fingerprint.Address(text), nil
}
