package store

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
	"github.com/spectron-hq/spectron/services/dataplane/internal/thread"
)

var _ thread.Store = (*Store)(nil)

type threadRow struct {
	ContextID    string `gorm:"primaryKey"`
	ID           string `gorm:"primaryKey"`
	Title        string
	Records      int64
	CreatedAt    time.Time
	LastRecordAt *time.Time
	DeletedAt    *time.Time
}

func (threadRow) TableName() string { return "threads" }

func (row threadRow) thread() thread.Thread {
	return thread.Thread{ID: row.ID, Title: row.Title, Records: row.Records, CreatedAt: row.CreatedAt.UTC(), LastRecordAt: utc(row.LastRecordAt)}
}

// CreateThread implements [thread.Store].
func (s *Store) CreateThread(ctx context.Context, space string, made thread.Thread) (there thread.Thread, err error) {
	err = s.write(ctx, func(tx *gorm.DB) error {
		if _, err := s.lockSpace(tx, space); err != nil {
			return err
		}
		var known []threadRow
		if err := tx.Limit(1).Find(&known, "context_id = ? AND id = ?", space, made.ID).Error; err != nil {
			return err
		}
		switch {
		case len(known) == 0:
			there = made
			return tx.Create(&threadRow{ContextID: space, ID: made.ID, Title: made.Title, CreatedAt: made.CreatedAt}).Error
		case known[0].DeletedAt != nil:
			return record.ThreadDeleted()
		}
		there = known[0].thread()
		return nil
	})
	return there, err
}

// Thread implements [thread.Store].
func (s *Store) Thread(ctx context.Context, space, id string) (thread.Thread, error) {
	var rows []threadRow
	err := s.read(ctx, &rows, "SELECT * FROM threads WHERE context_id = ? AND id = ? AND deleted_at IS NULL", space, id)
	if err != nil {
		return thread.Thread{}, err
	}
	if len(rows) == 0 {
		return thread.Thread{}, thread.ErrAbsent
	}
	return rows[0].thread(), nil
}

// Threads implements [thread.Store].
func (s *Store) Threads(ctx context.Context, space, after string, limit int) (found []thread.Thread, more bool, err error) {
	var rows []threadRow
	err = s.read(ctx, &rows, "SELECT * FROM threads WHERE context_id = ? AND id > ? AND deleted_at IS NULL ORDER BY id LIMIT ?",
		space, after, limit+1)
	if err != nil {
		return nil, false, err
	}
	for _, row := range rows[:min(limit, len(rows))] {
		found = append(found, row.thread())
	}
	return found, len(rows) > limit, nil
}

// DeleteThread implements [thread.Store].
func (s *Store) DeleteThread(ctx context.Context, space, id string, at time.Time) error {
	return s.write(ctx, func(tx *gorm.DB) error {
		// Under the lock, so that no record is on its way to the thread: what it is answered is true.
		if _, err := s.lockSpace(tx, space); err != nil {
			return err
		}
		hidden := tx.Exec("UPDATE threads SET deleted_at = COALESCE(deleted_at, ?) WHERE context_id = ? AND id = ?", at, space, id)
		if hidden.Error == nil && hidden.RowsAffected == 0 {
			return thread.ErrAbsent
		}
		return hidden.Error
	})
}

// Participants implements [thread.Store].
func (s *Store) Participants(ctx context.Context, space, id string) (found []thread.Participant, err error) {
	return found, s.read(ctx, &found, `SELECT r.actor, count(*) AS records, min(r.clock) AS first, max(r.clock) AS last
		FROM records r WHERE r.context_id = ? AND r.thread = ? AND `+visible+" GROUP BY r.actor ORDER BY r.actor", space, id)
}

// CountThreads implements [thread.Store].
func (s *Store) CountThreads(ctx context.Context, space string) (counts thread.Counts, err error) {
	return counts, s.read(ctx, &counts, `SELECT count(*) AS threads, CAST(COALESCE(sum(records), 0) AS bigint) AS records
		FROM threads WHERE context_id = ? AND deleted_at IS NULL`, space)
}
