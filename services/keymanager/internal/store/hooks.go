package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/webhook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
	"github.com/spectron-hq/spectron/services/keymanager/internal/hook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
)

type endpointRow struct {
	ID             string
	URL            string `gorm:"column:url"`
	Description    string
	ContextID      string
	Events         string
	Enabled        bool
	Secret         []byte
	PepperVersion  uint16
	PreviousSecret []byte
	PreviousUntil  sql.NullTime
	CreatedAt      time.Time
	FailingSince   sql.NullTime
	DisabledAt     sql.NullTime
	DisabledReason string
}

// TableName tells GORM where the rows are.
func (endpointRow) TableName() string { return "webhook_endpoints" }

func rowOfEndpoint(e hook.Endpoint) (endpointRow, error) {
	events, err := json.Marshal(e.Events)
	if err != nil {
		return endpointRow{}, fmt.Errorf("encoding a webhook: %w", err)
	}
	return endpointRow{
		ID: e.ID, URL: e.URL, Description: e.Description, ContextID: e.ContextID, Events: string(events), Enabled: e.Enabled,
		Secret: e.Secret.Sealed, PepperVersion: e.Secret.Pepper, PreviousSecret: e.Previous.Sealed, PreviousUntil: optionalTime(e.PreviousUntil),
		CreatedAt: e.CreatedAt, FailingSince: optionalTime(e.FailingSince), DisabledAt: optionalTime(e.DisabledAt), DisabledReason: e.DisabledReason,
	}, nil
}

func (r endpointRow) endpoint() (hook.Endpoint, error) {
	var events []webhook.Event
	if err := json.Unmarshal([]byte(r.Events), &events); err != nil {
		return hook.Endpoint{}, fmt.Errorf("reading webhook %s: %w", r.ID, err)
	}
	e := hook.Endpoint{
		ID: r.ID, URL: r.URL, Description: r.Description, ContextID: r.ContextID, Events: events, Enabled: r.Enabled,
		Secret: secret.Box{Pepper: r.PepperVersion, Sealed: r.Secret}, PreviousUntil: utc(r.PreviousUntil), CreatedAt: r.CreatedAt.UTC(),
		FailingSince: utc(r.FailingSince), DisabledAt: utc(r.DisabledAt), DisabledReason: r.DisabledReason,
	}
	if len(r.PreviousSecret) > 0 {
		e.Previous = secret.Box{Pepper: r.PepperVersion, Sealed: r.PreviousSecret}
	}
	return e, nil
}

// utc returns a time that may be null, zero then.
func utc(t sql.NullTime) time.Time {
	if !t.Valid {
		return time.Time{}
	}
	return t.Time.UTC()
}

// endpointDetail is what the audit log keeps of an endpoint. The URL may hold what its owner treats as a secret: only the host is kept.
func endpointDetail(e hook.Endpoint) map[string]any {
	detail := map[string]any{"events": e.Events, "enabled": e.Enabled, "description": e.Description}
	if u, err := url.Parse(e.URL); err == nil {
		detail["host"] = u.Host
	}
	return detail
}

func recordEndpoint(tx *gorm.DB, at time.Time, action audit.Action, e hook.Endpoint, detail map[string]any) error {
	return record(tx, at, audit.Entry{Action: action, ContextID: e.ContextID, Target: e.ID, Detail: detail})
}

// AddEndpoint implements hook.Store.
func (s *Store) AddEndpoint(ctx context.Context, e hook.Endpoint) (hook.Endpoint, error) {
	err := s.change(ctx, func(tx *gorm.DB, at time.Time) error {
		if err := known(tx, e.ContextID); err != nil {
			return err
		}
		var n int64
		if err := tx.Model(&endpointRow{}).Count(&n).Error; err != nil {
			return err
		}
		if n >= hook.MaxEndpoints { // two at once may go past it by one each: it bounds work, not authority
			return hook.TooMany()
		}
		e.CreatedAt = at
		row, err := rowOfEndpoint(e)
		if err != nil {
			return err
		}
		if err := tx.Create(&row).Error; err != nil {
			return fmt.Errorf("inserting a webhook: %w", err)
		}
		return recordEndpoint(tx, at, audit.WebhookCreated, e, endpointDetail(e))
	})
	return e, err
}

// known returns hook.NoContext when an endpoint is to be narrowed to a context that does not exist.
func known(tx *gorm.DB, contextID string) error {
	if contextID == "" {
		return nil
	}
	_, err := findContext(tx, contextID)
	if errors.Is(err, fault.NotFound) {
		return hook.NoContext(contextID)
	}
	return err
}

