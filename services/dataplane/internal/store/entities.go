package store

import (
	"context"
	"time"

	"github.com/spectron-hq/spectron/services/dataplane/internal/entity"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
)

var _ entity.Store = (*Store)(nil)

type entityRow struct {
	ContextID  string `gorm:"primaryKey"`
	ID         string `gorm:"primaryKey"`
	SetID      []byte
	EntityID   string
	Type       string
	Name       string
	Category   memory.Category
	Importance float64
	CreatedAt  time.Time `gorm:"autoCreateTime:false"`
	UpdatedAt  time.Time `gorm:"autoUpdateTime:false"`
	ValidUntil *time.Time
}

func (entityRow) TableName() string { return "entities" }

type attributeRow struct {
	ContextID    string `gorm:"primaryKey"`
	ID           string `gorm:"primaryKey"`
	SetID        []byte
	EntityID     string
	Key          string
	Value        string
	Category     memory.Category
	Importance   float64
	SourceKind   entity.SourceKind
	SourceRef    string
	SessionID    string
	CreatedAt    time.Time
	ValidFrom    time.Time
	ValidUntil   *time.Time
	Supersedes   *string
	SupersededBy *string
}

func (attributeRow) TableName() string { return "attributes" }

func (r attributeRow) toAttribute() entity.Attribute {
	return entity.Attribute{
		ID: r.ID, EntityID: r.EntityID, Key: r.Key, Value: r.Value, Category: r.Category, Importance: r.Importance,
		Source:    entity.Source{Kind: r.SourceKind, Ref: r.SourceRef, SessionID: r.SessionID},
		CreatedAt: r.CreatedAt.UTC(), ValidFrom: r.ValidFrom.UTC(), ValidUntil: utc(r.ValidUntil),
		Supersedes: deref(r.Supersedes), SupersededBy: deref(r.SupersededBy),
	}
}

func rowOfAttribute(incarnation string, set []byte, a entity.Attribute) attributeRow {
	return attributeRow{
		ContextID: incarnation, ID: a.ID, SetID: set, EntityID: a.EntityID, Key: a.Key, Value: a.Value, Category: a.Category,
		Importance: a.Importance, SourceKind: a.Source.Kind, SourceRef: a.Source.Ref, SessionID: a.Source.SessionID,
		CreatedAt: a.CreatedAt, ValidFrom: a.ValidFrom, ValidUntil: nullable(a.ValidUntil),
		Supersedes: nullable(a.Supersedes), SupersededBy: nullable(a.SupersededBy),
	}
}

type relationRow struct {
	ContextID  string `gorm:"primaryKey"`
	ID         string `gorm:"primaryKey"`
	SetID      []byte
	SubjectID  string
	Label      string
	ObjectID   string
	Category   memory.Category
	SourceKind entity.SourceKind
	SourceRef  string
	SessionID  string
	CreatedAt  time.Time
	ValidFrom  time.Time
	ValidUntil *time.Time
}

func (relationRow) TableName() string { return "relations" }

func (r relationRow) toRelation() entity.Relation {
	return entity.Relation{
		ID: r.ID, SubjectID: r.SubjectID, Label: r.Label, ObjectID: r.ObjectID, Category: r.Category,
		Source:    entity.Source{Kind: r.SourceKind, Ref: r.SourceRef, SessionID: r.SessionID},
		CreatedAt: r.CreatedAt.UTC(), ValidFrom: r.ValidFrom.UTC(), ValidUntil: utc(r.ValidUntil),
	}
}

func rowOfRelation(incarnation string, set []byte, r entity.Relation) relationRow {
	return relationRow{
		ContextID: incarnation, ID: r.ID, SetID: set, SubjectID: r.SubjectID, Label: r.Label, ObjectID: r.ObjectID,
		Category: r.Category, SourceKind: r.Source.Kind, SourceRef: r.Source.Ref, SessionID: r.Source.SessionID,
		CreatedAt: r.CreatedAt, ValidFrom: r.ValidFrom, ValidUntil: nullable(r.ValidUntil),
	}
}

// rank orders the categories: of those that an entity has in several places the first one is shown.
const rank = "min(CASE e.category WHEN 'identity' THEN 0 WHEN 'knowledge' THEN 1 ELSE 2 END)"

var ranked = [...]memory.Category{memory.Identity, memory.Knowledge, memory.Context}

