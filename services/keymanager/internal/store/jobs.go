package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// MigrationTable records which migrations have been applied.
const MigrationTable = "control_migrations"

type jobRow struct {
	ID          string
	Kind        string
	ContextID   string
	Incarnation string
	CreatedAt   time.Time
	ClaimedAt   sql.NullTime
}

// TableName tells GORM where the rows are.
func (jobRow) TableName() string { return "jobs" }

// QueueJob implements tenant.JobStore.
func (s *Store) QueueJob(ctx context.Context, contextID string, kind introspection.JobKind, id string) (queued string, err error) {
	err = s.change(ctx, func(tx *gorm.DB, at time.Time) error {
		c, err := findContext(tx, contextID, lockAlone)
		if err != nil {
			return err
		}
		var waiting jobRow
		err = tx.Where("context_id = ? AND kind = ? AND claimed_at IS NULL", contextID, kind).Take(&waiting).Error
		if err == nil {
			queued = waiting.ID
			return nil
		}
		if !errors.Is(err, gorm.ErrRecordNotFound) {
			return err
		}
		queued = id
		row := jobRow{ID: id, Kind: string(kind), ContextID: contextID, Incarnation: c.Incarnation, CreatedAt: at}
		if err := tx.Create(&row).Error; err != nil {
			return fmt.Errorf("queueing a job: %w", err)
		}
		return record(tx, at, jobEntry(audit.JobQueued, row))
	})
	return queued, err
}

func jobEntry(action audit.Action, row jobRow) audit.Entry {
	return audit.Entry{Action: action, ContextID: row.ContextID, Target: row.ID, Detail: map[string]any{"kind": row.Kind}}
}

// TakeJobs implements tenant.JobStore.
func (s *Store) TakeJobs(ctx context.Context, limit int, patience time.Duration) ([]introspection.Job, error) {
	jobs := []introspection.Job{}
	err := s.change(ctx, func(tx *gorm.DB, at time.Time) error {
		var rows []jobRow
		// What another data plane is about to take is not waited for.
		err := tx.Clauses(clause.Locking{Strength: string(lockAlone), Options: clause.LockingOptionsSkipLocked}).
			Where("claimed_at IS NULL OR claimed_at <= ?", at.Add(-patience)).Order("created_at, id").Limit(limit).Find(&rows).Error
		if err != nil || len(rows) == 0 {
			return err
		}
		ids := make([]string, len(rows))
		for i, row := range rows {
			ids[i] = row.ID
			jobs = append(jobs, introspection.Job{ID: row.ID, Kind: introspection.JobKind(row.Kind), Incarnation: row.Incarnation})
		}
		return tx.Model(&jobRow{}).Where("id IN ?", ids).Update("claimed_at", at).Error
	})
	return jobs, err
}

// RemoveJob implements tenant.JobStore.
func (s *Store) RemoveJob(ctx context.Context, id string) error {
	return s.change(ctx, func(tx *gorm.DB, at time.Time) error {
		var row jobRow
		err := tx.Clauses(clause.Locking{Strength: string(lockAlone)}).Where("id = ?", id).Take(&row).Error
		if errors.Is(err, gorm.ErrRecordNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := tx.Where("id = ?", id).Delete(&jobRow{}).Error; err != nil {
			return fmt.Errorf("removing a job: %w", err)
		}
		return record(tx, at, jobEntry(audit.JobDone, row))
	})
}

// Migrated implements tenant.Store.
func (s *Store) Migrated(ctx context.Context) (m tenant.Migrated, err error) {
	err = s.read(ctx, func(tx *gorm.DB) error {
		return tx.Raw("SELECT (SELECT coalesce(max(version_id), 0) FROM " + MigrationTable +
			" WHERE is_applied) AS version, (SELECT count(*) FROM contexts) AS contexts").Scan(&m).Error
	})
	return m, err
}
