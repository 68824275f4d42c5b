package store

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/spectron-hq/spectron/services/contract/introspection"
)

type keyUseRow struct {
	KeyID  string
	Minute time.Time
}

// TableName tells GORM where the rows are.
func (keyUseRow) TableName() string { return "key_uses" }

// newestUse joins the newest row of key_uses of a key, which the index finds at once: id is the column with the key's id, of another table.
// (On SQLite, what max makes of a time is no time any more.)
func newestUse(id string) string {
	return "key_uses.key_id = " + id + " AND key_uses.minute = (SELECT u.minute FROM key_uses u WHERE u.key_id = " + id +
		" ORDER BY u.minute DESC LIMIT 1)"
}

// keyCountRow is how often a key was used, about.
type keyCountRow struct {
	KeyID string `gorm:"primaryKey"`
	Uses  int64
}

// TableName tells GORM where the rows are.
func (keyCountRow) TableName() string { return "key_counts" }

// RecordUses implements key.UseStore.
func (s *Store) RecordUses(ctx context.Context, uses []introspection.Use) error {
	if len(uses) == 0 {
		return nil
	}
	return s.change(ctx, func(tx *gorm.DB, at time.Time) error {
		var rows []keyUseRow
		counts := map[string]int64{}
		for _, use := range uses {
			if use.Count > 0 {
				counts[use.KeyID] += use.Count
				continue
			}
			rows = append(rows, keyUseRow{
				KeyID: use.KeyID, Minute: at.Add(-time.Duration(use.AgoMicros) * time.Microsecond).Truncate(time.Minute),
			})
		}
		if err := addCounts(tx, counts); err != nil || len(rows) == 0 {
			return err
		}
		// In one order, so that no two reports of the same keys wait for each other.
		slices.SortFunc(rows, func(a, b keyUseRow) int {
			return cmp.Or(strings.Compare(a.KeyID, b.KeyID), a.Minute.Compare(b.Minute))
		})
		return tx.Clauses(clause.OnConflict{DoNothing: true}).CreateInBatches(rows, 500).Error
	})
}

// addCounts adds to how often keys were used, in one order, too.
func addCounts(tx *gorm.DB, counts map[string]int64) error {
	if len(counts) == 0 {
		return nil
	}
	rows := make([]keyCountRow, 0, len(counts))
	for _, id := range slices.Sorted(maps.Keys(counts)) {
		rows = append(rows, keyCountRow{id, counts[id]})
	}
	return tx.Clauses(clause.OnConflict{
		Columns: []clause.Column{{Name: "key_id"}}, DoUpdates: clause.Set{{
			Column: clause.Column{Name: "uses"}, Value: gorm.Expr("key_counts.uses + excluded.uses"),
		}},
	}).CreateInBatches(rows, 500).Error
}