// Entities implements [entity.Store].
func (s *Store) Entities(ctx context.Context, r entity.Reading, page entity.Page) ([]entity.Entity, error) {
	if len(r.Region) == 0 {
		return nil, nil
	}
	statement, args := s.entitiesStatement(r, page)
	var rows []struct {
		ID, Type, Name       string
		Ranked               int
		Importance           float64
		CreatedAt, UpdatedAt moment
	}
	if err := s.read(ctx, &rows, statement, args...); err != nil {
		return nil, err
	}
	out := make([]entity.Entity, len(rows))
	for i, row := range rows {
		out[i] = entity.Entity{
			ID: row.ID, Ref: entity.Ref{Type: row.Type, Name: row.Name}, Category: ranked[row.Ranked], Importance: row.Importance,
			CreatedAt: row.CreatedAt.UTC(), UpdatedAt: row.UpdatedAt.UTC(),
		}
	}
	return out, nil
}

// entitiesStatement returns the one statement that lists entities.
func (s *Store) entitiesStatement(r entity.Reading, page entity.Page) (text string, args []any) {
	var f filter
	f.and("e.context_id = ? AND e.valid_until IS NULL", r.Incarnation)
	f.readable("e.set_id", r.Incarnation, r.Region)
	by := ""
	if page.ID != "" {
		f.and("e.entity_id = ?", page.ID)
		by = s.engine.by("entities_current")
	}
	if page.Type != "" {
		f.and("e.type = ?", page.Type)
	}
	having := ""
	args = f.args()
	for i, category := range ranked {
		if page.Category == category {
			having, args = " HAVING "+rank+" = ?", append(args, i)
		}
	}
	text = f.with() + "SELECT min(e.entity_id) AS id, e.type, e.name, " + rank + ` AS ranked,
		max(e.importance) AS importance, min(e.created_at) AS created_at, max(e.updated_at) AS updated_at
		FROM entities e` + by + " WHERE " + f.conjunction() + " GROUP BY e.type, e.name" + having +
		" ORDER BY e.type, e.name LIMIT ? OFFSET ?"
	return text, append(args, page.Limit, page.Offset)
}

// Attributes implements [entity.Store].
func (s *Store) Attributes(ctx context.Context, r entity.Reading, want entity.AttributeFilter) ([]entity.Attribute, error) {
	if len(r.Region) == 0 {
		return nil, nil
	}
	var f filter
	f.and("a.context_id = ?", r.Incarnation)
	f.readable("a.set_id", r.Incarnation, r.Region)
	if !want.Ended {
		f.and("a.valid_until IS NULL")
	}
	if want.EntityID != "" {
		f.and("a.entity_id = ?", want.EntityID)
	}
	if want.Key != "" {
		f.and("a.key = ?", want.Key)
	}
	if want.Category != "" {
		f.and("a.category = ?", want.Category)
	}
	var rows []attributeRow
	err := s.read(ctx, &rows, f.with()+"SELECT a.* FROM attributes a WHERE "+f.conjunction()+
		" ORDER BY a.created_at DESC, a.id DESC LIMIT ?", append(f.args(), want.Limit)...)
	out := make([]entity.Attribute, len(rows))
	for i, row := range rows {
		out[i] = row.toAttribute()
	}
	return out, err
}

// Relations implements [entity.Store].
func (s *Store) Relations(ctx context.Context, r entity.Reading, want entity.RelationFilter) ([]entity.Relation, error) {
	if len(r.Region) == 0 {
		return nil, nil
	}
	statement, args := s.relationsStatement(r, want)
	var rows []relationRow
	err := s.read(ctx, &rows, statement, args...)
	out := make([]entity.Relation, len(rows))
	for i, row := range rows {
		out[i] = row.toRelation()
	}
	return out, err
}

// relationsStatement returns the one statement that lists relations.
func (s *Store) relationsStatement(r entity.Reading, want entity.RelationFilter) (text string, args []any) {
	var f filter
	f.and("r.context_id = ? AND r.valid_until IS NULL", r.Incarnation)
	f.readable("r.set_id", r.Incarnation, r.Region)
	if want.EntityID != "" {
		f.and("r.id IN (SELECT id FROM relations"+s.engine.by("relations_by_subject")+` WHERE context_id = ? AND subject_id = ? UNION
			SELECT id FROM relations`+s.engine.by("relations_by_object")+" WHERE context_id = ? AND object_id = ?)",
			r.Incarnation, want.EntityID, r.Incarnation, want.EntityID)
	}
	if want.SubjectID != "" {
		f.and("r.subject_id = ?", want.SubjectID)
	}
	if want.Label != "" {
		f.and("r.label = ?", want.Label)
	}
	if want.ObjectID != "" {
		f.and("r.object_id = ?", want.ObjectID)
	}
	if want.Category != "" {
		f.and("r.category = ?", want.Category)
	}
	return f.with() + "SELECT r.* FROM relations r WHERE " + f.conjunction() + " ORDER BY r.created_at DESC, r.id DESC LIMIT ?",
		append(f.args(), want.Limit)
}
