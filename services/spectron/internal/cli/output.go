package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/spectron/table"
)

// print writes the result of a command: value as JSON for programs, or tables for people, with an empty line between.
func (a *app) print(value any, tables ...*table.Table) error {
	if a.output.value == outputJSON {
		return writeJSON(a.Out, value)
	}
	styled := table.Styled(a.Out, a.Environment)
	some := false
	for _, t := range tables {
		if some && !t.Empty() {
			if _, err := fmt.Fprintln(a.Out); err != nil {
				return fmt.Errorf("writing the result: %w", err)
			}
		}
		if err := t.Write(a.Out, styled); err != nil {
			return err
		}
		some = some || !t.Empty()
	}
	return nil
}

// printList is print for a list, and says so when there is nothing in it.
func (a *app) printList(value any, list *table.Table, what string) error {
	if list.Empty() {
		a.complain("%s", what)
	}
	return a.print(value, list)
}

// printText writes the result of a command: value as JSON for programs, or text for people, line by line.
func (a *app) printText(value any, text string) error {
	if a.output.value == outputJSON {
		return writeJSON(a.Out, value)
	}
	if text == "" {
		return nil
	}
	if _, err := fmt.Fprintln(a.Out, manyLines(text)); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

// printDone says that something was done to a thing of that name: {"deleted": "planner"} for programs.
func (a *app) printDone(done, what, name string) error {
	return a.printText(map[string]string{done: name}, strings.TrimSpace(done+" "+what+" "+table.Clean(name)))
}

// printCount says to how many rows something was done.
func (a *app) printCount(done string, rows int64) error {
	return a.printText(map[string]int64{done: rows}, done+" "+countRows(rows))
}

func countRows(rows int64) string {
	if rows == 1 {
		return "1 row"
	}
	return fmt.Sprintf("%d rows", rows)
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

// complain writes a line to standard error.
func (a *app) complain(format string, args ...any) {
	_, _ = fmt.Fprintf(a.Err, format+"\n", args...) // there is nowhere left to report an error to
}

// manyLines makes text from elsewhere safe to show on a terminal, as [table.Clean] does, but keeps its lines.
func manyLines(text string) string {
	clean := func(r rune) rune {
		if r != '\n' && (unicode.IsSpace(r) || !unicode.IsPrint(r)) {
			return ' '
		}
		return r
	}
	return strings.TrimRight(strings.Map(clean, text), " \n")
}

// moment returns t as tables show it; none when there is no such moment.
func moment(t *time.Time, none string) string {
	if t == nil || t.IsZero() {
		return none
	}
	return t.UTC().Format(time.RFC3339)
}

// clauses returns an OR of ANDs as tables show it.
func clauses(sets client.ScopeSets) string {
	all := make([]string, len(sets))
	for i, clause := range sets {
		all[i] = strings.Join(clause, " & ")
	}
	return strings.Join(all, ", ")
}
