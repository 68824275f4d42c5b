package store

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	signing "github.com/spectron-hq/spectron/services/dataplane/internal/assertion"
)

var _ signing.Store = (*Store)(nil)

type assertionKeyRow struct {
	Generation int64 `gorm:"primaryKey;autoIncrement:false"`
	Kid        string
	Sealed     []byte
	SignsFrom  time.Time
}

func (assertionKeyRow) TableName() string { return "assertion_keys" }

// AssertionKeys implements [signing.Store].
func (s *Store) AssertionKeys(ctx context.Context) (keys []signing.Row, at time.Time, err error) {
	var rows []assertionKeyRow
	err = s.db.Read(ctx, func(tx *gorm.DB) (err error) {
		if at, err = s.engine.clock(tx); err != nil {
			return err
		}
		return tx.Order("generation").Find(&rows).Error
	})
	keys = make([]signing.Row, len(rows))
	for i, row := range rows {
		keys[i] = signing.Row{Generation: row.Generation, Kid: row.Kid, Sealed: row.Sealed, SignsFrom: row.SignsFrom.UTC()}
	}
	return keys, at, public(err)
}

// AddAssertionKey implements [signing.Store]. Of two replicas that add the same generation, the second waits for the first to
// commit, and then adds nothing.
func (s *Store) AddAssertionKey(ctx context.Context, key signing.Row) error {
	return s.write(ctx, func(tx *gorm.DB) error {
		row := assertionKeyRow{Generation: key.Generation, Kid: key.Kid, Sealed: key.Sealed, SignsFrom: key.SignsFrom}
		return tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&row).Error
	})
}

// DropAssertionKeys implements [signing.Store].
func (s *Store) DropAssertionKeys(ctx context.Context, kids []string) error {
	return s.write(ctx, func(tx *gorm.DB) error {
		return tx.Where("kid IN ?", kids).Delete(&assertionKeyRow{}).Error
	})
}
