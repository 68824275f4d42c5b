// Package memory remembers texts and finds them again.
//
// What it promises: a text is found only by a caller whose memory:read region holds every node of one of the clauses it is
// tagged with, and it is written only by a caller whose memory:write region holds all of its nodes. The store decides what
// is found, in the query itself; nothing is filtered afterwards.
package memory

import (
	"context"
	"time"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/idempotency"
	"github.com/spectron-hq/spectron/services/dataplane/internal/session"
)

// Source says what a hit is.
type Source string

// What can be found.
const (
	// ChunkSource is a text as it was remembered.
	ChunkSource Source = "memory_chunk"
	// AttributeSource is a value of an entity, and EntitySource an entity itself.
	AttributeSource Source = "attribute"
	EntitySource    Source = "entity"
)

// Store keeps memories.
type Store interface {
	session.Store
	// Remember stores w in one transaction. When w.Once names a write that was done before, it stores nothing and returns
	// that one's receipt. Errors: the Conflicts of package idempotency; session.ErrAbsent when the session to append to has
	// gone.
	Remember(ctx context.Context, w Write) (Receipt, error)
	// RememberAll stores w in one transaction, all of it or nothing; the rest is as in Remember.
	RememberAll(ctx context.Context, w BatchWrite) (BatchReceipt, error)
	// Search returns what s finds, the best first; among equals the newest, then the highest id.
	Search(ctx context.Context, s Search) ([]Hit, error)
	// CountForgettable returns how many rows f is about, whatever its limit.
	CountForgettable(ctx context.Context, f Forgetting) (int, error)
	// Forget forgets up to f.Limit of these rows, with what hangs on them, and returns how many.
	Forget(ctx context.Context, f Forgetting) (int, error)
}

// Registry knows where rows may live.
type Registry interface {
	// Destination returns where a row that who writes will live, in normal form: at sets, which who calls by the name field,
	// or by default wherever it may write. Errors are faults.
	Destination(ctx context.Context, who *caller.Caller, field string, sets scope.Sets) (scope.Sets, error)
}

// Service remembers and recalls on behalf of callers.
type Service struct {
	store    Store
	registry Registry
	now      func() time.Time
}

// New returns a Service.
func New(store Store, registry Registry, now func() time.Time) *Service {
	return &Service{store, registry, now}
}

// Write is what the store is to keep: one text, said in a session, and found by queries.
type Write struct {
	Incarnation string
	Session     session.Session
	// NewSession says that the session does not exist yet.
	NewSession bool
	Turn       session.Turn
	Chunk      Chunk
	// Once is nil when the caller did not name the write.
	Once *idempotency.Key
}

// Chunk is a text as queries find it. Without a text there is none to find.
type Chunk struct {
	ID string
	// Sets is in normal form and not empty.
	Sets     scope.Sets
	Text     string
	Category Category
	// Labels are sorted, each once.
	Labels []string
	// ObservedAt is zero when the writer did not say.
	ObservedAt time.Time
	CreatedAt  time.Time
}

// Receipt says where a text was stored.
type Receipt struct {
	SessionID string `json:"session_id"`
	TurnID    string `json:"turn_id"`
	// ChunkID is empty when there was no text.
	ChunkID string `json:"chunk_id"`
}

// Search is a question to the store.
type Search struct {
	Incarnation string
	// Terms are what to look for, any of them: lower-case words without any other character. There is at least one.
	Terms []string
	// Region is what the caller may read, in normal form. An empty one finds nothing.
	Region scope.Region
	// Lens narrows; empty means no narrowing.
	Lens scope.Lens
	// Labels must all be on a hit.
	Labels []string
	// SessionID, when not empty, is where a hit was written.
	SessionID string
	// Sources, when not empty, are what a hit may be.
	Sources []Source
	// WithoutReflections keeps out what was itself put together from memories.
	WithoutReflections bool
	// AsOf, when not zero, is the latest time at which a hit was written, and one at which it was valid. Otherwise a hit is
	// valid still. What was forgotten is never found.
	AsOf time.Time
	// AtInstant, when not zero, is a time at which a hit was valid; ValidFrom is one at or after which, and ValidUntil one
	// before which it was. With any of them a hit need not be valid still.
	AtInstant, ValidFrom, ValidUntil time.Time
	// Distinct lets the best one stand for all hits of one text.
	Distinct bool
	Limit    int
}

// Hit is what was found.
type Hit struct {
	// ID is that of the chunk, the attribute or the entity.
	ID, Text string
	Source   Source
	// EntityID is the entity of an attribute, or the entity itself; empty for a chunk.
	EntityID string
	// Score is that of the best hit, 1, or less: comparable within one search only.
	Score float64
	// OccurredAt is zero when the writer did not say.
	OccurredAt time.Time
}
