package audit

import (
	"context"
	"time"

	"github.com/spectron-hq/spectron/services/contract/auditchain"
)

// Query picks sealed entries. What is empty picks all.
type Query struct {
	Action, ActorKind, ActorKeyID, ContextID, Target, TraceID string
	Outcome                                                   Outcome
	// Since and Until are the earliest time and the first that is too late.
	Since, Until time.Time
	// Newest begins with the newest entry.
	Newest bool
	// After is the number of the entry to go on after; 0 begins at the beginning.
	After int64
	Limit int
}

// Page is what a query found.
type Page struct {
	Entries []auditchain.Record
	// Next is the number to go on after, 0 when there is no more. A page that is not full may have one: a query looks at so
	// many entries at once, and no further.
	Next int64
	// Head is where the chain has got to, and Anchor up to where it has been archived.
	Head, Anchor auditchain.Head
}

// Store reads the audit log.
type Store interface {
	// AuditEntries returns what query picks.
	AuditEntries(ctx context.Context, query Query) (Page, error)
}
