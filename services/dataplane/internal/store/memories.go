package store

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
	"github.com/spectron-hq/spectron/services/dataplane/internal/session"
)

var _ memory.Store = (*Store)(nil)

type chunkRow struct {
	ContextID   string `gorm:"primaryKey"`
	ID          string `gorm:"primaryKey"`
	SetID       []byte
	SessionID   string
	TurnID      string
	PrincipalID string
	Category    *memory.Category
	Text        string
	ObservedAt  *time.Time
	CreatedAt   time.Time
	Source      memory.Source
	EntityID    *string
	ValidFrom   *time.Time
	ValidUntil  *time.Time

	// words are what queries find the row by. They go to the index alone.
	words []string
}

type labelRow struct {
	ContextID string `gorm:"primaryKey"`
	ChunkID   string `gorm:"primaryKey"`
	Label     string `gorm:"primaryKey"`
}

func (labelRow) TableName() string { return "memory_labels" }

// Remember implements [memory.Store].
func (s *Store) Remember(ctx context.Context, w memory.Write) (receipt memory.Receipt, err error) {
	err = s.write(ctx, func(tx *gorm.DB) error {
		receipt, err = once(tx, s.engine, w.Once, w.Chunk.CreatedAt, func() (memory.Receipt, error) {
			return s.remember(tx, w)
		})
		return err
	})
	if err != nil {
		return memory.Receipt{}, err
	}
	return receipt, nil
}

func (s *Store) remember(tx *gorm.DB, w memory.Write) (memory.Receipt, error) {
	err := s.append(tx, w.Incarnation, w.Session, w.NewSession, []session.Turn{w.Turn}, []memory.Chunk{w.Chunk})
	receipt := memory.Receipt{SessionID: w.Session.ID, TurnID: w.Turn.ID}
	if w.Chunk.Text != "" {
		receipt.ChunkID = w.Chunk.ID
	}
	return receipt, err
}

// RememberAll implements [memory.Store].
func (s *Store) RememberAll(ctx context.Context, w memory.BatchWrite) (receipt memory.BatchReceipt, err error) {
	err = s.write(ctx, func(tx *gorm.DB) error {
		receipt, err = once(tx, s.engine, w.Once, w.Session.CreatedAt, func() (memory.BatchReceipt, error) {
			made := memory.BatchReceipt{SessionID: w.Session.ID}
			for _, turn := range w.Turns {
				made.TurnIDs = append(made.TurnIDs, turn.ID)
			}
			return made, s.append(tx, w.Incarnation, w.Session, w.NewSession, w.Turns, w.Chunks)
		})
		return err
	})
	if err != nil {
		return memory.BatchReceipt{}, err
	}
	return receipt, nil
}

// append stores turns and, of each, its chunk.
func (s *Store) append(
	tx *gorm.DB, incarnation string, home session.Session, isNew bool, turns []session.Turn, chunks []memory.Chunk,
) error {
	if err := appendTurns(tx, incarnation, home, isNew, turns); err != nil {
		return err
	}
	var rows []chunkRow
	var labels []labelRow
	for i, chunk := range chunks {
		if chunk.Text == "" {
			continue
		}
		set, err := saveSets(tx, incarnation, chunk.Sets)
		if err != nil {
			return err
		}
		row := chunkRow{
			ContextID: incarnation, ID: chunk.ID, SetID: set, SessionID: home.ID, TurnID: turns[i].ID,
			PrincipalID: turns[i].Principal, Category: nullable(chunk.Category), Text: chunk.Text,
			ObservedAt: nullable(chunk.ObservedAt), CreatedAt: chunk.CreatedAt,
			Source: memory.ChunkSource, ValidFrom: nullable(chunk.ObservedAt), words: memory.Words(chunk.Text),
		}
		rows = append(rows, row)
		for _, label := range chunk.Labels {
			labels = append(labels, labelRow{incarnation, chunk.ID, label})
		}
	}
	return s.insert(tx, rows, labels)
}

// insert stores chunks and labels, if there are any.
func (s *Store) insert(tx *gorm.DB, chunks []chunkRow, labels []labelRow) error {
	if len(chunks) > 0 {
		if err := s.engine.insertChunks(tx, chunks); err != nil {
			return err
		}
	}
	if len(labels) == 0 {
		return nil
	}
	return tx.CreateInBatches(labels, rowBatch).Error
}