// findEndpoint returns an endpoint, or hook.NotFound.
func findEndpoint(tx *gorm.DB, id string, locks ...lock) (hook.Endpoint, error) {
	for _, l := range locks {
		tx = tx.Clauses(clause.Locking{Strength: string(l)})
	}
	var row endpointRow
	err := tx.Where("id = ?", id).Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return hook.Endpoint{}, hook.NotFound(id)
	}
	if err != nil {
		return hook.Endpoint{}, fmt.Errorf("reading a webhook: %w", err)
	}
	return row.endpoint()
}

// Endpoints implements hook.Store.
func (s *Store) Endpoints(ctx context.Context, after string, limit int) ([]hook.Endpoint, error) {
	var rows []endpointRow
	err := s.read(ctx, func(tx *gorm.DB) error {
		return tx.Where("id > ?", after).Order("id").Limit(limit).Find(&rows).Error
	})
	if err != nil {
		return nil, err
	}
	out := make([]hook.Endpoint, len(rows))
	for i, row := range rows {
		if out[i], err = row.endpoint(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Endpoint implements hook.Store.
func (s *Store) Endpoint(ctx context.Context, id string) (e hook.Endpoint, err error) {
	err = s.read(ctx, func(tx *gorm.DB) error {
		e, err = findEndpoint(tx, id)
		return err
	})
	return e, err
}

// ChangeEndpoint implements hook.Store.
func (s *Store) ChangeEndpoint(
	ctx context.Context, id string, action audit.Action, change func(at time.Time, e hook.Endpoint) (hook.Endpoint, error),
) (after hook.Endpoint, err error) {
	err = s.change(ctx, func(tx *gorm.DB, at time.Time) error {
		before, err := findEndpoint(tx, id, lockAlone)
		if err != nil {
			return err
		}
		if after, err = change(at, before); err != nil {
			return err
		}
		if after.ContextID != before.ContextID {
			if err := known(tx, after.ContextID); err != nil {
				return err
			}
		}
		row, err := rowOfEndpoint(after)
		if err != nil {
			return err
		}
		if err := tx.Model(&endpointRow{}).Where("id = ?", id).Select("*").Omit("id", "created_at").Updates(&row).Error; err != nil {
			return fmt.Errorf("updating a webhook: %w", err)
		}
		return recordEndpoint(tx, at, action, after, endpointDetail(after))
	})
	return after, err
}

// DeleteEndpoint implements hook.Store.
func (s *Store) DeleteEndpoint(ctx context.Context, id string) error {
	return s.change(ctx, func(tx *gorm.DB, at time.Time) error {
		gone, err := findEndpoint(tx, id, lockAlone)
		if err != nil {
			return err
		}
		if err := tx.Where("id = ?", id).Delete(&endpointRow{}).Error; err != nil {
			return fmt.Errorf("deleting a webhook: %w", err)
		}
		// What a change that is under way adds is found by Sweep. Nobody claims it.
		if err := tx.Where("endpoint_id = ?", id).Delete(&deliveryRow{}).Error; err != nil {
			return fmt.Errorf("deleting the deliveries of a webhook: %w", err)
		}
		return recordEndpoint(tx, at, audit.WebhookDeleted, gone, endpointDetail(gone))
	})
}

// Reseal implements hook.Queue.
func (s *Store) Reseal(ctx context.Context, version uint16, reseal func(hook.Endpoint) (hook.Endpoint, error)) error {
	var ids []string
	err := s.db.Reader(ctx).Model(&endpointRow{}).Where("pepper_version <> ?", version).Pluck("id", &ids).Error
	if err != nil {
		return public(err)
	}
	var unopened []error
	for _, id := range ids {
		err := s.change(ctx, func(tx *gorm.DB, _ time.Time) error {
			before, err := findEndpoint(tx, id, lockAlone)
			if err != nil || before.Secret.Pepper == version {
				return err
			}
			after, err := reseal(before)
			if err != nil {
				return err
			}
			return tx.Model(&endpointRow{}).Where("id = ?", id).Updates(map[string]any{
				"secret": after.Secret.Sealed, "previous_secret": after.Previous.Sealed, "pepper_version": after.Secret.Pepper,
			}).Error
		})
		if err != nil {
			unopened = append(unopened, fmt.Errorf("webhook %s: %w", id, err))
		}
	}
	return errors.Join(unopened...)
}
