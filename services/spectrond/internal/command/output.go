package command

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/spectron/table"
)

// format is how a command answers: a table for people, or JSON for programs. It is the value of the flag -o.
type format string

const (
	formatTable format = "table"
	formatJSON  format = "json"
)

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

// output is where commands answer.
type output struct {
	format  format
	environ settings.Environ
}

// addOutput gives cmd, and those below it, the flag -o.
func addOutput(cmd *cobra.Command, environ settings.Environ) *output {
	out := &output{format: formatTable, environ: environ}
	cmd.PersistentFlags().VarP(&out.format, "output", "o", "table for people, json for programs")
	return out
}

// write answers with value as JSON, or with rows.
func (o *output) write(cmd *cobra.Command, value any, rows *table.Table) error {
	w := cmd.OutOrStdout()
	if o.format != formatJSON {
		return rows.Write(w, table.Styled(w, func(name string) string { return o.environ[name] }))
	}
	return encode(cmd, value)
}

// writeLine answers with value as JSON, or with a line.
func (o *output) writeLine(cmd *cobra.Command, value any, line string) error {
	if o.format == formatJSON {
		return encode(cmd, value)
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), line)
	return err
}

// writeDone says that something was done to the thing of that name: {"deleted": "planner"} for programs.
func (o *output) writeDone(cmd *cobra.Command, done, what, name string) error {
	return o.writeLine(cmd, map[string]string{done: name}, done+" "+what+" "+table.Clean(name))
}

func encode(cmd *cobra.Command, value any) error {
	encoder := json.NewEncoder(cmd.OutOrStdout())
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// moment returns t as tables show it; nil, or the zero time, is no end.
func moment(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

// span returns d as a person writes it: 1m, not 1m0s.
func span(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// count returns n with the word for it: 1 key, 2 keys.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// grantsLine returns grants in one cell.
func grantsLine(grants client.Grants) string {
	all := make([]string, 0, len(grants))
	for _, verb := range slices.Sorted(maps.Keys(grants)) {
		all = append(all, verb+"="+strings.Join(grants[verb], ","))
	}
	return strings.Join(all, " ")
}

// grantRows adds a row per verb.
func grantRows(fields *table.Table, grants client.Grants) {
	title := "GRANTS"
	for _, verb := range slices.Sorted(maps.Keys(grants)) {
		fields.Row(title, verb, strings.Join(grants[verb], " "))
		title = ""
	}
	if len(grants) == 0 {
		fields.Field(title, "none")
	}
}
