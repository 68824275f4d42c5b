package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/dataplane/internal/entity"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
	"github.com/spectron-hq/spectron/services/dataplane/internal/session"
)

// Assert implements [entity.Store].
func (s *Store) Assert(ctx context.Context, a entity.Assertion) (receipt entity.Receipt, err error) {
	err = s.write(ctx, func(tx *gorm.DB) error {
		receipt, err = once(tx, s.engine, a.Once, a.At, func() (entity.Receipt, error) { return s.assert(tx, a) })
		return err
	})
	if err != nil {
		return entity.Receipt{}, err
	}
	return receipt, nil
}

func (s *Store) assert(tx *gorm.DB, a entity.Assertion) (entity.Receipt, error) {
	var said memory.Receipt
	if a.Said != nil {
		var err error
		if said, err = s.remember(tx, *a.Said); err != nil {
			return entity.Receipt{}, err
		}
	}
	set, err := saveSets(tx, a.Incarnation, a.Sets)
	if err != nil {
		return entity.Receipt{}, err
	}
	w := assertion{Assertion: a, store: s, set: set, refs: map[string]entity.Ref{}}
	mentioned, err := w.mention(tx)
	if err != nil {
		return entity.Receipt{}, err
	}
	known, err := w.known(tx)
	if err != nil {
		return entity.Receipt{}, err
	}
	changes := a.Reconcile(known)
	if err := w.apply(tx, changes); err != nil {
		return entity.Receipt{}, err
	}
	receipt := changes.Told
	receipt.Receipt, receipt.Entities = said, mentioned
	return receipt, nil
}

// assertion is an assertion on its way into the tables.
type assertion struct {
	entity.Assertion
	store *Store
	set   []byte
	// refs are the entities that the triples name, by id.
	refs map[string]entity.Ref
}

// mention sees to it that each entity that the triples name is known in the place, and holds the rows until tx ends: whoever
// else asserts or forgets something of one of them there waits. It returns the entities in the order of the triples.
func (w assertion) mention(tx *gorm.DB) ([]entity.MentionedEntity, error) {
	var mentioned []entity.MentionedEntity
	var rows []entityRow
	add := func(ref entity.Ref, category memory.Category) {
		id := ref.ID(w.Incarnation)
		if _, twice := w.refs[id]; twice {
			return
		}
		w.refs[id] = ref
		mentioned = append(mentioned, entity.MentionedEntity{ID: id, Type: ref.Type, Name: ref.Name, Category: category})
		rows = append(rows, entityRow{
			ContextID: w.Incarnation, ID: session.NewID(), SetID: w.set, EntityID: id, Type: ref.Type, Name: ref.Name,
			Category: category, Importance: entity.Importance, CreatedAt: w.At, UpdatedAt: w.At,
		})
	}
	for _, triple := range w.Triples {
		add(triple.Entity, triple.Category)
		if triple.Value == nil {
			add(*triple.Target, triple.Category)
		}
	}
	// In one order in every transaction, so that two of them never wait for each other.
	slices.SortFunc(rows, func(a, b entityRow) int { return strings.Compare(a.EntityID, b.EntityID) })
	var fresh []string
	var chunks []chunkRow
	for batch := range slices.Chunk(rows, rowBatch) {
		added, err := w.lock(tx, batch)
		if err != nil {
			return nil, err
		}
		for _, row := range added {
			fresh = append(fresh, row.ID)
			chunks = append(chunks, w.entityChunk(row))
		}
	}
	if err := w.store.insert(tx, chunks, nil); err != nil {
		return nil, err
	}
	return mentioned, w.markNew(tx, mentioned, fresh)
}

// lock inserts the rows whose entity is not known in the place, locks the others, and returns those inserted.
func (w assertion) lock(tx *gorm.DB, rows []entityRow) (added []entityRow, err error) {
	values := make([]string, len(rows))
	var args []any
	for i, r := range rows {
		values[i] = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
		args = append(args, r.ContextID, r.ID, r.SetID, r.EntityID, r.Type, r.Name, r.Category, r.Importance, r.CreatedAt, r.UpdatedAt)
	}
	var there []string
	err = tx.Raw(`INSERT INTO entities (context_id, id, set_id, entity_id, type, name, category, importance, created_at, updated_at)
		VALUES `+strings.Join(values, ", ")+`
		ON CONFLICT (context_id, entity_id, set_id) WHERE valid_until IS NULL DO UPDATE SET entity_id = excluded.entity_id
		RETURNING id`, args...).Scan(&there).Error
	for _, row := range rows {
		if slices.Contains(there, row.ID) {
			added = append(added, row)
		}
	}
	return added, err
}

// markNew says of each entity whether the writer saw nothing of it before; the rows of the given ids are its own.
func (w assertion) markNew(tx *gorm.DB, mentioned []entity.MentionedEntity, fresh []string) error {
	seen := map[string]bool{}
	if len(w.Readable) > 0 {
		ids := make([]string, len(mentioned))
		for i, each := range mentioned {
			ids[i] = each.ID
		}
		var f filter
		f.and("e.context_id = ? AND e.valid_until IS NULL AND e.entity_id IN ?", w.Incarnation, ids)
		if len(fresh) > 0 {
			f.and("e.id NOT IN ?", fresh)
		}
		f.readable("e.set_id", w.Incarnation, w.Readable)
		var found []string
		err := tx.Raw(f.with()+"SELECT DISTINCT e.entity_id FROM entities e WHERE "+f.conjunction(), f.args()...).Scan(&found).Error
		if err != nil {
			return err
		}
		for _, id := range found {
			seen[id] = true
		}
	}
	for i := range mentioned {
		mentioned[i].New = !seen[mentioned[i].ID]
	}
	return nil
}

