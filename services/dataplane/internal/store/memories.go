package store

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
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
	set, err := saveSets(tx, w.Incarnation, w.Chunk.Sets)
	if err != nil {
		return memory.Receipt{}, err
	}
	if err := appendTurn(tx, w.Incarnation, w.Session, w.NewSession, w.Turn); err != nil {
		return memory.Receipt{}, err
	}
	row := chunkRow{
		ContextID: w.Incarnation, ID: w.Chunk.ID, SetID: set, SessionID: w.Session.ID, TurnID: w.Turn.ID,
		PrincipalID: w.Turn.Principal, Category: nullable(w.Chunk.Category), Text: w.Chunk.Text,
		ObservedAt: nullable(w.Chunk.ObservedAt), CreatedAt: w.Chunk.CreatedAt,
		Source: memory.ChunkSource, ValidFrom: nullable(w.Chunk.ObservedAt),
	}
	if err := s.engine.insertChunk(tx, row, memory.Words(w.Chunk.Text)); err != nil {
		return memory.Receipt{}, err
	}
	var labels []labelRow
	for _, label := range w.Chunk.Labels {
		labels = append(labels, labelRow{w.Incarnation, w.Chunk.ID, label})
	}
	if len(labels) > 0 {
		if err := tx.Create(&labels).Error; err != nil {
			return memory.Receipt{}, err
		}
	}
	return memory.Receipt{SessionID: w.Session.ID, TurnID: w.Turn.ID, ChunkID: w.Chunk.ID}, nil
}
