package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
)

// CountForgettable implements [memory.Store].
func (s *Store) CountForgettable(ctx context.Context, what memory.Forgetting) (n int, err error) {
	from, f := s.forgettable(what)
	err = s.read(ctx, &n, f.with()+"SELECT count(*) FROM "+from.from+" WHERE "+f.conjunction(), f.args(from.fromArgs...)...)
	return n, err
}

// forgettable returns how to find the rows that what is about.
func (s *Store) forgettable(what memory.Forgetting) (match, *filter) {
	found, f := s.engine.matching(what.Incarnation, what.Terms), &filter{}
	f.and("c.context_id = ?", what.Incarnation)
	f.and(found.where, found.whereArgs...)
	f.owned("c.set_id", what.Incarnation, what.Region)
	if !what.Purge {
		// What recall would find. Erasing is also for what it finds no more.
		f.and("c.forgotten_at IS NULL AND c.valid_until IS NULL")
	}
	return found, f
}

// forgotten is a row to forget.
type forgotten struct {
	ID, SessionID, TurnID string
	Source                memory.Source
}

// Forget implements [memory.Store].
func (s *Store) Forget(ctx context.Context, what memory.Forgetting) (n int, err error) {
	from, f := s.forgettable(what)
	statement := f.with() + "SELECT c.id, c.source, c.session_id, c.turn_id FROM " + from.from + " WHERE " + f.conjunction() +
		" ORDER BY c.id LIMIT ?"
	args := append(f.args(from.fromArgs...), what.Limit)
	err = s.write(ctx, func(tx *gorm.DB) error {
		var rows []forgotten
		if err := tx.Raw(statement, args...).Scan(&rows).Error; err != nil {
			return err
		}
		n = len(rows)
		o := oblivion{engine: s.engine, incarnation: what.Incarnation, at: what.At, purge: what.Purge}
		return o.forget(tx, rows)
	})
	return n, err
}

// ForgetEntity implements [entity.Store].
func (s *Store) ForgetEntity(
	ctx context.Context, incarnation, id string, region scope.Region, at time.Time,
) (n int, err error) {
	var f filter
	f.and("e.context_id = ? AND e.entity_id = ? AND e.valid_until IS NULL", incarnation, id)
	f.owned("e.set_id", incarnation, region)
	err = s.write(ctx, func(tx *gorm.DB) error {
		var ids []string
		err := tx.Raw(f.with()+"SELECT e.id FROM entities e WHERE "+f.conjunction()+" ORDER BY e.id", f.args()...).Scan(&ids).Error
		if err != nil || len(ids) == 0 {
			return err
		}
		o := oblivion{engine: s.engine, incarnation: incarnation, at: at}
		rows := make([]forgotten, len(ids))
		for i, id := range ids {
			rows[i] = forgotten{ID: id, Source: memory.EntitySource}
		}
		n = len(rows)
		return o.forget(tx, rows)
	})
	return n, err
}

// oblivion forgets rows, and what hangs on them.
type oblivion struct {
	engine      engine
	incarnation string
	at          time.Time
	purge       bool
}

func (o oblivion) forget(tx *gorm.DB, rows []forgotten) error {
	ids := map[memory.Source][]string{}
	for _, row := range rows {
		ids[row.Source] = append(ids[row.Source], row.ID)
	}
	if err := o.lock(tx, ids[memory.AttributeSource], ids[memory.EntitySource]); err != nil {
		return err
	}
	if err := o.turns(tx, rows); err != nil {
		return err
	}
	if err := o.relations(tx, ids[memory.EntitySource]); err != nil {
		return err
	}
	chains, err := o.chains(tx, ids[memory.AttributeSource], ids[memory.EntitySource])
	if err != nil {
		return err
	}
	for _, table := range []struct {
		name string
		ids  []string
	}{
		{"attributes", chains},
		{"entities", ids[memory.EntitySource]},
		{"memory_chunks", slices.Concat(ids[memory.ChunkSource], chains, ids[memory.EntitySource])},
	} {
		for batch := range slices.Chunk(table.ids, rowBatch) {
			if err := o.end(tx, table.name, batch); err != nil {
				return err
			}
		}
	}
	if o.purge && len(chains)+len(ids[memory.EntitySource]) > 0 {
		return forgetAnswers(tx, o.incarnation)
	}
	return nil
}

// forgetAnswers deletes the answers to assertions that wait to be repeated: each names entities, and may hold what was erased.
func forgetAnswers(tx *gorm.DB, incarnation string) error {
	return tx.Exec(`DELETE FROM idempotency_keys WHERE context_id = ? AND answer LIKE '%"entities":%'`, incarnation).Error
}

