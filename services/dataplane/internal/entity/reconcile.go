package entity

import (
	"slices"
	"time"

	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
	"github.com/spectron-hq/spectron/services/dataplane/internal/session"
)

// Known is what is current in the place of an assertion, of all that it speaks of.
type Known struct {
	Attributes []Attribute
	Relations  []Relation
}

// Changes is what an assertion makes of what is known.
type Changes struct {
	// Ended are known attributes that have been superseded.
	Ended []Attribute
	// Attributes and Relations are new. An attribute may have been superseded by a later triple already.
	Attributes []Attribute
	Relations  []Relation
	// Touched are the ids of the entities of which something changed.
	Touched []string
	// Told is the writer's receipt, without entities.
	Told Receipt
}

// Reconcile holds the assertion's triples, in their order, against what is known.
func (a Assertion) Reconcile(known Known) Changes {
	r := reconciliation{
		Assertion: a, mayRead: seesAny(a.Readable, a.Sets), current: map[attributeKey]*Attribute{}, arrows: map[arrow]memory.Category{},
	}
	for _, each := range known.Attributes {
		r.current[attributeKey{each.EntityID, each.Key}] = &each
	}
	for _, each := range known.Relations {
		r.arrows[arrow{each.SubjectID, each.Label, each.ObjectID}] = each.Category
	}
	for _, triple := range a.Triples {
		if triple.Value != nil {
			r.attribute(triple)
		} else {
			r.relation(triple)
		}
	}
	// Only now, because a later triple may have superseded what an earlier one wrote.
	for _, each := range r.ended {
		r.changes.Ended = append(r.changes.Ended, *each)
	}
	for _, each := range r.written {
		r.changes.Attributes = append(r.changes.Attributes, *each)
	}
	return r.changes
}

type (
	attributeKey struct{ entity, key string }
	arrow        struct{ subject, label, object string }
)

type reconciliation struct {
	Assertion
	mayRead        bool
	current        map[attributeKey]*Attribute
	arrows         map[arrow]memory.Category
	ended, written []*Attribute
	changes        Changes
}

func (r *reconciliation) attribute(triple Triple) {
	k := attributeKey{triple.Entity.ID(r.Incarnation), triple.Key}
	old := r.current[k]
	if old != nil && old.Value == *triple.Value && r.mayRead {
		r.tell(old)
		return
	}
	next := &Attribute{
		ID: session.NewID(), EntityID: k.entity, Key: k.key, Value: *triple.Value, Category: triple.Category, Importance: Importance,
		Source: r.Source, CreatedAt: r.At, ValidFrom: r.ObservedAt,
	}
	if old != nil && !next.CreatedAt.After(old.CreatedAt) {
		// The clock of another replica was ahead, or it is the same assertion: history stays a line.
		next.CreatedAt = old.CreatedAt.Add(time.Microsecond)
	}
	if next.ValidFrom.IsZero() {
		next.ValidFrom = next.CreatedAt
	}
	if old != nil {
		r.supersede(old, next)
	}
	r.current[k] = next
	r.written = append(r.written, next)
	r.touch(k.entity)
	r.tell(next)
}

// supersede ends old when next begins. What was observed earlier than old is taken for the newer knowledge all the same;
// then old was never valid.
func (r *reconciliation) supersede(old, next *Attribute) {
	old.ValidUntil = next.ValidFrom
	if old.ValidUntil.Before(old.ValidFrom) {
		old.ValidUntil = old.ValidFrom
	}
	old.SupersededBy, next.Supersedes = next.ID, old.ID
	if !slices.Contains(r.written, old) {
		r.ended = append(r.ended, old)
	}
	if r.mayRead && old.Value != next.Value {
		r.changes.Told.Corrections = append(r.changes.Told.Corrections, Correction{old.EntityID, old.Key, old.Value, next.Value})
	}
}

func (r *reconciliation) relation(triple Triple) {
	a := arrow{triple.Entity.ID(r.Incarnation), triple.Key, triple.Target.ID(r.Incarnation)}
	told := StoredRelation{a.subject, a.label, a.object, triple.Category}
	category, there := r.arrows[a]
	switch {
	case there && r.mayRead:
		told.Category = category
	case !there:
		r.arrows[a] = triple.Category
		from := r.ObservedAt
		if from.IsZero() {
			from = r.At
		}
		r.changes.Relations = append(r.changes.Relations, Relation{
			ID: session.NewID(), SubjectID: a.subject, Label: a.label, ObjectID: a.object, Category: triple.Category,
			Source: r.Source, CreatedAt: r.At, ValidFrom: from,
		})
		r.touch(a.subject)
		r.touch(a.object)
	}
	if !slices.Contains(r.changes.Told.Relations, told) {
		r.changes.Told.Relations = append(r.changes.Told.Relations, told)
	}
}

func (r *reconciliation) tell(stored *Attribute) {
	told := StoredAttribute{stored.ID, stored.EntityID, stored.Key, stored.Value, stored.Category}
	if !slices.Contains(r.changes.Told.Attributes, told) {
		r.changes.Told.Attributes = append(r.changes.Told.Attributes, told)
	}
}

func (r *reconciliation) touch(id string) {
	if !slices.Contains(r.changes.Touched, id) {
		r.changes.Touched = append(r.changes.Touched, id)
	}
}

// seesAny reports whether region holds every node of one of the clauses of sets.
func seesAny(region scope.Region, sets scope.Sets) bool {
	return slices.ContainsFunc(sets, func(clause []scope.Path) bool {
		return !slices.ContainsFunc(clause, func(node scope.Path) bool { return !region.Matches(node) })
	})
}
