package entity

import (
	"context"
	"strings"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
)

// Inspection is what a reference stands for: one of the fields.
type Inspection struct {
	Entity *Detail
	// Attribute is the current value: the newest, where several places have one. History has all that are visible.
	Attribute *Attribute
	History   []Attribute
	Relation  *Relation
}

// Inspect returns what ref stands for: entity:<type>/<name>, attribute:<type>/<name>/<key> or
// relation:<type>/<name>-[<label>]-><type>/<name>. A type ends at the first slash, a key begins behind the last one. Errors
// are faults: NotFound for what who does not see, NotSupported for passages and documents, Invalid for the rest.
func (s *Service) Inspect(ctx context.Context, who *caller.Caller, ref string) (Inspection, error) {
	kind, rest, _ := strings.Cut(ref, ":")
	switch kind {
	case "entity":
		return s.inspectEntity(ctx, who, rest)
	case "attribute":
		return s.inspectAttribute(ctx, who, rest)
	case "relation":
		return s.inspectRelation(ctx, who, rest)
	case "passage", "document":
		return Inspection{}, fault.New(fault.NotSupported, "this deployment keeps no documents, so there is no %s", kind)
	default:
		return Inspection{}, malformed()
	}
}

func (s *Service) inspectEntity(ctx context.Context, who *caller.Caller, rest string) (Inspection, error) {
	ref, ok := parseRef(rest)
	if !ok {
		return Inspection{}, malformed()
	}
	detail, err := s.Get(ctx, who, ref)
	return Inspection{Entity: &detail}, err
}

func (s *Service) inspectAttribute(ctx context.Context, who *caller.Caller, rest string) (Inspection, error) {
	i := strings.LastIndexByte(rest, '/')
	ref, ok := parseRef(rest[:max(i, 0)])
	if !ok || rest[i+1:] == "" {
		return Inspection{}, malformed()
	}
	history, err := s.History(ctx, who, ref, rest[i+1:])
	if err != nil {
		return Inspection{}, err
	}
	for _, each := range history {
		if each.ValidUntil.IsZero() {
			return Inspection{Attribute: &each, History: history}, nil
		}
	}
	// What is not current any more is history, which has a route of its own.
	return Inspection{}, absent()
}

func (s *Service) inspectRelation(ctx context.Context, who *caller.Caller, rest string) (Inspection, error) {
	from, rest, opens := strings.Cut(rest, "-[")
	label, to, closes := strings.Cut(rest, "]->")
	subject, ok := parseRef(from)
	object, also := parseRef(to)
	if !opens || !closes || !ok || !also || label == "" {
		return Inspection{}, malformed()
	}
	found, err := s.store.Relations(ctx, reading(who), RelationFilter{
		SubjectID: subject.ID(who.Incarnation), Label: label, ObjectID: object.ID(who.Incarnation), Limit: 1,
	})
	if err != nil {
		return Inspection{}, err
	}
	if len(found) == 0 {
		return Inspection{}, absent()
	}
	return Inspection{Relation: &found[0]}, nil
}

func parseRef(text string) (Ref, bool) {
	kind, name, _ := strings.Cut(text, "/")
	return Ref{kind, name}, kind != "" && name != "" && !strings.ContainsRune(text, 0)
}

func malformed() error {
	return fault.InvalidField("ref", "want entity:<type>/<name>, attribute:<type>/<name>/<key>, "+
		"relation:<type>/<name>-[<label>]-><type>/<name> or trace:<id>")
}

func absent() error { return fault.New(fault.NotFound, "no such entity, attribute or relation") }