// lock holds the rows of the entities that are forgotten or lose an attribute, as whoever asserts something of them does, and
// in the same order.
func (o oblivion) lock(tx *gorm.DB, attributes, entities []string) error {
	if len(attributes)+len(entities) == 0 {
		return nil
	}
	var held []string
	return tx.Raw(`SELECT id FROM entities WHERE context_id = ? AND valid_until IS NULL AND (entity_id, set_id) IN (
		SELECT entity_id, set_id FROM entities WHERE context_id = ? AND id IN ? UNION
		SELECT entity_id, set_id FROM attributes WHERE context_id = ? AND id IN ?)
		ORDER BY entity_id, set_id`+o.engine.locking(),
		o.incarnation, o.incarnation, entities, o.incarnation, attributes).Scan(&held).Error
}

// turns forgets the turns that brought the texts among rows.
func (o oblivion) turns(tx *gorm.DB, rows []forgotten) error {
	var texts []forgotten
	for _, row := range rows {
		if row.Source == memory.ChunkSource {
			texts = append(texts, row)
		}
	}
	for batch := range slices.Chunk(texts, rowBatch) {
		args := []any{o.incarnation}
		for _, row := range batch {
			args = append(args, row.SessionID, row.TurnID)
		}
		these := " WHERE context_id = ? AND (session_id, id) IN (VALUES " +
			strings.TrimSuffix(strings.Repeat("(?, ?), ", len(batch)), ", ") + ")"
		statement := "DELETE FROM turns" + these
		if !o.purge {
			statement, args = "UPDATE turns SET forgotten_at = ?"+these, append([]any{o.at}, args...)
		}
		if err := tx.Exec(statement, args...).Error; err != nil {
			return err
		}
	}
	return nil
}

// relations forgets those that lead from or to one of the entities in its place.
func (o oblivion) relations(tx *gorm.DB, entities []string) error {
	for batch := range slices.Chunk(entities, rowBatch) {
		for _, end := range []string{"subject_id", "object_id"} {
			these := " WHERE context_id = ? AND (" + end + `, set_id) IN
				(SELECT entity_id, set_id FROM entities WHERE context_id = ? AND id IN ?)`
			args := []any{o.incarnation, o.incarnation, batch}
			statement := "DELETE FROM relations" + these
			if !o.purge {
				statement, args = "UPDATE relations SET valid_until = ?"+these+" AND valid_until IS NULL", append([]any{o.at}, args...)
			}
			if err := tx.Exec(statement, args...).Error; err != nil {
				return err
			}
		}
	}
	return nil
}

// chains returns the ids of the attributes and of those before and after them, and of all that the entities have in their
// places.
func (o oblivion) chains(tx *gorm.DB, attributes, entities []string) ([]string, error) {
	var out []string
	add := func(statement string, ids []string) error {
		for batch := range slices.Chunk(ids, rowBatch) {
			var found []string
			if err := tx.Raw(statement, o.incarnation, o.incarnation, batch).Scan(&found).Error; err != nil {
				return err
			}
			out = append(out, found...)
		}
		return nil
	}
	err := add(`SELECT id FROM attributes WHERE context_id = ? AND (entity_id, key, set_id) IN
		(SELECT entity_id, key, set_id FROM attributes WHERE context_id = ? AND id IN ?)`, attributes)
	if err != nil {
		return nil, err
	}
	err = add(`SELECT id FROM attributes WHERE context_id = ? AND (entity_id, set_id) IN
		(SELECT entity_id, set_id FROM entities WHERE context_id = ? AND id IN ?)`, entities)
	slices.Sort(out)
	return slices.Compact(out), err
}

// end makes rows of a table end, or erases them.
func (o oblivion) end(tx *gorm.DB, table string, ids []string) error {
	these := " WHERE context_id = ? AND id IN ?"
	if !o.purge && table == "memory_chunks" {
		return tx.Exec(`UPDATE memory_chunks SET forgotten_at = COALESCE(forgotten_at, ?), valid_until = COALESCE(valid_until, ?)`+these,
			o.at, o.at, o.incarnation, ids).Error
	}
	if !o.purge {
		return tx.Exec("UPDATE "+table+" SET valid_until = ?"+these+" AND valid_until IS NULL", o.at, o.incarnation, ids).Error
	}
	if table == "memory_chunks" {
		if err := o.engine.forgetWordsOf(tx, o.incarnation, ids); err != nil {
			return err
		}
		if err := tx.Exec("DELETE FROM memory_labels WHERE context_id = ? AND chunk_id IN ?", o.incarnation, ids).Error; err != nil {
			return err
		}
	}
	return tx.Exec("DELETE FROM "+table+these, o.incarnation, ids).Error
}
