package store

import (
	"context"
	"slices"
	"time"

	"github.com/spectron-hq/spectron/services/dataplane/internal/entity"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
)

// Search implements [memory.Store].
func (s *Store) Search(ctx context.Context, search memory.Search) ([]memory.Hit, error) {
	if len(search.Region) == 0 {
		return nil, nil
	}
	rows, err := s.search(ctx, search)
	if err != nil {
		return nil, err
	}
	hits := make([]memory.Hit, len(rows))
	for i, row := range rows {
		hits[i] = memory.Hit{
			ID: row.ID, Text: row.Text, Source: row.Source, EntityID: deref(row.EntityID),
			Score: relative(row.Score, rows[0].Score), OccurredAt: utc(row.ObservedAt),
		}
		if row.Source == memory.EntitySource {
			hits[i].ID = hits[i].EntityID // an entity is one, in however many places it is known
		}
	}
	return hits, nil
}

// hitRow is what a search finds.
type hitRow struct {
	ID, Text   string
	Source     memory.Source
	EntityID   *string
	ObservedAt *time.Time
	Score      float64
	// Fetched is how many rows were looked at; where each is a hit, it stays 0.
	Fetched int
}

// search runs the statement of search.
func (s *Store) search(ctx context.Context, search memory.Search) (rows []hitRow, err error) {
	if !search.Distinct {
		statement, args := s.searchStatement(search)
		return rows, s.read(ctx, &rows, statement, args...)
	}
	// Of equal texts the best one is a hit. Seldom are there many, so what is looked at is the top of the list, and more of
	// it only where that does not suffice.
	for window := search; ; {
		window.Limit *= 4
		statement, args := s.searchStatement(window)
		statement = `SELECT * FROM (
			SELECT f.*, count(*) OVER () AS fetched,
				row_number() OVER (PARTITION BY f.source, f.text ORDER BY f.score DESC, f.created_at DESC, f.id DESC) AS place
			FROM (` + statement + `) f) g
			WHERE g.place = 1 ORDER BY g.score DESC, g.created_at DESC, g.id DESC LIMIT ?`
		rows = nil
		if err := s.read(ctx, &rows, statement, append(args, search.Limit)...); err != nil {
			return nil, err
		}
		if len(rows) == 0 || len(rows) == search.Limit || rows[0].Fetched < window.Limit {
			return rows, nil
		}
	}
}

// relative is score as a part of the best one. The engine's own number would tell how common a word is in rows that the caller
// must not know of: the embedded engine counts over the whole store.
func relative(score, best float64) float64 {
	if best <= 0 {
		return 1
	}
	return score / best
}

// searchStatement returns the one statement that answers search.
func (s *Store) searchStatement(search memory.Search) (text string, args []any) {
	found := s.engine.matching(search.Incarnation, search.Terms)
	var f filter
	f.and("c.context_id = ? AND c.forgotten_at IS NULL", search.Incarnation)
	f.and(found.where, found.whereArgs...)
	f.readable("c.set_id", search.Incarnation, search.Region)
	if len(search.Lens) > 0 {
		table, args := lensTable(search.Lens)
		f.tables, f.tableArgs = append(f.tables, table), append(f.tableArgs, args...)
		f.and("c.set_id IN ("+lensedSets+")", search.Incarnation)
	}
	for _, label := range search.Labels {
		f.and("EXISTS (SELECT 1 FROM memory_labels l WHERE l.context_id = ? AND l.chunk_id = c.id AND l.label = ?)",
			search.Incarnation, label)
	}
	if search.SessionID != "" {
		f.and("c.session_id = ?", search.SessionID)
	}
	if len(search.Sources) > 0 {
		f.and("c.source IN ?", search.Sources)
	}
	if search.WithoutReflections {
		f.and("NOT EXISTS (SELECT 1 FROM attributes a WHERE a.context_id = ? AND a.id = c.id AND a.source_kind = ?)",
			search.Incarnation, entity.FromReflect)
	}
	searchTimes(search, f.and)

	text = f.with() + "SELECT c.id, c.text, c.source, c.entity_id, c.observed_at, c.created_at, " + found.score + " AS score FROM " +
		found.from + " WHERE " + f.conjunction() + " ORDER BY score DESC, c.created_at DESC, c.id DESC LIMIT ?"
	return text, append(f.args(slices.Concat(found.scoreArgs, found.fromArgs)...), search.Limit)
}

// searchTimes adds the conditions on when a hit was written and valid.
func searchTimes(search memory.Search, and func(condition string, args ...any)) {
	if !search.AsOf.IsZero() {
		and("c.created_at <= ?", search.AsOf)
	}
	at := search.AtInstant
	if at.IsZero() {
		at = search.AsOf
	}
	if !at.IsZero() {
		and("(c.valid_until IS NULL OR c.valid_until > ?)", at)
	}
	if !search.AtInstant.IsZero() {
		and("COALESCE(c.valid_from, c.created_at) <= ?", search.AtInstant)
	}
	if !search.ValidFrom.IsZero() {
		and("(c.valid_until IS NULL OR c.valid_until > ?)", search.ValidFrom)
	}
	if !search.ValidUntil.IsZero() {
		and("COALESCE(c.valid_from, c.created_at) < ?", search.ValidUntil)
	}
	if at.IsZero() && search.ValidFrom.IsZero() && search.ValidUntil.IsZero() {
		and("c.valid_until IS NULL")
	}
}
