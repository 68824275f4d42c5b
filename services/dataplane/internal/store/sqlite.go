package store

import (
	"strings"
	"time"

	"gorm.io/gorm"
)

// sqlite searches with FTS5. The words are in a table of their own, which a chunk points to by rowid; the context is a
// column there, so that the index is searched for "one of these words in this context".
type sqlite struct{}

type indexedChunkRow struct {
	Chunk    chunkRow `gorm:"embedded"`
	Document int64
}

func (indexedChunkRow) TableName() string { return "memory_chunks" }

func (sqlite) insertChunks(tx *gorm.DB, rows []chunkRow) error {
	indexed := make([]indexedChunkRow, len(rows))
	for i, row := range rows {
		indexed[i].Chunk = row
		err := tx.Exec("INSERT INTO memory_search (context, words) VALUES (?, ?)", row.ContextID, strings.Join(row.words, " ")).Error
		if err != nil {
			return err
		}
		if err := tx.Raw("SELECT last_insert_rowid()").Scan(&indexed[i].Document).Error; err != nil {
			return err
		}
	}
	return tx.CreateInBatches(&indexed, rowBatch).Error
}

func (sqlite) indexChunk(tx *gorm.DB, incarnation, id string, words []string) error {
	return tx.Exec(`INSERT OR REPLACE INTO memory_search (rowid, context, words)
		SELECT document, context_id, ? FROM memory_chunks WHERE context_id = ? AND id = ?`,
		strings.Join(words, " "), incarnation, id).Error
}

func (sqlite) matching(incarnation string, terms []string) match {
	quoted := make([]string, len(terms))
	for i, term := range terms {
		quoted[i] = phrase(term)
	}
	return match{
		// bm25 is smaller for a better match. The context's column weighs nothing.
		score: "-bm25(memory_search, 0, 1)",
		from:  "memory_search JOIN memory_chunks c ON c.document = memory_search.rowid",
		where: "memory_search MATCH ?",
		whereArgs: []any{
			"context : " + phrase(incarnation) + " AND words : (" + strings.Join(quoted, " OR ") + ")",
		},
	}
}

func (sqlite) forgetWords(tx *gorm.DB, incarnation string, limit int) error {
	return tx.Exec(`DELETE FROM memory_search WHERE rowid IN
		(SELECT document FROM memory_chunks WHERE context_id = ? ORDER BY id LIMIT ?)`, incarnation, limit).Error
}

func (sqlite) forgetWordsOf(tx *gorm.DB, incarnation string, ids []string) error {
	return tx.Exec(`DELETE FROM memory_search WHERE rowid IN
		(SELECT document FROM memory_chunks WHERE context_id = ? AND id IN ?)`, incarnation, ids).Error
}

func (sqlite) forgetWordsAt(tx *gorm.DB, sets string, args map[string]any) error {
	return tx.Exec("DELETE FROM memory_search WHERE rowid IN (SELECT document FROM memory_chunks WHERE context_id = @context AND set_id IN "+
		sets+")", args).Error
}

// snapshot is nothing: a writing transaction is the only one there is.
func (sqlite) snapshot(*gorm.DB) error { return nil }

// by is a must: SQLite takes a context for a handful of rows, and would go through all of them.
func (sqlite) by(index string) string { return " INDEXED BY " + index }

// locking is nothing: a writing transaction is the only one there is.
func (sqlite) locking() string { return "" }

// tryLock always succeeds: a writing transaction is the only one there is.
func (sqlite) tryLock(*gorm.DB, int64) (bool, error) { return true, nil }

func (sqlite) clock(tx *gorm.DB) (time.Time, error) {
	// Not by Row, which panics when a statement cannot be prepared, as after the end of its context.
	var text string
	if err := tx.Raw("SELECT strftime('%Y-%m-%d %H:%M:%f+00:00', 'now')").Scan(&text).Error; err != nil {
		return time.Time{}, err
	}
	var at moment
	err := at.Scan(text)
	return at.UTC(), err
}

// phrase quotes text for FTS5: inside double quotes nothing but the double quote has a meaning.
func phrase(text string) string { return `"` + strings.ReplaceAll(text, `"`, `""`) + `"` }
