package store

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// maxPurges bounds one answer; the rest is listed once these are done.
const maxPurges = 1000

type purgeRow struct {
	Incarnation string
	ContextID   string
	DeletedAt   time.Time
}

// TableName tells GORM where the rows are.
func (purgeRow) TableName() string { return "purges" }

// Purges implements tenant.PurgeStore.
func (s *Store) Purges(ctx context.Context) ([]tenant.Purge, error) {
	var out []tenant.Purge
	err := s.read(ctx, func(tx *gorm.DB) error {
		at, err := s.engine.clock(tx)
		if err != nil {
			return err
		}
		var rows []purgeRow
		err = tx.Order("deleted_at, incarnation").Limit(maxPurges).Find(&rows).Error
		out = make([]tenant.Purge, len(rows))
		for i, row := range rows {
			out[i] = tenant.Purge{Incarnation: row.Incarnation, Age: at.Sub(row.DeletedAt)}
		}
		return err
	})
	return out, err
}

// RemovePurge implements tenant.PurgeStore.
func (s *Store) RemovePurge(ctx context.Context, incarnation string, age time.Duration) error {
	return s.change(ctx, func(tx *gorm.DB, at time.Time) error {
		var row purgeRow
		err := tx.Where("incarnation = ?", incarnation).Take(&row).Error
		if errors.Is(err, gorm.ErrRecordNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if at.Sub(row.DeletedAt) < age {
			return tenant.NotFinal(incarnation)
		}
		removed := tx.Where("incarnation = ?", incarnation).Delete(&purgeRow{})
		if removed.Error != nil || removed.RowsAffected == 0 {
			return removed.Error
		}
		return record(tx, at, audit.Entry{Action: audit.ContextPurged, ContextID: row.ContextID, Target: incarnation})
	})
}
