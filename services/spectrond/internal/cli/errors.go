package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/spectron-hq/spectron/services/contract/apikey"
)

// AdvisedError is an error that comes with what to do about it.
type AdvisedError struct {
	Err error
	// Advice are lines for people, commands among them.
	Advice []string
}

// Error tells the error alone.
func (e *AdvisedError) Error() string { return e.Err.Error() }

// Unwrap returns the error alone.
func (e *AdvisedError) Unwrap() error { return e.Err }

// StatusError is an error of a command whose exit statuses have a meaning of their own.
type StatusError struct {
	Err error
	// Status is what the command exits with.
	Status int
}

// Error tells the error.
func (e *StatusError) Error() string { return e.Err.Error() }

// Unwrap returns the error.
func (e *StatusError) Unwrap() error { return e.Err }

// advise tells what to do about err, where it comes with that.
func advise(w io.Writer, err error) {
	advised, ok := errors.AsType[*AdvisedError](err)
	if !ok {
		return
	}
	for _, line := range advised.Advice {
		_, _ = fmt.Fprintln(w, "  "+apikey.Redact(line)) // nowhere left to report a failure to
	}
}
