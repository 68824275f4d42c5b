// Package fault is the one vocabulary of failure. An error that may be shown to a caller is an [Error]: it has a
// [Kind], a message meant for the public, and a cause that never leaves the process. Every other error is [Internal]
// and says nothing. The same table maps kinds to statuses on servers and statuses back to kinds in clients.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Error is a failure with a public face. The zero value is an Internal error without a message.
type Error struct {
	Kind Kind
	// Message is public: it says what is wrong and what to do, and holds nothing secret.
	Message string
	// Field names the offending input (a JSON field, a query parameter, a header); empty when there is none.
	Field string
	// Code names the failure on surfaces that have a vocabulary of their own; empty elsewhere.
	Code string
	// RequiredScope names the scope that a caller lacks; empty where that is not the reason.
	RequiredScope string
	// RetryAfter, when positive, tells the caller how long to wait before trying again.
	RetryAfter time.Duration
	// Err is the private cause: it is logged, never answered.
	Err error
}

// New returns an Error whose public message is formatted from format and args.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// InvalidField returns an Invalid error about one named input. The message is prefixed with the field's name.
func InvalidField(field, format string, args ...any) *Error {
	return &Error{Kind: Invalid, Field: field, Message: field + ": " + fmt.Sprintf(format, args...)}
}

// Because returns a copy of e with the private cause err.
func (e *Error) Because(err error) *Error {
	c := *e
	c.Err = err
	return &c
}

// Error returns the kind, the public message and the cause: for logs, not for callers.
func (e *Error) Error() string {
	text := e.Kind.String()
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the private cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is the [Kind] of e, so that errors.Is(err, fault.NotFound) works.
func (e *Error) Is(target error) bool {
	kind, ok := target.(Kind)
	return ok && e.Kind == kind
}

// KindOf returns the kind of the first Error in err's chain, or Internal.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// BadCredential is the one answer to every request that authentication refuses. A missing, malformed, unknown, expired,
// deleted, rotated-out or foreign key must be told apart by nobody, so nothing may be added to it.
func BadCredential() *Error { return New(Unauthenticated, "missing or invalid API key") }
