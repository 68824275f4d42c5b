package store

import (
	"context"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/dataplane/internal/job"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
)

var _ job.Index = (*Store)(nil)

// Reindex implements [job.Index]. An attribute is found by the type of its entity, which its text does not hold; where that
// is gone, so is the reason to find the attribute, and its entry stays what it is. What is forgotten is not indexed again.
func (s *Store) Reindex(ctx context.Context, incarnation, after string, limit int) (last string, err error) {
	err = s.write(ctx, func(tx *gorm.DB) error {
		var chunks []struct {
			ID, Text  string
			Source    memory.Source
			Type      *string
			Forgotten bool
		}
		err := tx.Raw(`SELECT c.id, c.text, c.source, c.forgotten_at IS NOT NULL AS forgotten,
				(SELECT e.type FROM entities e WHERE e.context_id = c.context_id AND e.entity_id = c.entity_id AND e.valid_until IS NULL
					LIMIT 1) AS type
			FROM memory_chunks c WHERE c.context_id = ? AND c.id > ? ORDER BY c.id LIMIT ?`, incarnation, after, limit).Scan(&chunks).Error
		if err != nil {
			return err
		}
		last = ""
		for _, chunk := range chunks {
			last = chunk.ID
			text := chunk.Text
			switch {
			case chunk.Forgotten, chunk.Source == memory.AttributeSource && chunk.Type == nil:
				continue
			case chunk.Source == memory.AttributeSource:
				text = *chunk.Type + " " + text
			}
			if err := s.engine.indexChunk(tx, incarnation, chunk.ID, memory.Words(text)); err != nil {
				return err
			}
		}
		return nil
	})
	return last, err
}
