// Package cli holds the manners that the command lines of this module share. It promises that no secret is echoed: not an
// argument that is too much, not a key or a token in an error; and that exit statuses mean the same everywhere.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
)

// The exit statuses of every command.
const (
	ExitDone        = 0
	ExitFailed      = 1 // refused or failed
	ExitUsage       = 2 // the command line or the configuration is wrong: nothing was tried
	ExitAlreadyDone = 3 // it was done before
)

// Run runs the command line below root, tells stderr what went wrong, and returns the exit status.
func Run(ctx context.Context, root *cobra.Command, stderr io.Writer) int {
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetFlagErrorFunc(Usage)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitDone
	}
	if !errors.As(err, new(*ReportedError)) {
		_, _ = fmt.Fprintf(stderr, "%s: %s\n", root.Name(), Describe(err)) // nowhere left to report a failure to
		advise(stderr, err)
	}
	return Status(err)
}

// ReportedError is an error that the user has been told of already.
type ReportedError struct{ Err error }

// Error tells it again.
func (e *ReportedError) Error() string { return e.Err.Error() }

// Unwrap returns what was told.
func (e *ReportedError) Unwrap() error { return e.Err }

// Status returns the exit status that err stands for.
func Status(err error) int {
	if own, ok := errors.AsType[*StatusError](err); ok {
		return own.Status
	}
	switch {
	case err == nil:
		return ExitDone
	case errors.As(err, new(*UsageError)):
		return ExitUsage
	case errors.Is(err, fault.AlreadyDone):
		return ExitAlreadyDone
	default:
		return ExitFailed
	}
}

// Describe returns err as one line for people.
func Describe(err error) string {
	text := err.Error()
	if public, ok := errors.AsType[*fault.Error](err); ok {
		// The kind is a word for programs, and the exit status tells it. The code is what documentation speaks of.
		whole, told := public.Error(), ""
		if public.Code != "" {
			told = public.Code + ": "
		}
		text = strings.Replace(text, whole, told+strings.TrimPrefix(whole, public.Kind.String()+": "), 1)
	}
	return apikey.Redact(strings.ReplaceAll(strings.TrimSpace(text), "\n", "; "))
}
