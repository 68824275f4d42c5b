package backup

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/auditchain"
	"github.com/spectron-hq/spectron/services/keymanager"
)

// maxLine is the longest line that a list of revocations may have.
const maxLine = 1 << 20

// revocations is what a list says has been revoked since a backup.
type revocations struct {
	revoked keymanager.Revoked
	// others counts, by action, changes since the backup that narrowed something else, and are not made again.
	others map[string]int
}

// readRevocations reads the list at path, of what has been revoked since m was taken; no path is no list.
func readRevocations(path string, m Manifest) (list revocations, err error) {
	if path == "" {
		return list, nil
	}
	file, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return list, fmt.Errorf("reading the revocations: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return parseRevocations(file, m)
}

// parseRevocations reads ids of keys and tokens, one a line, or entries of the audit log as JSON, one a line, or both. Of entries only
// those count that are not in the backup already.
func parseRevocations(r io.Reader, m Manifest) (revocations, error) {
	list := revocations{others: map[string]int{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '{':
			var e auditchain.Record
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				return list, fmt.Errorf("reading the revocations: line %d is no entry of the audit log", number)
			}
			wider, err := list.revoked.Note(e, m.facts())
			if err != nil {
				return list, fmt.Errorf("reading the revocations: line %d: %w", number, err)
			}
			if wider {
				list.others[e.Action]++
			}
		case apikey.ValidID(line) || apikey.ValidTokenID(line):
			list.revoked.Keys = append(list.revoked.Keys, line)
		default: // not quoted: it may be a key
			return list, fmt.Errorf("reading the revocations: line %d is neither the id of a key or a token nor an entry of the audit log", number)
		}
	}
	if err := lines.Err(); err != nil {
		return list, fmt.Errorf("reading the revocations: %w", err)
	}
	return list, nil
}
