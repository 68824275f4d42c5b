// Package entity is structured memory: entities, their attributes and the relations between them, as callers assert them.
//
// # Places
//
// Every row, of an entity, an attribute or a relation, carries scope sets like any other memory: the place where it is
// known. It is visible to whoever may read every node of one of their clauses, and to nobody else; the store decides that
// in the statement that reads.
//
// An entity is named by its type and name, and its id is a hash of them and the context. So the id is the same in every
// place, and knowing it tells nothing: whoever knows the name can compute it. Two departments may each know person/alice;
// these are two rows of one id, each with attributes of its own. What a caller is shown as the entity is put together from
// the rows that it may see and from no other: created when the first of them was, updated when one of them was, as
// important as the most important of them, of the first category that one of them has. An entity of which the caller sees
// no current row does not exist for it.
//
// # Reconciliation
//
// An assertion is held against what is current in the very same place, that is under equal scope sets, all of whose nodes
// its writer may write to. A new value for the same entity and key ends the old one there and is linked with it; the history
// of a key in one place is a line. An equal value changes nothing. Relations have no value: an equal one changes nothing,
// another one is another relation. What is known in other places is neither ended nor looked at, so a key may have a value
// per place.
//
// # What a writer is told
//
// To be allowed to write is not to be allowed to read. Whether an entity is new is judged by what the writer may read. Who
// may not read the place it writes to is told of no correction; and since "nothing changed" would tell that its guess was
// right, what it asserts always becomes a row of its own.
package entity

import (
	"time"

	"github.com/google/uuid"

	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/fingerprint"
	"github.com/spectron-hq/spectron/services/dataplane/internal/idempotency"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
)

// Importance is that of a row whose writer did not say; nobody can say yet.
const Importance = 0.5

// Ref names an entity.
type Ref struct{ Type, Name string }

// ID returns the id of the entity in a context.
func (r Ref) ID(incarnation string) string {
	sum := fingerprint.Of("entity", incarnation, r.Type, r.Name)
	id := uuid.UUID(sum[:16])
	id[6] = id[6]&0x0f | 0x80 // version 8: made by a rule of one's own
	id[8] = id[8]&0x3f | 0x80 // the variant of RFC 9562
	return id.String()
}

// Entity is what one caller sees of an entity.
type Entity struct {
	ID string
	Ref
	Category             memory.Category
	Importance           float64
	CreatedAt, UpdatedAt time.Time
}

// Attribute is a value that an entity has or had.
type Attribute struct {
	ID, EntityID, Key, Value string
	Category                 memory.Category
	Importance               float64
	Source                   Source
	CreatedAt, ValidFrom     time.Time
	// ValidUntil is zero while the value is current.
	ValidUntil time.Time
	// Supersedes and SupersededBy are the ids of the values before and after; empty when there is none.
	Supersedes, SupersededBy string
}

// Relation is a labelled arrow between two entities, by id.
type Relation struct {
	ID, SubjectID, Label, ObjectID string
	Category                       memory.Category
	Source                         Source
	CreatedAt, ValidFrom           time.Time
	// ValidUntil is zero while the relation is current.
	ValidUntil time.Time
}

// Source says where a row came from.
type Source struct {
	Kind SourceKind
	// Ref is the turn, or the trace of a reflection.
	Ref string
	// SessionID is empty for a reflection.
	SessionID string
}

// SourceKind says what made a row.
type SourceKind string

// The kinds of sources.
const (
	FromTriples SourceKind = "triples"
	FromReflect SourceKind = "reflect"
)

// Triple is one fact: a value of an entity or, without one, a relation labelled Key.
type Triple struct {
	Entity Ref
	Key    string
	Value  *string
	// Target is used when there is no Value.
	Target *Ref
	// Category is empty when the writer did not say.
	Category memory.Category
}

// Assertion is what the store is to write: facts, all in one place.
type Assertion struct {
	Incarnation string
	// Sets is the place, in normal form.
	Sets scope.Sets
	// Readable is what the writer may read, in normal form; it decides what the writer is told.
	Readable scope.Region
	// Triples have been checked and have categories.
	Triples []Triple
	// Labels are those of the attributes, sorted, each once.
	Labels    []string
	Principal string
	Source    Source
	At        time.Time
	// ObservedAt is zero when the writer did not say.
	ObservedAt time.Time
	// Said is the turn that brought the facts, and its text; nil for facts that nobody said.
	Said *memory.Write
	// Once is nil when the caller did not name the write.
	Once *idempotency.Key
}

// Receipt says what became of an assertion.
type Receipt struct {
	memory.Receipt
	Entities    []MentionedEntity `json:"entities,omitempty"`
	Attributes  []StoredAttribute `json:"attributes,omitempty"`
	Relations   []StoredRelation  `json:"relations,omitempty"`
	Corrections []Correction      `json:"corrections,omitempty"`
}

// MentionedEntity is an entity that an assertion names.
type MentionedEntity struct {
	ID       string          `json:"id"`
	Type     string          `json:"type"`
	Name     string          `json:"name"`
	Category memory.Category `json:"category"`
	// New says that the writer could see nothing of it before.
	New bool `json:"new"`
}

// StoredAttribute is the row in which a value is kept: a new one, or the one that had it already.
type StoredAttribute struct {
	ID       string          `json:"id"`
	EntityID string          `json:"entity_id"`
	Key      string          `json:"key"`
	Value    string          `json:"value"`
	Category memory.Category `json:"category"`
}

// StoredRelation is an arrow between two entities, by id.
type StoredRelation struct {
	SubjectID string          `json:"subject_id"`
	Label     string          `json:"label"`
	ObjectID  string          `json:"object_id"`
	Category  memory.Category `json:"category"`
}

// Correction is a value that took the place of another.
type Correction struct {
	EntityID string `json:"entity_id"`
	Key      string `json:"key"`
	Old      string `json:"old"`
	New      string `json:"new"`
}
