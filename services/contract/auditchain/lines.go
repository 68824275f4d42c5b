package auditchain

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
)

// maxLine is the longest line of an export.
const maxLine = 16 << 20

// Write writes r as one line of JSON.
func (r Record) Write(w io.Writer) error {
	detail, err := Canonical(r.Detail)
	if err != nil {
		return fmt.Errorf("writing entry %d: %w", r.Seq, err)
	}
	r.Detail, r.At = detail, r.At.UTC()
	line, err := encode(r)
	if err != nil {
		return fmt.Errorf("writing entry %d: %w", r.Seq, err)
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

// Read returns the records of an export, line by line. The first line that is none ends it with an error that quotes nothing.
func Read(from io.Reader) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		lines := bufio.NewScanner(from)
		lines.Buffer(nil, maxLine)
		for number := 1; lines.Scan(); number++ {
			if len(lines.Bytes()) == 0 {
				continue
			}
			var r Record
			if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
				yield(Record{}, fmt.Errorf("line %d is no entry of the audit log: %w", number, withoutValue(err)))
				return
			}
			if !yield(r, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(Record{}, fmt.Errorf("reading an export: %w", err))
		}
	}
}

// withoutValue returns what is wrong with a line, without what the line says.
func withoutValue(err error) error {
	if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("%s has the wrong type", mismatch.Field)
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("it is not JSON from byte %d on", syntax.Offset)
	}
	return errors.New("a field of it is malformed")
}
