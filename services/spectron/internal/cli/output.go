package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"
)

// print writes the result of a command: value as JSON for programs, or what table writes for people.
func (a *app) print(value any, table func(w io.Writer)) error {
	if a.output.value == "json" {
		return writeJSON(a.Out, value)
	}
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	table(w)
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

// field writes a row of a table that lists one thing, unless the value is empty.
func field(w io.Writer, name, value string) {
	if value != "" {
		_, _ = fmt.Fprintf(w, "%s\t%s\n", name, oneLine(value)) // the flush reports errors
	}
}

// complain writes a line to standard error.
func (a *app) complain(format string, args ...any) {
	_, _ = fmt.Fprintf(a.Err, format+"\n", args...) // there is nowhere left to report an error to
}

// oneLine makes text from elsewhere safe to show on a terminal: control characters, which could move the cursor or
// recolour what follows, and line ends become spaces.
func oneLine(text string) string {
	clean := func(r rune) rune {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}
	return strings.TrimSpace(strings.Map(clean, text))
}