// known reads what is current in the place of what the triples speak of.
func (w assertion) known(tx *gorm.DB) (known entity.Known, err error) {
	var subjects, keys, objects []string
	for _, triple := range w.Triples {
		subjects = append(subjects, triple.Entity.ID(w.Incarnation))
		keys = append(keys, triple.Key)
		if triple.Value == nil {
			objects = append(objects, triple.Target.ID(w.Incarnation))
		}
	}
	var attributes []attributeRow
	err = tx.Find(&attributes, "context_id = ? AND entity_id IN ? AND key IN ? AND set_id = ? AND valid_until IS NULL",
		w.Incarnation, subjects, keys, w.set).Error
	if err != nil {
		return known, err
	}
	for _, row := range attributes {
		known.Attributes = append(known.Attributes, row.toAttribute())
	}
	if len(objects) == 0 {
		return known, nil
	}
	var relations []relationRow
	err = tx.Find(&relations,
		"context_id = ? AND subject_id IN ? AND label IN ? AND object_id IN ? AND set_id = ? AND valid_until IS NULL",
		w.Incarnation, subjects, keys, objects, w.set).Error
	for _, row := range relations {
		known.Relations = append(known.Relations, row.toRelation())
	}
	return known, err
}

// apply writes changes.
func (w assertion) apply(tx *gorm.DB, changes entity.Changes) error {
	// First, because only one value of a key may be current.
	for _, each := range changes.Ended {
		err := tx.Model(&attributeRow{}).Where("context_id = ? AND id = ?", w.Incarnation, each.ID).
			Updates(map[string]any{"valid_until": each.ValidUntil, "superseded_by": each.SupersededBy}).Error
		if err != nil {
			return err
		}
		err = tx.Exec("UPDATE memory_chunks SET valid_until = ? WHERE context_id = ? AND id = ?",
			each.ValidUntil, w.Incarnation, each.ID).Error
		if err != nil {
			return err
		}
	}
	if err := w.insert(tx, changes); err != nil {
		return err
	}
	if len(changes.Touched) == 0 {
		return nil
	}
	return tx.Exec(`UPDATE entities SET importance = ?, updated_at = ?
		WHERE context_id = ? AND set_id = ? AND entity_id IN ? AND valid_until IS NULL AND updated_at < ?`,
		entity.Importance, w.At, w.Incarnation, w.set, changes.Touched, w.At).Error
}

func (w assertion) insert(tx *gorm.DB, changes entity.Changes) error {
	if len(changes.Attributes) > 0 {
		rows, chunks, labels := []attributeRow(nil), []chunkRow(nil), []labelRow(nil)
		for _, each := range changes.Attributes {
			rows = append(rows, rowOfAttribute(w.Incarnation, w.set, each))
			chunks = append(chunks, w.attributeChunk(each))
			for _, label := range w.Labels {
				labels = append(labels, labelRow{w.Incarnation, each.ID, label})
			}
		}
		if err := tx.CreateInBatches(&rows, rowBatch).Error; err != nil {
			return err
		}
		if err := w.store.insert(tx, chunks, labels); err != nil {
			return err
		}
	}
	var rows []relationRow
	for _, each := range changes.Relations {
		rows = append(rows, rowOfRelation(w.Incarnation, w.set, each))
	}
	if len(rows) == 0 {
		return nil
	}
	return tx.CreateInBatches(&rows, rowBatch).Error
}

func (w assertion) entityChunk(row entityRow) chunkRow {
	return w.chunk(row.ID, row.EntityID, row.Category, row.CreatedAt, chunkRow{
		Source: memory.EntitySource, Text: row.Name + " (" + row.Type + ")", words: memory.Words(row.Type + " " + row.Name),
	})
}

// attributeChunk is found by the words of its entity too, so whoever finds an entity finds what is known of it.
func (w assertion) attributeChunk(a entity.Attribute) chunkRow {
	ref := w.refs[a.EntityID]
	row := w.chunk(a.ID, a.EntityID, a.Category, a.CreatedAt, chunkRow{
		Source: memory.AttributeSource, Text: ref.Name + " " + a.Key + ": " + a.Value,
		words: memory.Words(strings.Join([]string{ref.Type, ref.Name, a.Key, a.Value}, " ")),
	})
	row.ValidFrom, row.ValidUntil = &a.ValidFrom, nullable(a.ValidUntil)
	return row
}

// chunk completes row.
func (w assertion) chunk(id, entityID string, category memory.Category, at time.Time, row chunkRow) chunkRow {
	row.ContextID, row.ID, row.SetID, row.PrincipalID, row.Category = w.Incarnation, id, w.set, w.Principal, &category
	row.EntityID, row.ObservedAt, row.CreatedAt = &entityID, nullable(w.ObservedAt), at
	row.SessionID = w.Source.SessionID
	if w.Said != nil {
		row.TurnID = w.Said.Turn.ID
	}
	return row
}
