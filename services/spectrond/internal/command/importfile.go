package command

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/spectrond/internal/privatefile"
)

// maxImportLine is the longest line of a file to import.
const maxImportLine = 64 << 10

// importFile reads keys to import, one a line: JSON objects, or CSV behind a line of column names.
type importFile struct {
	lines   *bufio.Scanner
	csv     bool
	columns []string
	// number is that of the line read last, from 1; sum is over all lines so far.
	number int
	sum    uint64
}

var crcTable = crc64.MakeTable(crc64.ECMA)

func newImportFile(r io.Reader, isCSV bool) *importFile {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxImportLine)
	return &importFile{lines: lines, csv: isCSV}
}

// next returns the next key, or io.EOF. An error that is a *lineError is of the line alone.
func (f *importFile) next() (client.KeyImport, error) {
	for f.lines.Scan() {
		f.number++
		line := f.lines.Bytes()
		f.sum = crc64.Update(crc64.Update(f.sum, crcTable, line), crcTable, []byte{'\n'})
		switch {
		case len(bytes.TrimSpace(line)) == 0:
		case f.csv && f.columns == nil:
			record, err := csvRecord(line)
			if err != nil || !slices.Contains(record, "name") || !slices.Contains(record, "hash") {
				return client.KeyImport{}, errors.New("line 1 must name the columns, name and hash among them")
			}
			f.columns = record
		case f.csv:
			return f.row(line)
		default:
			return f.object(line)
		}
	}
	if err := f.lines.Err(); err != nil {
		return client.KeyImport{}, fmt.Errorf("reading line %d: %w", f.number+1, err)
	}
	return client.KeyImport{}, io.EOF
}

// lineError is a mistake in one line. It quotes nothing of it.
type lineError struct {
	number int
	why    string
}

func (e *lineError) Error() string { return fmt.Sprintf("line %d: %s", e.number, e.why) }

func (f *importFile) wrong(format string, args ...any) error {
	return &lineError{f.number, fmt.Sprintf(format, args...)}
}

func (f *importFile) object(line []byte) (item client.KeyImport, err error) {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&item); err != nil || decoder.More() {
		return item, f.wrong("is not a key as a JSON object with known fields")
	}
	return item, f.check(item)
}

func csvRecord(line []byte) ([]string, error) { return csv.NewReader(bytes.NewReader(line)).Read() }

func (f *importFile) row(line []byte) (item client.KeyImport, err error) {
	record, err := csvRecord(line)
	if err != nil || len(record) != len(f.columns) {
		return item, f.wrong("does not have the %d columns that line 1 names", len(f.columns))
	}
	for i, column := range f.columns {
		text := record[i]
		if text == "" {
			continue
		}
		switch column {
		case "name":
			item.Name = text
		case "hash":
			item.Hash = text
		case "principal":
			item.Principal = text
		case "principal_id":
			item.PrincipalID = text
		case "ttl_seconds":
			if item.TTLSeconds, err = strconv.ParseInt(text, 10, 64); err != nil {
				return item, f.wrong("ttl_seconds is not a number")
			}
		case "expires_at":
			at, err := time.Parse(time.RFC3339, text)
			if err != nil {
				return item, f.wrong("expires_at is not a time such as 2030-01-31T00:00:00Z")
			}
			item.ExpiresAt = &at
		case "org", "team", "agent", "user":
			if item.ScopeFloor == nil {
				item.ScopeFloor = map[string]string{}
			}
			item.ScopeFloor[column] = text
		default:
			return item, f.wrong("the column %q is not known", column)
		}
	}
	return item, f.check(item)
}

// check finds before anything is sent what the server would refuse anyway.
func (f *importFile) check(item client.KeyImport) error {
	if item.Name == "" {
		return f.wrong("name is missing")
	}
	if _, err := apikey.ParseHash(item.Hash); err != nil {
		return f.wrong("hash: %v", err)
	}
	return nil
}

// importState says how far an import has come.
type importState struct {
	Context string         `json:"context"`
	Lines   int            `json:"lines"`
	Sum     uint64         `json:"sum"`
	Counts  map[string]int `json:"counts"`
}

func loadImportState(path, contextID string) (importState, error) {
	state := importState{Context: contextID, Counts: map[string]int{}}
	if path == "" {
		return state, nil
	}
	text, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if errors.Is(err, os.ErrNotExist) {
		return state, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &state)
	}
	if err != nil {
		return state, fmt.Errorf("reading how far the import has come: %w", err)
	}
	if state.Context != contextID {
		return state, fmt.Errorf("%s is of an import into the context %s", path, state.Context)
	}
	return state, nil
}

func (s importState) save(path string) error {
	if path == "" {
		return nil
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return privatefile.Replace(path, append(text, '\n'))
}
