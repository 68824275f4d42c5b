// Package table shows rows to people: in aligned columns, with the head in bold on a terminal. What a cell holds cannot
// drive the terminal of who reads it.
package table

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

const (
	bold  = "\x1b[1m"
	plain = "\x1b[0m"
	gap   = "  "
)

// Table is a list of rows, or of the fields of one thing.
type Table struct {
	headed bool
	rows   [][]string
}

// New returns a table with the titles of its columns. Without titles the first cell of each row is a title.
func New(head ...string) *Table {
	t := &Table{}
	if len(head) > 0 {
		t.headed = true
		t.rows = append(t.rows, head)
	}
	return t
}

// Row adds a row.
func (t *Table) Row(cells ...string) { t.rows = append(t.rows, cells) }

// Field adds a row with a title and a value, unless the value is empty.
func (t *Table) Field(title, value string) {
	if value != "" {
		t.Row(title, value)
	}
}

// Empty reports whether there is nothing but a head.
func (t *Table) Empty() bool { return len(t.rows) == 0 || t.headed && len(t.rows) == 1 }

// Write writes the table, with the titles in bold when it is styled. A table without rows is nothing, not even a head.
func (t *Table) Write(w io.Writer, styled bool) error {
	if t.Empty() {
		return nil
	}
	widths := t.widths()
	var text strings.Builder
	for i, row := range t.rows {
		for j, cell := range row {
			cell = Clean(cell)
			title := t.headed && i == 0 || !t.headed && j == 0
			if styled && title && cell != "" {
				text.WriteString(bold + cell + plain)
			} else {
				text.WriteString(cell)
			}
			// What follows the last cell would be blanks that nobody sees.
			if j < len(row)-1 {
				text.WriteString(strings.Repeat(" ", widths[j]-utf8.RuneCountInString(cell)) + gap)
			}
		}
		text.WriteByte('\n')
	}
	if _, err := io.WriteString(w, text.String()); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

// widths returns how wide each column is, not counting the cells that end a row: nothing is aligned with their end.
func (t *Table) widths() []int {
	var widths []int
	for _, row := range t.rows {
		for j := range len(row) - 1 {
			if j == len(widths) {
				widths = append(widths, 0)
			}
			widths[j] = max(widths[j], utf8.RuneCountInString(Clean(row[j])))
		}
	}
	return widths
}

// Clean makes text from elsewhere safe to show on a terminal: control characters, which could move the cursor or recolour
// what follows, and line ends become spaces.
func Clean(text string) string {
	clean := func(r rune) rune {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}
	return strings.TrimSpace(strings.Map(clean, text))
}

// Styled reports whether what is written to w is seen by a person whose terminal shows styles, and who has not asked for
// none (https://no-color.org).
func Styled(w io.Writer, getenv func(name string) string) bool {
	file, ok := w.(*os.File)
	return ok && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb" && term.IsTerminal(int(file.Fd()))
}
