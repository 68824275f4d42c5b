// Package trace keeps what was asked and what was done: one row for each request that succeeded, with who asked, through
// which key and on whose behalf. It holds what was looked for, never what was written, and no key but its id.
//
// What it promises: a reader waits for its row only as long as a database that works takes, and not much longer for one that
// does not; rows are shown to the principal whose they are, and to whoever holds grant:manage over the root.
package trace

import (
	"context"
	"log/slog"
	"time"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
)

// Kind says what sort of request a row is of.
type Kind string

// The kinds.
const (
	// Decision changed something.
	Decision Kind = "decision"
	// Retrieval read memories.
	Retrieval Kind = "retrieval"
	// Response put an answer together.
	Response Kind = "response"
)

// Kinds returns all of them.
func Kinds() []Kind { return []Kind{Decision, Retrieval, Response} }

// The actions that are kept.
const (
	Query          = "query"
	Context        = "context"
	SessionContext = "session.context"
	Reflect        = "reflect"
	AddFacts       = "facts.add"
	AddBatch       = "facts.batch"
	Forget         = "forget"
	RegisterScope  = "scopes.register"
	TombstoneScope = "scopes.tombstone"
	ForgetScope    = "scopes.forget"
	CreateSession  = "sessions.create"
	DeleteSession  = "sessions.delete"
	DeleteEntity   = "entities.delete"
	Decay          = "lifecycle.decay"
	Expire         = "lifecycle.expire"
)

// Entry is one request.
type Entry struct {
	// TraceID is the X-Trace-Id of the answer. A caller may use one for many requests.
	TraceID string
	Kind    Kind
	Action  string
	// Principal is who asked, OnBehalfOf for whom, empty if for itself, and Key the id of the key.
	Principal, OnBehalfOf, Key string
	// Query is what was looked for; Tier and Reason are how. All are empty for a Decision.
	Query, Tier, Reason string
	Took                time.Duration
	// Rows is how many rows were found or changed.
	Rows int64
	At   time.Time
}

// Row is an Entry on its way to the store.
type Row struct {
	Incarnation, ID string
	Entry
}

// Filter narrows a reading. Zero fields do not.
type Filter struct {
	Kinds []Kind
	// Own, when not nil, is whose rows are seen.
	Own                     *Owner
	TraceID, Principal, Key string
	// Since is the earliest time, Until the first that is too late.
	Since, Until time.Time
	Limit        int
}

// Owner is who asked, and for whom; the latter is empty for whoever asks for itself, and narrows nothing then.
type Owner struct{ Principal, OnBehalfOf string }

// Stats are figures about the queries of a time.
type Stats struct {
	// Queries is how many, and Empty how many of them found nothing.
	Queries, Empty int64
	// Took and Hits are the averages of a query.
	Took time.Duration
	Hits float64
	// Tiers counts queries by tier.
	Tiers map[string]int64
	// Responses counts answers that were put together.
	Responses int64
}

// Window is the time that Stats are about.
const Window = 24 * time.Hour

// Store keeps rows.
type Store interface {
	// AddTraces stores rows.
	AddTraces(ctx context.Context, rows []Row) error
	// Traces returns the rows of a context that f lets through, the newest first.
	Traces(ctx context.Context, incarnation string, f Filter) ([]Entry, error)
	// TraceStats sums up the rows of a context since a time.
	TraceStats(ctx context.Context, incarnation string, since time.Time) (Stats, error)
}

// Config is what a Log works with.
type Config struct {
	Store Store
	// TraceID names the request that a context belongs to.
	TraceID func(ctx context.Context) string
	Now     func() time.Time
	Log     *slog.Logger
}

// Log keeps and shows rows. Close it.
type Log struct {
	cfg    Config
	writer *writer
}

// New returns a Log.
func New(cfg Config) *Log {
	return &Log{cfg, newWriter(cfg.Store, cfg.Log)}
}

// Close writes what waits to be written, and ends. Nothing may be kept any more.
func (l *Log) Close() { l.writer.close() }

// Lost is how many rows were not stored since the process began.
func (l *Log) Lost() int64 { return l.writer.lost.Load() }

// Begin returns the time, for a request to say when it began.
func (l *Log) Begin() time.Time { return l.cfg.Now() }

// Decided keeps that who changed rows by action.
func (l *Log) Decided(ctx context.Context, who *caller.Caller, began time.Time, action string, rows int) {
	l.keep(ctx, who, Entry{Kind: Decision, Action: action, Took: l.cfg.Now().Sub(began), Rows: int64(rows)})
}

// Keep keeps entry, of which it sets who asked, when, and the trace id.
func (l *Log) Keep(ctx context.Context, who *caller.Caller, entry Entry) { l.keep(ctx, who, entry) }

func (l *Log) keep(ctx context.Context, who *caller.Caller, entry Entry) {
	entry.TraceID, entry.At = l.cfg.TraceID(ctx), l.cfg.Now().UTC().Truncate(time.Microsecond)
	entry.Principal, entry.Key = who.Principal.ID, who.KeyID
	if who.OnBehalfOf != nil {
		entry.OnBehalfOf = who.OnBehalfOf.ID
	}
	entry.Query = storable(entry.Query)
	l.writer.write(ctx, Row{who.Incarnation, newID(), entry})
}

// List returns the rows that who may see and f lets through, the newest first.
func (l *Log) List(ctx context.Context, who *caller.Caller, f Filter) ([]Entry, error) {
	if !seesAll(who) {
		f.Own = &Owner{Principal: who.Principal.ID}
		if who.OnBehalfOf != nil {
			f.Own.OnBehalfOf = who.OnBehalfOf.ID
		}
	}
	l.writer.settle(ctx)
	return l.cfg.Store.Traces(ctx, who.Incarnation, f)
}

// Queries are the kinds of rows that are about a query.
func Queries() []Kind { return []Kind{Retrieval, Response} }

// Get returns the latest query of a trace that who may see.
func (l *Log) Get(ctx context.Context, who *caller.Caller, traceID string) (Entry, error) {
	found, err := l.List(ctx, who, Filter{Kinds: Queries(), TraceID: traceID, Limit: 1})
	if err != nil {
		return Entry{}, err
	}
	if len(found) == 0 {
		return Entry{}, fault.New(fault.NotFound, "there is no such trace within this caller's reach")
	}
	return found[0], nil
}

// Stats sums up the last Window; to whoever may not see all rows, nothing happened.
func (l *Log) Stats(ctx context.Context, who *caller.Caller) (Stats, error) {
	if !seesAll(who) {
		return Stats{}, nil
	}
	l.writer.settle(ctx)
	return l.cfg.Store.TraceStats(ctx, who.Incarnation, l.cfg.Now().Add(-Window).UTC())
}

func seesAll(who *caller.Caller) bool {
	return grant.Authorize(who, grant.GrantManage, scope.Root) == nil
}
