package store

import (
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/spectron-hq/spectron/services/dataplane/internal/fingerprint"
	"github.com/spectron-hq/spectron/services/dataplane/internal/idempotency"
)

type idempotencyRow struct {
	ContextID   string `gorm:"primaryKey"`
	PrincipalID string `gorm:"primaryKey"`
	Route       string `gorm:"primaryKey"`
	Key         string `gorm:"primaryKey"`
	Fingerprint []byte
	Answer      string
	ExpiresAt   time.Time
}

func (idempotencyRow) TableName() string { return "idempotency_keys" }

// once runs write, or returns the answer of the write that key repeats. The lock is held until tx ends, so a second request
// either finds it taken or finds the row that the first one left.
func once[T any](tx *gorm.DB, e engine, key *idempotency.Key, at time.Time, write func() (T, error)) (answer T, err error) {
	if key == nil {
		return write()
	}
	lock := fingerprint.Of("idempotency", key.Incarnation, key.Principal, key.Route, key.Key)
	locked, err := e.tryLock(tx, lock.Number())
	if err != nil {
		return answer, err
	}
	if !locked {
		return answer, idempotency.InFlight()
	}
	var known []idempotencyRow
	err = tx.Limit(1).Find(&known, "context_id = ? AND principal_id = ? AND route = ? AND key = ? AND expires_at > ?",
		key.Incarnation, key.Principal, key.Route, key.Key, at).Error
	if err != nil {
		return answer, err
	}
	if len(known) > 0 {
		record := idempotency.Record{Request: fingerprint.Sum(known[0].Fingerprint), Answer: []byte(known[0].Answer)}
		stored, err := record.Replay(*key)
		if err != nil {
			return answer, err
		}
		if err := json.Unmarshal(stored, &answer); err != nil {
			return answer, fmt.Errorf("reading the answer of an idempotent write: %w", err)
		}
		return answer, nil
	}
	if answer, err = write(); err != nil {
		return answer, err
	}
	stored, err := json.Marshal(answer)
	if err != nil {
		return answer, fmt.Errorf("keeping the answer of an idempotent write: %w", err)
	}
	row := idempotencyRow{
		key.Incarnation, key.Principal, key.Route, key.Key, key.Request[:], string(stored), at.Add(idempotency.Lifetime),
	}
	// What it replaces, if anything, has expired.
	return answer, tx.Clauses(clause.OnConflict{UpdateAll: true}).Create(&row).Error
}
