package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/spectron/internal/settings"
	"github.com/spectron-hq/spectron/services/spectron/table"
)

// The exit statuses.
const (
	exitDone = iota
	exitFailed
	exitUsage
	exitAlreadyDone
)

// usageError is a mistake of the command line or of the settings: nothing was sent.
type usageError struct {
	err error
	// command is the command whose help would tell; empty when it would not.
	command string
}

func (e *usageError) Error() string {
	if e.command == "" {
		return e.err.Error()
	}
	return fmt.Sprintf("%v; see %s --help", e.err, e.command)
}

func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{err: fmt.Errorf(format, args...)} }

// asUsage makes a fault that was found without asking a server a mistake of usage.
func asUsage(err error) error {
	if found, ok := errors.AsType[*fault.Error](err); ok {
		return &usageError{err: errors.New(found.Message)}
	}
	return err
}

func exitStatus(err error) int {
	switch {
	case errors.As(err, new(*usageError)):
		return exitUsage
	case errors.Is(err, fault.AlreadyDone):
		return exitAlreadyDone
	default:
		return exitFailed
	}
}

// explain says in one line what went wrong and what to do. It shows no key, whoever put it into the error.
func (a *app) explain(err error) string {
	text := err.Error()
	if found, ok := errors.AsType[*fault.Error](err); ok {
		text = a.explainFault(found)
	}
	keys := []client.APIKey{a.flags.APIKey, a.managementKey}
	if a.settings != nil {
		keys = append(keys, a.settings.APIKey)
	}
	for _, key := range keys {
		if key != "" {
			text = strings.ReplaceAll(text, key.Reveal(), "REDACTED")
		}
	}
	return table.Clean(apikey.Redact(text))
}

func (a *app) explainFault(e *fault.Error) string {
	text := e.Message
	if text == "" {
		text = e.Kind.Title()
	}
	s := a.settings
	if s == nil {
		s = &settings.Settings{}
	}
	switch {
	case e.Kind == fault.Unauthenticated:
		return fmt.Sprintf("%s (the key is %s, the context %s); run spectron login or set SPECTRON_API_KEY",
			text, s.APIKeyOrigin, s.ContextIDOrigin)
	case e.Kind == fault.Unavailable && e.Err != nil:
		return fmt.Sprintf("%s: %v (the URL is %s); is the server running, and is that its URL?", text, e.Err, s.URLOrigin)
	case e.RetryAfter > 0:
		return fmt.Sprintf("%s; try again in %v", text, e.RetryAfter)
	default:
		return text
	}
}
