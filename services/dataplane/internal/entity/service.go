package entity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
	"github.com/spectron-hq/spectron/services/dataplane/internal/session"
)

// Limits.
const (
	// MaxTriples is the most facts of one assertion.
	MaxTriples = 1000
	// MaxType, MaxName and MaxKey are the most bytes of each; a value is as long as a text may be.
	MaxType = 128
	MaxName = 1024
	MaxKey  = 512
	// maxQuestion is the most bytes of a question that name what answers it: no name of more can be asked for by path.
	maxQuestion = 512
	// MaxEntities is the most entities that one answer lists.
	MaxEntities = 500
	// MaxRows is the most attributes, and the most relations, that one answer lists: the newest.
	MaxRows = 1000
)

// Store keeps entities.
type Store interface {
	// Assert writes in one transaction what a.Reconcile makes of what is current, and what was said with it. When a.Once
	// names a write that was done before, it stores nothing and returns that one's receipt. Errors: those of memory.Store's
	// Remember.
	Assert(ctx context.Context, a Assertion) (Receipt, error)
	// Entities returns the entities that a reader sees, by type and name.
	Entities(ctx context.Context, r Reading, page Page) ([]Entity, error)
	// Attributes returns what filter lets pass of the attributes that a reader sees, the newest first.
	Attributes(ctx context.Context, r Reading, filter AttributeFilter) ([]Attribute, error)
	// Relations returns what filter lets pass of the current relations that a reader sees, the newest first.
	Relations(ctx context.Context, r Reading, filter RelationFilter) ([]Relation, error)
	// ForgetEntity ends at the given time what is current of an entity in every place all of whose nodes lie in region, and
	// returns how many these were.
	ForgetEntity(ctx context.Context, incarnation, id string, region scope.Region, at time.Time) (int, error)
}

// Reading says who reads.
type Reading struct {
	Incarnation string
	// Region is what the reader may read, in normal form. An empty one sees nothing.
	Region scope.Region
}

// Page is a part of a list of entities. The zero value of what narrows does not.
type Page struct {
	ID, Type string
	Category memory.Category
	Limit    int
	Offset   int
}

// AttributeFilter narrows a list of attributes; so does each field that is not zero.
type AttributeFilter struct {
	EntityID, Key string
	Category      memory.Category
	// Ended lets values pass that are not current any more.
	Ended bool
	Limit int
}

// RelationFilter narrows a list of relations; so does each field that is not zero.
type RelationFilter struct {
	// EntityID is either end.
	EntityID                   string
	SubjectID, Label, ObjectID string
	Category                   memory.Category
	Limit                      int
}

// Memories prepares what is said.
type Memories interface {
	// Prepare returns what the store is to keep when who remembers fact, or a fault that says why who may not.
	Prepare(ctx context.Context, who *caller.Caller, fact memory.Fact) (memory.Write, error)
}

// Service serves entities to callers.
type Service struct {
	store    Store
	memories Memories
	now      func() time.Time
}

// New returns a Service.
func New(store Store, memories Memories, now func() time.Time) *Service {
	return &Service{store, memories, now}
}

// Assert stores triples, and the fact that brought them, on behalf of who, who needs memory:write over all of the fact's
// nodes. The fact's text may be empty.
func (s *Service) Assert(ctx context.Context, who *caller.Caller, fact memory.Fact, triples []Triple) (Receipt, error) {
	fact.Infer = memory.Triples
	triples, err := complete(triples, cmp.Or(fact.Category, memory.Knowledge))
	if err != nil {
		return Receipt{}, err
	}
	said, err := s.memories.Prepare(ctx, who, fact)
	if err != nil {
		return Receipt{}, err
	}
	receipt, err := s.store.Assert(ctx, Assertion{
		Incarnation: who.Incarnation, Sets: said.Chunk.Sets, Readable: readable(who), Triples: triples, Labels: said.Chunk.Labels,
		Principal: who.Principal.ID, Source: Source{Kind: FromTriples, Ref: said.Turn.ID, SessionID: said.Session.ID},
		At: said.Chunk.CreatedAt, ObservedAt: said.Chunk.ObservedAt, Said: &said, Once: said.Once,
	})
	if errors.Is(err, session.ErrAbsent) {
		return Receipt{}, session.Refused()
	}
	return receipt, err
}

// complete checks triples and gives those a category that lack one.
func complete(triples []Triple, category memory.Category) ([]Triple, error) {
	switch {
	case len(triples) == 0:
		return nil, fault.InvalidField("triples", "infer triples needs at least one")
	case len(triples) > MaxTriples:
		return nil, fault.InvalidField("triples", "at most %d", MaxTriples)
	}
	out := slices.Clone(triples)
	for i, triple := range out {
		field := fmt.Sprintf("triples.%d", i)
		out[i].Category = cmp.Or(triple.Category, category)
		if err := triple.Entity.check(field + ".entity"); err != nil {
			return nil, err
		}
		if err := checkText(field+".key", triple.Key, MaxKey); err != nil {
			return nil, err
		}
		switch {
		case triple.Value != nil:
			if err := checkValue(field+".value", *triple.Value); err != nil {
				return nil, err
			}
		case triple.Target == nil:
			return nil, fault.InvalidField(field, "needs a value, which makes an attribute, or a target, which makes a relation")
		default:
			if err := triple.Target.check(field + ".target"); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func (r Ref) check(field string) error {
	if err := checkText(field+".type", r.Type, MaxType); err != nil {
		return err
	}
	return checkText(field+".name", r.Name, MaxName)
}

func checkText(field, text string, limit int) error {
	switch {
	case strings.TrimSpace(text) == "":
		return fault.InvalidField(field, "must not be empty")
	case len(text) > limit:
		return fault.InvalidField(field, "at most %d bytes", limit)
	case strings.ContainsRune(text, 0):
		return fault.InvalidField(field, "must not hold the character U+0000")
	}
	return nil
}

func checkValue(field, value string) error {
	switch {
	case len(value) > memory.MaxText:
		return fault.InvalidField(field, "at most %d bytes", memory.MaxText)
	case strings.ContainsRune(value, 0):
		return fault.InvalidField(field, "must not hold the character U+0000")
	}
	return nil
}

// Reflection is a text that was put together from what is remembered, to be kept.
type Reflection struct {
	Question, Text string
	// Sets is where it will live, in normal form. Who decided that has seen to it that who may write there.
	Sets scope.Sets
	// TraceID is that of the request.
	TraceID string
}

// Keep stores a reflection as an attribute of an entity named by the question; it supersedes an earlier one of the same
// place.
func (s *Service) Keep(ctx context.Context, who *caller.Caller, r Reflection) (Receipt, error) {
	return s.store.Assert(ctx, Assertion{
		Incarnation: who.Incarnation, Sets: r.Sets, Readable: readable(who),
		Triples: []Triple{{
			Entity: Ref{"reflection", Shorten(r.Question, maxQuestion)}, Key: "reflection", Value: &r.Text, Category: memory.Knowledge,
		}},
		Principal: who.Principal.ID, Source: Source{Kind: FromReflect, Ref: r.TraceID}, At: s.at(),
	})
}

// Shorten cuts text to at most limit bytes, between characters.
func Shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "")
}

func (s *Service) at() time.Time {
	return s.now().UTC().Truncate(time.Microsecond) // as fine as Postgres keeps it
}

func readable(who *caller.Caller) scope.Region { return who.Effective[grant.MemoryRead].Normal() }
