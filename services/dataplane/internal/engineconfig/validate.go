package engineconfig

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

const (
	maxName     = 128
	maxPriority = 1_000_000
	maxBody     = 16 << 10
	// maxRules is how many rules of a kind there may be: they are all in memory, and a decision may ask every one.
	maxRules = 256
)

// decode reads text as exactly one JSON value, with its numbers as they are.
func decode(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value")
	}
	return nil
}

// parse reads the body of a record on the thread, and validates all of it but expressions. A misspelt field of a rule could open
// what it was to close, so unknown ones are refused. Errors are faults.
func parse(body []byte) (change, error) {
	var said change
	if err := decode(body, &said); err != nil {
		return change{}, fault.New(fault.Invalid, "body: %s", decodeReason(err)).Because(err)
	}
	switch said.Topic {
	case aboutRule:
		if _, err := ParseKind(string(said.Kind)); err != nil {
			return change{}, fault.InvalidField("body.kind", "must be one of %s", kindWords())
		}
		if said.Origins != nil {
			return change{}, fault.New(fault.Invalid, "body: the topic %s has no origins", said.Topic)
		}
		return said, inBody(said.rule().check())
	case aboutOrigins:
		if said.Origins == nil {
			return change{}, fault.InvalidField("body.origins", "must be a list")
		}
		if said.Enabled != nil || said.ofRules() {
			return change{}, fault.New(fault.Invalid, "body: the topic %s has nothing but origins", said.Topic)
		}
		return said, inBody(checkOrigins(*said.Origins))
	case aboutPermissions, aboutAuth:
		if said.Enabled == nil {
			return change{}, fault.InvalidField("body.enabled", "must be true or false")
		}
		if said.Origins != nil || said.ofRules() {
			return change{}, fault.New(fault.Invalid, "body: the topic %s has nothing but enabled", said.Topic)
		}
		if said.Topic == aboutAuth && !*said.Enabled {
			return change{}, fault.InvalidField("body.enabled",
				"authentication is not turned off while the server runs: stop it and start it with --insecure-localhost")
		}
		return said, nil
	default:
		return change{}, fault.InvalidField("body.topic", "must be %s, %s, %s or %s", aboutRule, aboutPermissions, aboutAuth, aboutOrigins)
	}
}

// ofRules reports whether c has fields that only rules have.
func (c change) ofRules() bool {
	return c.Kind != "" || c.Name != "" || c.Removed || c.Priority != 0 || c.Action != "" || c.Expression != "" || c.Body != nil
}

// decodeReason says what is wrong with a body, in words that quote no value of it.
func decodeReason(err error) string {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return wrong.Field + " is of the wrong type"
	}
	if _, field, ok := strings.Cut(err.Error(), "unknown field "); ok {
		return "unknown field " + field
	}
	return "must be an object with topic, enabled, kind, name, priority, action, expression, body and origins"
}

// validate reports what is wrong with a rule whose kind is right.
func (r Rule) validate() error {
	if err := r.check(); err != nil || r.Kind != PermissionRules || r.Removed {
		return err
	}
	_, err := compile(r.Expression)
	return err
}

// check does the same without compiling the expression.
func (r Rule) check() error {
	if err := checkName(r.Name); err != nil || r.Removed {
		return err
	}
	if r.Priority < -maxPriority || r.Priority > maxPriority {
		return fault.InvalidField("priority", "must be from %d to %d", -maxPriority, maxPriority)
	}
	if r.Body != nil && len(marshal(change{Body: r.Body})) > maxBody {
		return fault.InvalidField("body", "may have at most %d bytes", maxBody)
	}
	switch {
	case r.Kind != PermissionRules && (r.Action != "" || r.Expression != ""):
		return fault.New(fault.Invalid, "only permission rules have an action and an expression; what other rules say goes into body")
	case r.Kind != PermissionRules:
		return nil
	case r.Action != Allow && r.Action != Deny:
		return fault.InvalidField("action", "must be %s or %s", Allow, Deny)
	case strings.TrimSpace(r.Expression) == "":
		return fault.InvalidField("expression", "is required")
	case utf8.RuneCountInString(r.Expression) > maxExpression:
		return fault.InvalidField("expression", "may have at most %d characters", maxExpression)
	default:
		return nil
	}
}

func checkName(name string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return fault.InvalidField("name", "is required")
	case !utf8.ValidString(name) || utf8.RuneCountInString(name) > maxName:
		return fault.InvalidField("name", "may have at most %d characters", maxName)
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fault.InvalidField("name", "may have only characters that can be printed")
	default:
		return nil
	}
}
