package command

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// format is how a command answers: a table for people, or JSON for programs. It is the value of the flag -o.
type format string

const (
	formatTable format = "table"
	formatJSON  format = "json"
)

// addFormat gives cmd the flag -o.
func addFormat(cmd *cobra.Command) *format {
	f := formatTable
	cmd.PersistentFlags().VarP(&f, "output", "o", "table for people, json for programs")
	return &f
}

// String returns the name of the format.
func (f *format) String() string { return string(*f) }

// Set takes the name of a format.
func (f *format) Set(text string) error {
	switch format(text) {
	case formatTable, formatJSON:
		*f = format(text)
		return nil
	default:
		return fmt.Errorf("want %s or %s", formatTable, formatJSON)
	}
}

// Type returns the word that help shows for the value.
func (*format) Type() string { return "format" }

// write answers with value as JSON, or with rows as a table, the first of them its head.
func (f *format) write(w io.Writer, value any, rows ...[]string) error {
	if *f == formatJSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(value)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		if _, err := fmt.Fprintln(table, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return table.Flush()
}

// moment returns t as tables show it; nil, or the zero time, is no end.
func moment(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}
