package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/spectron-hq/spectron/services/contract/webhook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/hook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
)

type deliveryRow struct {
	EndpointID  string
	MessageID   string
	Type        string
	At          time.Time
	ContextID   string
	KeyID       string
	KeyName     string
	KeyKind     string
	PrincipalID string
	ExpiresAt   sql.NullTime
	Detail      string
	State       string
	Attempts    int
	Since       time.Time
	NextAt      time.Time
	Claim       string
	FirstAt     sql.NullTime
	LastAt      sql.NullTime
	LastStatus  int
	LastError   string
	LastTookMS  int64 `gorm:"column:last_took_ms"`
	FinishedAt  sql.NullTime
}

// TableName tells GORM where the rows are.
func (deliveryRow) TableName() string { return "webhook_deliveries" }

func (r deliveryRow) delivery() (hook.Delivery, error) {
	var data webhook.Data
	if err := json.Unmarshal([]byte(r.Detail), &data); err != nil {
		return hook.Delivery{}, fmt.Errorf("reading delivery %s: %w", r.MessageID, err)
	}
	data.ID, data.Name, data.Kind = r.KeyID, r.KeyName, kindOf(key.Kind(r.KeyKind))
	data.ContextID, data.PrincipalID = r.ContextID, r.PrincipalID
	if r.ExpiresAt.Valid {
		data.ExpiresAt = new(utc(r.ExpiresAt))
	}
	d := hook.Delivery{
		EndpointID: r.EndpointID, MessageID: r.MessageID,
		Message: webhook.Message{Type: webhook.Event(r.Type), Timestamp: r.At.UTC(), Data: data},
		State:   hook.State(r.State), Attempts: r.Attempts, LastAt: utc(r.LastAt), LastStatus: r.LastStatus, LastError: r.LastError,
		LastTook: time.Duration(r.LastTookMS) * time.Millisecond, FinishedAt: utc(r.FinishedAt),
	}
	if d.State == hook.Pending {
		d.NextAt = r.NextAt.UTC()
	}
	return d, nil
}

// kindOf is how messages call a kind of keys.
func kindOf(kind key.Kind) string {
	switch kind {
	case key.Context:
		return webhook.KindKey
	case key.Token:
		return webhook.KindToken
	case key.Management:
		return webhook.KindManagement
	default:
		return ""
	}
}

func deliveriesOf(rows []deliveryRow) ([]hook.Delivery, error) {
	out := make([]hook.Delivery, len(rows))
	for i, row := range rows {
		var err error
		if out[i], err = row.delivery(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Deliveries implements hook.Store.
func (s *Store) Deliveries(
	ctx context.Context, endpointID string, state hook.State, after hook.Place, limit int,
) ([]hook.Delivery, error) {
	var rows []deliveryRow
	err := s.read(ctx, func(tx *gorm.DB) error {
		if _, err := findEndpoint(tx, endpointID); err != nil {
			return err
		}
		tx = tx.Where("endpoint_id = ?", endpointID)
		if state != "" {
			tx = tx.Where("state = ?", string(state))
		}
		if after.ID != "" {
			tx = tx.Where("at < ? OR at = ? AND message_id < ?", after.At, after.At, after.ID)
		}
		return tx.Order("at DESC, message_id DESC").Limit(limit).Find(&rows).Error
	})
	if err != nil {
		return nil, err
	}
	return deliveriesOf(rows)
}

// Enqueue implements hook.Store.
func (s *Store) Enqueue(ctx context.Context, endpointID, messageID string) (d hook.Delivery, err error) {
	err = s.change(ctx, func(tx *gorm.DB, at time.Time) error {
		e, err := findEndpoint(tx, endpointID, lockShared)
		if err != nil {
			return err
		}
		if !e.Enabled {
			return hook.Disabled(endpointID)
		}
		row := deliveryRow{
			EndpointID: endpointID, MessageID: messageID, Type: string(webhook.Test), At: at, ContextID: e.ContextID, Detail: "{}",
			State: string(hook.Pending), Since: at, NextAt: at,
		}
		if err := tx.Create(&row).Error; err != nil {
			return fmt.Errorf("inserting a delivery: %w", err)
		}
		d, err = row.delivery()
		return err
	})
	return d, err
}

// Redeliver implements hook.Store.
func (s *Store) Redeliver(ctx context.Context, endpointID, messageID string) (d hook.Delivery, err error) {
	err = s.change(ctx, func(tx *gorm.DB, at time.Time) error {
		e, err := findEndpoint(tx, endpointID, lockShared)
		if err != nil {
			return err
		}
		if !e.Enabled {
			return hook.Disabled(endpointID)
		}
		var row deliveryRow
		err = tx.Clauses(clause.Locking{Strength: string(lockAlone)}).
			Where("endpoint_id = ? AND message_id = ?", endpointID, messageID).Take(&row).Error
		if errors.Is(err, gorm.ErrRecordNotFound) {
			return hook.DeliveryNotFound(messageID)
		}
		if err != nil {
			return fmt.Errorf("reading a delivery: %w", err)
		}
		if row.State != string(hook.Pending) {
			row.State, row.Attempts, row.Since, row.Claim, row.FinishedAt = string(hook.Pending), 0, at, "", sql.NullTime{}
			row.FirstAt = sql.NullTime{}
		}
		if row.Claim == "" { // one that is under way goes on
			row.NextAt = at
		}
		err = tx.Model(&deliveryRow{}).Where("endpoint_id = ? AND message_id = ?", endpointID, messageID).
			Select("state", "attempts", "since", "next_at", "claim", "finished_at", "first_at").Updates(&row).Error
		if err != nil {
			return fmt.Errorf("updating a delivery: %w", err)
		}
		d, err = row.delivery()
		return err
	})
	return d, err
}
