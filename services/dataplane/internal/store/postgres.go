package store

import (
	"strings"
	"time"

	"gorm.io/gorm"
)

// postgres searches with tsvector and a GIN index. Next to its words, a chunk's vector holds one lexeme that names the
// context, so that the index is searched for "one of these words in this context" and the words of other contexts cost
// nothing.
type postgres struct{}

func (postgres) insertChunks(tx *gorm.DB, rows []chunkRow) error {
	values := make([]map[string]any, len(rows))
	for i, row := range rows {
		values[i] = row.values()
	}
	return tx.Table("memory_chunks").CreateInBatches(values, rowBatch).Error
}

func (row chunkRow) values() map[string]any {
	return map[string]any{
		"context_id":   row.ContextID,
		"id":           row.ID,
		"set_id":       row.SetID,
		"session_id":   row.SessionID,
		"turn_id":      row.TurnID,
		"principal_id": row.PrincipalID,
		"category":     row.Category,
		"text":         row.Text,
		"observed_at":  row.ObservedAt,
		"created_at":   row.CreatedAt,
		"source":       row.Source,
		"entity_id":    row.EntityID,
		"valid_from":   row.ValidFrom,
		"valid_until":  row.ValidUntil,
		"search":       vector(row.ContextID, row.words),
	}
}

// vector is what a chunk of these words is found by.
func vector(incarnation string, words []string) any {
	return gorm.Expr("to_tsvector('english', ?) || array_to_tsvector(ARRAY[CAST(? AS text)])",
		strings.Join(words, " "), contextLexeme(incarnation))
}

func (postgres) indexChunk(tx *gorm.DB, incarnation, id string, words []string) error {
	return tx.Table("memory_chunks").Where("context_id = ? AND id = ?", incarnation, id).
		Update("search", vector(incarnation, words)).Error
}

func (postgres) matching(incarnation string, terms []string) match {
	quoted := make([]string, len(terms))
	for i, term := range terms {
		quoted[i] = "'" + term + "'" // a term holds letters, digits and marks only
	}
	query := strings.Join(quoted, " | ")
	// Cast to tsquery, the text is not parsed as a language; in it a quote and a backslash are doubled.
	inContext := "'" + strings.NewReplacer("'", "''", `\`, `\\`).Replace(contextLexeme(incarnation)) + "'"
	return match{
		// Divided by the length of the text, or else a long one would win by being long.
		score:     "ts_rank(c.search, to_tsquery('english', ?), 1)",
		scoreArgs: []any{query},
		from:      "memory_chunks c",
		where:     "c.search @@ (CAST(CAST(? AS text) AS tsquery) && to_tsquery('english', ?))",
		whereArgs: []any{inContext, query},
	}
}

func (postgres) forgetWords(*gorm.DB, string, int) error { return nil }

func (postgres) forgetWordsAt(*gorm.DB, string, map[string]any) error { return nil }

func (postgres) forgetWordsOf(*gorm.DB, string, []string) error { return nil }

// snapshot makes whoever meets another writer of its rows begin again.
func (postgres) snapshot(tx *gorm.DB) error {
	return tx.Exec("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").Error
}

func (postgres) by(string) string { return "" }

func (postgres) locking() string { return " FOR UPDATE" }

func (postgres) tryLock(tx *gorm.DB, number int64) (locked bool, err error) {
	err = tx.Raw("SELECT pg_try_advisory_xact_lock(?)", number).Scan(&locked).Error
	return locked, err
}

func (postgres) clock(tx *gorm.DB) (at time.Time, err error) {
	err = tx.Raw("SELECT clock_timestamp()").Scan(&at).Error
	return at.UTC(), err
}

// contextLexeme names a context in the index. It begins with a space, as no word of a text does.
func contextLexeme(incarnation string) string { return " " + incarnation }
