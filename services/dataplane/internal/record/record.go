// Package record keeps records: immutable statements of actors on threads, each named by the hash of what it says.
//
// It promises: the id of a record is the SHA-256 of the canonical JSON (RFC 8785) of its seven hashed fields, and what is
// stored is what was hashed. The same record again changes nothing. The clock of an actor does not fall within a thread.
// Records have one order, that in which they became visible, so whoever reads on behind a cursor misses none. A record that
// was answered for is on disk. Records of deleted threads are never shown.
package record

import (
	"encoding/json"
	"slices"
	"time"
)

// Act says what an actor does by a record.
type Act string

// The acts.
const (
	Intend Act = "INTEND"
	Do     Act = "DO"
	Know   Act = "KNOW"
	Learn  Act = "LEARN"
	Get    Act = "GET"
	Put    Act = "PUT"
	Call   Act = "CALL"
	Map    Act = "MAP"
)

// DataType says what the body of a record is.
type DataType string

// The types.
const (
	Scalar       DataType = "SCALAR"
	Formula      DataType = "FORMULA"
	Distribution DataType = "DISTRIBUTION"
	Reference    DataType = "REFERENCE"
	Morphism     DataType = "MORPHISM"
	Void         DataType = "VOID"
)

// Content is what a record says: the seven fields that its id is the hash of.
type Content struct {
	// Parents are ids of other records, sorted, none twice. They need not be here.
	Parents []string `json:"parents"`
	Thread  string   `json:"thread"`
	Actor   string   `json:"actor"`
	Act     Act      `json:"act"`
	// Body is a canonical JSON object.
	Body     json.RawMessage `json:"body"`
	Clock    int64           `json:"clock"`
	DataType DataType        `json:"data_type"`
}

// Record is a record that is stored.
type Record struct {
	ID string
	Content
	// JudgedBy is not part of what is hashed; empty for nobody.
	JudgedBy   string
	ReceivedAt time.Time
	// Seq is its place in the order of arrival in its space.
	Seq int64
}

// Draft is a record that somebody wants to add.
type Draft struct {
	// Content may leave out Parents, Body and DataType.
	Content
	// NextClock asks for the clock that follows the actor's last one on the thread, instead of Content's.
	NextClock bool
	// ID, if given, must be the one that the record has.
	ID       string
	JudgedBy string
	// Namespace, if given, must be that of the space.
	Namespace string
}

// Foreign is a record that another daemon has.
type Foreign struct {
	Content
	// ID, if given, must be the one that the record has.
	ID       string
	JudgedBy string
}

// The threads that have a meaning for the engine. Nobody creates or deletes them, and callers write to one only as far as its
// guard lets them.
const (
	EngineConfig    = "th_engine_config"
	AuditTokens     = "th_audit_tokens" //nolint:gosec // the name of a thread
	ServiceAccounts = "th_service_accounts"
)

// ReservedThreads returns all of them.
func ReservedThreads() []string { return []string{EngineConfig, AuditTokens, ServiceAccounts} }

// Reserved reports whether a thread has a meaning for the engine.
func Reserved(thread string) bool { return slices.Contains(ReservedThreads(), thread) }

// System is the actor of the engine's own records.
const System = "did:sync:system:engine"
