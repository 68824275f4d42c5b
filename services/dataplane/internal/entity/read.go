package entity

import (
	"context"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
)

// Detail is an entity with its current attributes and relations.
type Detail struct {
	Entity     Entity
	Attributes []Attribute
	Relations  []Relation
}

// Section is what is current of one category.
type Section struct {
	Entities   []Entity
	Attributes []Attribute
	Relations  []Relation
}

// List returns a page of the entities that who sees.
func (s *Service) List(ctx context.Context, who *caller.Caller, page Page) ([]Entity, error) {
	return s.store.Entities(ctx, reading(who), page)
}

// Get returns an entity, or a NotFound fault when who sees none of that name.
func (s *Service) Get(ctx context.Context, who *caller.Caller, ref Ref) (Detail, error) {
	r, id := reading(who), ref.ID(who.Incarnation)
	found, err := s.store.Entities(ctx, r, Page{ID: id, Limit: 1})
	if err != nil {
		return Detail{}, err
	}
	if len(found) == 0 {
		return Detail{}, absent()
	}
	out := Detail{Entity: found[0]}
	if out.Attributes, err = s.store.Attributes(ctx, r, AttributeFilter{EntityID: id, Limit: MaxRows}); err != nil {
		return Detail{}, err
	}
	out.Relations, err = s.store.Relations(ctx, r, RelationFilter{EntityID: id, Limit: MaxRows})
	return out, err
}

// History returns the values that a key of an entity has and had, as far as who sees them, the newest first.
func (s *Service) History(ctx context.Context, who *caller.Caller, ref Ref, key string) ([]Attribute, error) {
	return s.store.Attributes(ctx, reading(who), AttributeFilter{
		EntityID: ref.ID(who.Incarnation), Key: key, Ended: true, Limit: MaxRows,
	})
}

// Section returns what who sees of one category, at most MaxRows of each sort.
func (s *Service) Section(ctx context.Context, who *caller.Caller, category memory.Category) (out Section, err error) {
	r := reading(who)
	if out.Entities, err = s.store.Entities(ctx, r, Page{Category: category, Limit: MaxRows}); err != nil {
		return out, err
	}
	if out.Attributes, err = s.Attributes(ctx, who, category); err != nil {
		return out, err
	}
	out.Relations, err = s.store.Relations(ctx, r, RelationFilter{Category: category, Limit: MaxRows})
	return out, err
}

// Attributes returns the current attributes of one category that who sees, at most MaxRows.
func (s *Service) Attributes(ctx context.Context, who *caller.Caller, category memory.Category) ([]Attribute, error) {
	return s.store.Attributes(ctx, reading(who), AttributeFilter{Category: category, Limit: MaxRows})
}

// Forget ends what is current of an entity wherever who holds memory:forget over every node of the place. What lies
// elsewhere stays, and nobody is told. It returns in how many places that was.
func (s *Service) Forget(ctx context.Context, who *caller.Caller, ref Ref) (int, error) {
	region := who.Effective[grant.MemoryForget].Normal()
	if len(region) == 0 {
		return 0, memory.MayForgetNothing()
	}
	return s.store.ForgetEntity(ctx, who.Incarnation, ref.ID(who.Incarnation), region, s.at())
}

func reading(who *caller.Caller) Reading { return Reading{who.Incarnation, readable(who)} }
