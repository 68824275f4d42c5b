package backup

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spectron-hq/spectron/services/contract/apikey"
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
			var e entry
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				return list, fmt.Errorf("reading the revocations: line %d is no entry of the audit log", number)
			}
			list.note(e, m)
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

// entry is what counts of an entry of the audit log.
type entry struct {
	ID        int64  `json:"id"`
	Action    string `json:"action"`
	ContextID string `json:"context_id"`
	Target    string `json:"target"`
	Outcome   string `json:"outcome"`
	Detail    struct {
		Revision int64    `json:"revision"`
		Revoked  []string `json:"revoked"`
	} `json:"detail"`
}

// later reports whether e is of a change that m does not have. Revisions are in the order of their numbers; ids are not quite.
func (e entry) later(m Manifest) bool {
	if e.Detail.Revision > 0 {
		return e.Detail.Revision > m.Revision
	}
	return e.ID > m.AuditEntry
}

// harmless are the actions that narrow nothing: what they did is gone with the rest of what came after the backup.
var harmless = []string{
	"deployment.bootstrapped", "deployment.restored", "context.created", "context.purged", "job.queued", "job.done", "principal.created",
	"key.minted", "key.imported", "key.enabled", "service_account.created", "token.minted", "webhook.created", "webhook.disabled",
	"pepper.retired", // what is retired is configured
	"access.denied",
}

// note takes e into l. An action that it does not know, of another release perhaps, is told of rather than passed over.
func (l *revocations) note(e entry, m Manifest) {
	if e.Outcome == "denied" || !e.later(m) {
		return
	}
	switch e.Action {
	case "key.deleted", "token.revoked", "key.rotated":
		// The secret that a rotation ended would live again, and the new one is not in the backup: the key has to be minted again.
		l.revoked.Keys = append(l.revoked.Keys, e.Target)
	case "token.rotated":
		l.revoked.Keys = append(l.revoked.Keys, e.Detail.Revoked...)
	case "service_account.revoked", "principal.deleted":
		l.revoked.Principals = append(l.revoked.Principals, keymanager.Place{ContextID: e.ContextID, ID: e.Target})
	case "context.deleted":
		l.revoked.Contexts = append(l.revoked.Contexts, e.Target)
	default:
		if !slices.Contains(harmless, e.Action) {
			l.others[e.Action]++
		}
	}
}
