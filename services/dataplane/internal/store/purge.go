package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/dataplane/internal/purge"
)

var _ purge.Store = (*Store)(nil)

// tables lists every table that holds rows of contexts with the rest of its primary key. Chunks come first: what cannot
// be found any more may wait.
var tables = []struct{ name, key string }{
	{"memory_chunks", "id"},
	{"memory_labels", "chunk_id, label"},
	{"attributes", "id"},
	{"relations", "id"},
	{"entities", "id"},
	{"turns", "session_id, seq"},
	{"sessions", "id"},
	{"scope_set_nodes", "set_id, clause, node"},
	{"scope_nodes", "path"},
	{"idempotency_keys", "principal_id, route, key"},
	{"traces", "id"},
	{"sync_pairs", "id"},
	{"records", "id"},
	{"threads", "id"},
	{"record_counters", "last_seq"}, // the last of them: numbers are not given twice while there are records
}

// PurgeContext implements [purge.Store].
func (s *Store) PurgeContext(ctx context.Context, incarnation string, limit int) (deleted int, err error) {
	for _, table := range tables {
		var gone int64
		err := s.write(ctx, func(tx *gorm.DB) error {
			if table.name == "memory_chunks" {
				if err := s.engine.forgetWords(tx, incarnation, limit); err != nil {
					return err
				}
			}
			result := tx.Exec(fmt.Sprintf(`DELETE FROM %[1]s WHERE (context_id, %[2]s) IN
				(SELECT context_id, %[2]s FROM %[1]s WHERE context_id = ? ORDER BY %[2]s LIMIT ?)`, table.name, table.key),
				incarnation, limit)
			gone = result.RowsAffected
			return result.Error
		})
		if err != nil {
			return deleted, err
		}
		deleted += int(gone)
	}
	return deleted, nil
}

// PurgeExpired implements [purge.Store].
func (s *Store) PurgeExpired(ctx context.Context, at time.Time, limit int) (deleted int, err error) {
	err = s.write(ctx, func(tx *gorm.DB) error {
		result := tx.Exec(`DELETE FROM idempotency_keys WHERE (context_id, principal_id, route, key) IN
			(SELECT context_id, principal_id, route, key FROM idempotency_keys WHERE expires_at <= ? LIMIT ?)`, at.UTC(), limit)
		deleted = int(result.RowsAffected)
		return result.Error
	})
	return deleted, err
}
