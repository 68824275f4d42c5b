package verifier

import (
	"math"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/contract/mutant"
)

// remembered is how many revisions a history keeps at the most, for answers that were on their way while they were applied. An
// answer that is older than these is not cached. It takes as many in the five seconds of a question to make that happen.
const remembered = 4096

// unknown is the base of a history that has not begun.
const unknown = math.MaxInt64

// history is the newest revisions applied, which are consecutive.
type history struct {
	base   int64                 // nothing is known of revisions up to here
	newest int64                 // 0 while there is none
	events []introspection.Event // grows with them, so that most verifiers never pay for all; then a ring
}

func (h *history) add(e introspection.Event) {
	if len(h.events) < remembered {
		h.events = append(h.events, e)
	} else {
		*h.event(e.Revision) = e
	}
	h.newest = e.Revision
}

func (h *history) event(revision int64) *introspection.Event {
	return &h.events[(revision-h.base-1)%remembered]
}

// touched reports whether a revision newer than asOf may have touched the subject (a key in a context) or its principal.
func (h *history) touched(asOf int64, subject introspection.Event, principal string) bool {
	if mutant.Is(mutant.NoFillCheck) {
		return false
	}
	if asOf < h.base || h.newest-asOf >= remembered {
		return true
	}
	for revision := asOf + 1; revision <= h.newest; revision++ {
		if touches(h.event(revision), &subject, principal) {
			return true
		}
	}
	return false
}

func touches(e, subject *introspection.Event, principal string) bool {
	switch e.Kind {
	case introspection.SubjectKey:
		return e.ID == subject.ID || subject.ID == anyImported && apikey.IsImportedID(e.ID)
	case introspection.SubjectPrincipal:
		return e.Context == subject.Context && e.ID == principal
	case introspection.SubjectContext:
		// A refusal names no context: any may be its own.
		return subject.Context == "" || e.Context == subject.Context
	case introspection.SubjectDeployment, introspection.SubjectImports:
		return true
	default:
		return true
	}
}
