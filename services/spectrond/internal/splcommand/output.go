package splcommand

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/spectron/table"
)

// output is how commands answer. It is the value of the flag -o; the zero value is text.
type output string

const (
	outputText   output = "text"
	outputJSON   output = "json"
	outputStream output = "stream-json"
)

// String returns the name of the output.
func (o *output) String() string {
	if *o == "" {
		return string(outputText)
	}
	return string(*o)
}

// Set takes the name of an output.
func (o *output) Set(text string) error {
	switch output(text) {
	case outputText, outputJSON, outputStream:
		*o = output(text)
		return nil
	default:
		return fmt.Errorf("want %s, %s or %s", outputText, outputJSON, outputStream)
	}
}

// Type returns the word that help shows for the value.
func (*output) Type() string { return "format" }

// forPrograms reports whether the answer is read by a program.
func (o *output) forPrograms() bool { return *o == outputJSON || *o == outputStream }

// answer answers with value for programs, or with a line for people.
func (a *app) answer(cmd *cobra.Command, value any, line string) error {
	if a.output.forPrograms() {
		return a.encode(cmd, value)
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), line)
	return err
}

// answerTable answers with value for programs, or with rows for people.
func (a *app) answerTable(cmd *cobra.Command, value any, rows *table.Table) error {
	if a.output.forPrograms() {
		return a.encode(cmd, value)
	}
	w := cmd.OutOrStdout()
	return rows.Write(w, table.Styled(w, func(name string) string { return a.environ[name] }))
}

// encode writes value as JSON; for a stream, each thing of a list in a line of its own.
func (a *app) encode(cmd *cobra.Command, value any) error {
	encoder := json.NewEncoder(cmd.OutOrStdout())
	encoder.SetEscapeHTML(false)
	if a.output != outputStream {
		encoder.SetIndent("", "  ")
		return encoder.Encode(value)
	}
	list := reflect.ValueOf(value)
	if list.Kind() != reflect.Slice {
		return encoder.Encode(value)
	}
	for i := range list.Len() {
		if err := encoder.Encode(list.Index(i).Interface()); err != nil {
			return err
		}
	}
	return nil
}

// tell says something to people, beside the answer.
func (a *app) tell(cmd *cobra.Command, format string, args ...any) {
	_, _ = fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...) // there is nowhere left to report an error to
}
