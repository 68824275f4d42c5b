package client

import (
	"context"
	"iter"
	"time"

	"github.com/spectron-hq/spectron/services/spectron/client/internal/dataapi"
)

// Entity is something that facts are about.
type Entity struct {
	ID             string `json:"id"`
	Name           string `json:"name"`
	EntityType     string `json:"entityType"`
	MemoryCategory string `json:"memoryCategory"`
	// Importance is from 0 to 1.
	Importance float64   `json:"importance"`
	CreatedAt  time.Time `json:"createdAt"`
	UpdatedAt  time.Time `json:"updatedAt"`
}

// FactSource says where a fact came from.
type FactSource struct {
	Kind      string `json:"kind"`
	Ref       string `json:"ref,omitempty"`
	SessionID string `json:"sessionId,omitempty"`
}

// Attribute is a value of an entity.
type Attribute struct {
	ID string `json:"id"`
	// Entity is the id of the entity.
	Entity         string `json:"entity"`
	Key            string `json:"key"`
	Value          string `json:"value"`
	MemoryCategory string `json:"memoryCategory"`
	// Importance is from 0 to 1.
	Importance float64    `json:"importance"`
	CreatedAt  time.Time  `json:"createdAt"`
	ValidFrom  *time.Time `json:"validFrom,omitempty"`
	// ValidUntil is nil while the value is current.
	ValidUntil *time.Time `json:"validUntil,omitempty"`
	// Supersedes and SupersededBy are the ids of the values before and after it.
	Supersedes   string      `json:"supersedes,omitempty"`
	SupersededBy string      `json:"supersededBy,omitempty"`
	Source       *FactSource `json:"source,omitempty"`
}

// Relation ties two entities.
type Relation struct {
	ID string `json:"id"`
	// Subject and Object are the ids of the entities.
	Subject        string      `json:"subject"`
	Label          string      `json:"label"`
	Object         string      `json:"object"`
	MemoryCategory string      `json:"memoryCategory"`
	CreatedAt      time.Time   `json:"createdAt"`
	ValidFrom      *time.Time  `json:"validFrom,omitempty"`
	ValidUntil     *time.Time  `json:"validUntil,omitempty"`
	Source         *FactSource `json:"source,omitempty"`
}

// EntityDetail is an entity with what is current about it.
type EntityDetail struct {
	Entity     Entity      `json:"entity"`
	Attributes []Attribute `json:"attributes"`
	Relations  []Relation  `json:"relations"`
}

// ListEntities returns a part of the entities that the key may read, by type and name; an empty type is any.
func (c *Client) ListEntities(ctx context.Context, entityType string, page Page) ([]Entity, error) {
	req, err := dataapi.NewListEntitiesRequest(c.server, c.contextID, &dataapi.ListEntitiesParams{
		Type: optional(entityType), Limit: optional(page.Limit), Offset: optional(page.Offset),
	})
	list, err := call[struct{ Entities []Entity }](ctx, c.transport, req, err)
	return list.Entities, err
}

// Entities iterates over all entities that the key may read, by type and name; an empty type is any.
func (c *Client) Entities(ctx context.Context, entityType string) iter.Seq2[Entity, error] {
	return counted(func(limit, offset int32) ([]Entity, error) {
		return c.ListEntities(ctx, entityType, Page{limit, offset})
	})
}

// GetEntity returns an entity with its current attributes and relations.
func (c *Client) GetEntity(ctx context.Context, entity EntityRef) (EntityDetail, error) {
	if err := entity.check(); err != nil {
		return EntityDetail{}, err
	}
	req, err := dataapi.NewGetEntityRequest(c.server, c.contextID, entity.Type, entity.Name, nil)
	return call[EntityDetail](ctx, c.transport, req, err)
}

// DeleteEntity forgets an entity with its attributes and relations. One that there is not is no error.
func (c *Client) DeleteEntity(ctx context.Context, entity EntityRef) error {
	if err := entity.check(); err != nil {
		return err
	}
	req, err := dataapi.NewDeleteEntityRequest(c.server, c.contextID, entity.Type, entity.Name, nil)
	return discard(ctx, c.transport, req, err)
}

// History returns every value that an attribute has had, the newest first; none is no error.
func (c *Client) History(ctx context.Context, entity EntityRef, key string) ([]Attribute, error) {
	if err := entity.check(); err != nil {
		return nil, err
	}
	if err := checkSegment("key", key); err != nil {
		return nil, err
	}
	req, err := dataapi.NewGetHistoryRequest(c.server, c.contextID, entity.Type, entity.Name, key, nil)
	list, err := call[struct{ History []Attribute }](ctx, c.transport, req, err)
	return list.History, err
}

func (e EntityRef) check() error { return checkSegments("type", e.Type, "name", e.Name) }

// StateCategory is what is current in one category.
type StateCategory struct {
	Entities   []Entity    `json:"entities"`
	Attributes []Attribute `json:"attributes"`
	Relations  []Relation  `json:"relations"`
}

// State is everything that is current.
type State struct {
	Identity     StateCategory `json:"identity"`
	Knowledge    StateCategory `json:"knowledge"`
	Context      StateCategory `json:"context"`
	Instructions []Instruction `json:"instructions"`
	Unknowns     []Uncertainty `json:"unknowns"`
}

// State returns everything that is current, within what the key may read.
func (c *Client) State(ctx context.Context) (State, error) {
	req, err := dataapi.NewGetStateRequest(c.server, c.contextID, nil)
	return call[State](ctx, c.transport, req, err)
}

// ProfileEntry is one thing that is known.
type ProfileEntry struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Profile is what is known about the one whom the memories are about.
type Profile struct {
	// Static is of the category identity, Dynamic of context, Preferences of knowledge.
	Static       []ProfileEntry `json:"static"`
	Dynamic      []ProfileEntry `json:"dynamic"`
	Preferences  []ProfileEntry `json:"preferences"`
	Instructions []Instruction  `json:"instructions"`
}

// Profile returns what is known about the one whom the memories are about, within what the key may read.
func (c *Client) Profile(ctx context.Context) (Profile, error) {
	req, err := dataapi.NewGetProfileRequest(c.server, c.contextID, nil)
	return call[Profile](ctx, c.transport, req, err)
}
