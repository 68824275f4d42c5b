package memory

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

const (
	maxLabels = 64  // of one memory, and of one query
	maxLabel  = 256 // bytes
)

// parseLabels checks labels, each key=value, and returns them sorted, each once. Errors are faults about the named field:
// Conflict for too many, Invalid for the rest.
func parseLabels(field string, labels []string) ([]string, error) {
	if len(labels) > maxLabels {
		e := fault.New(fault.Conflict, "%s: at most %d labels", field, maxLabels)
		e.Field = field
		return nil, e
	}
	for i, label := range labels {
		key, _, found := strings.Cut(label, "=")
		var reason string
		switch {
		case !found || key == "":
			reason = "want key=value"
		case strings.HasPrefix(key, "_"):
			reason = "a key must not begin with an underscore; those are reserved"
		case len(label) > maxLabel:
			reason = fmt.Sprintf("at most %d bytes", maxLabel)
		case strings.ContainsRune(label, 0):
			reason = "must not hold the character U+0000"
		default:
			continue
		}
		return nil, fault.InvalidField(fmt.Sprintf("%s.%d", field, i), "%s", reason)
	}
	sorted := slices.Sorted(slices.Values(labels))
	return slices.Compact(sorted), nil
}
