package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/webhook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
	"github.com/spectron-hq/spectron/services/keymanager/internal/hook"
)

// keepDeliveries is how long a delivery is shown after its end.
const keepDeliveries = 7 * 24 * time.Hour

// Due implements hook.Queue.
func (s *Store) Due(ctx context.Context, peppers []uint16) (ids []string, err error) {
	err = s.read(ctx, func(tx *gorm.DB) error {
		var enabled int64 // without any, as a rule, the clock need not be asked
		if err := tx.Model(&endpointRow{}).Where("enabled").Limit(1).Count(&enabled).Error; err != nil || enabled == 0 {
			return err
		}
		at, err := s.engine.clock(tx)
		if err != nil {
			return err
		}
		return tx.Model(&endpointRow{}).Where("enabled AND pepper_version IN ?", peppers).
			Where(`EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.endpoint_id = webhook_endpoints.id
				AND d.state = 'pending' AND d.next_at <= ?)`, at).Order("id").Pluck("id", &ids).Error
	})
	return ids, err
}

// Claim implements hook.Queue. A claim is a moment until which nobody else looks at the row, and a name by which its end is noted.
func (s *Store) Claim(ctx context.Context, endpointID, claim string, limit int, lease time.Duration) (claimed hook.Claimed, err error) {
	err = s.change(ctx, func(tx *gorm.DB, at time.Time) error {
		claimed = hook.Claimed{At: at}
		e, err := findEndpoint(tx, endpointID)
		if errors.Is(err, fault.NotFound) || err == nil && !e.Enabled {
			return nil
		}
		if err != nil {
			return err
		}
		claimed.Endpoint = e
		var rows []deliveryRow
		// What another replica is about to take is not waited for.
		err = tx.Clauses(clause.Locking{Strength: string(lockAlone), Options: clause.LockingOptionsSkipLocked}).
			Where("endpoint_id = ? AND state = 'pending' AND next_at <= ?", endpointID, at).
			Order("next_at").Limit(limit).Find(&rows).Error
		if err != nil || len(rows) == 0 {
			return err
		}
		ids := make([]string, len(rows))
		for i := range rows {
			ids[i] = rows[i].MessageID
			rows[i].Attempts++
		}
		err = tx.Model(&deliveryRow{}).Where("endpoint_id = ? AND message_id IN ?", endpointID, ids).Updates(map[string]any{
			"attempts": gorm.Expr("attempts + 1"), "next_at": at.Add(lease), "claim": claim,
			"first_at": gorm.Expr("coalesce(first_at, ?)", at), "last_at": at,
		}).Error
		if err != nil {
			return fmt.Errorf("claiming deliveries: %w", err)
		}
		claimed.Deliveries, err = deliveriesOf(rows)
		return err
	})
	return claimed, err
}

// Settle implements hook.Queue.
func (s *Store) Settle(ctx context.Context, d hook.Delivery, claim string, result hook.Result) (disabled string, err error) {
	err = s.change(ctx, func(tx *gorm.DB, at time.Time) error {
		disabled = ""
		var row deliveryRow
		err := tx.Clauses(clause.Locking{Strength: string(lockAlone)}).
			Where("endpoint_id = ? AND message_id = ? AND claim = ?", d.EndpointID, d.MessageID, claim).Take(&row).Error
		if errors.Is(err, gorm.ErrRecordNotFound) {
			return nil // the endpoint is gone, or another attempt has begun since
		}
		if err != nil {
			return fmt.Errorf("reading a delivery: %w", err)
		}
		settle(&row, at, result)
		err = tx.Model(&deliveryRow{}).Where("endpoint_id = ? AND message_id = ?", d.EndpointID, d.MessageID).
			Select("state", "attempts", "next_at", "claim", "last_status", "last_error", "last_took_ms", "finished_at").Updates(&row).Error
		if err != nil || result.Interrupted {
			return err
		}
		disabled, err = s.judge(tx, at, row, result)
		return err
	})
	return disabled, err
}

// settle changes row as an attempt leaves it.
func settle(row *deliveryRow, at time.Time, result hook.Result) {
	row.Claim = ""
	if result.Interrupted {
		row.Attempts, row.NextAt = row.Attempts-1, at
		return
	}
	row.LastStatus, row.LastError, row.LastTookMS = result.Status, result.Problem, result.Took.Milliseconds()
	next := at.Add(result.Retry)
	switch {
	case result.Accepted():
		row.State = string(hook.Delivered)
	case row.Type == string(webhook.Test) || next.After(row.Since.Add(result.GiveUp)):
		row.State = string(hook.Failed)
	default:
		row.NextAt = next
		return
	}
	row.FinishedAt = sql.NullTime{Time: at, Valid: true}
}

// statusGone is the answer of an endpoint that wants nothing any more.
const statusGone = 410

// judge notes on the endpoint whether it accepts messages, and disables it when it wants none, or when a message was given up and nothing
// has been accepted since that was first tried.
func (s *Store) judge(tx *gorm.DB, at time.Time, row deliveryRow, result hook.Result) (disabled string, err error) {
	endpoint := func() *gorm.DB { return tx.Model(&endpointRow{}).Where("id = ?", row.EndpointID) }
	if result.Accepted() {
		return "", endpoint().Where("failing_since IS NOT NULL").Update("failing_since", nil).Error
	}
	if row.Type != string(webhook.Test) {
		if err := endpoint().Where("failing_since IS NULL").Update("failing_since", row.LastAt).Error; err != nil {
			return "", err
		}
	}
	var reason string
	hopeless := endpoint().Where("enabled")
	switch {
	case result.Status == statusGone:
		reason = "the endpoint answered 410 Gone"
	case row.State == string(hook.Failed) && row.Type != string(webhook.Test):
		reason = fmt.Sprintf("the endpoint accepted nothing for %s", result.GiveUp)
		hopeless = hopeless.Where("failing_since <= ?", row.FirstAt)
	default:
		return "", nil
	}
	changed := hopeless.Updates(map[string]any{"enabled": false, "disabled_at": at, "disabled_reason": reason})
	if changed.Error != nil || changed.RowsAffected == 0 {
		return "", changed.Error
	}
	e, err := findEndpoint(tx, row.EndpointID)
	if err != nil {
		return "", err
	}
	detail := endpointDetail(e)
	detail["reason"] = reason
	return reason, recordEndpoint(tx, at, audit.WebhookDisabled, e, detail)
}

// Sweep implements hook.Queue.
func (s *Store) Sweep(ctx context.Context, giveUp time.Duration, limit int) (deleted int, err error) {
	err = s.change(ctx, func(tx *gorm.DB, at time.Time) error {
		const lost = `UPDATE webhook_deliveries SET state = 'failed', finished_at = ?, last_error = 'the webhook was disabled for too long'
			WHERE state = 'pending' AND since <= ?
				AND EXISTS (SELECT 1 FROM webhook_endpoints e WHERE e.id = webhook_deliveries.endpoint_id AND NOT e.enabled)`
		const orphaned = `DELETE FROM webhook_deliveries
			WHERE state = 'pending' AND NOT EXISTS (SELECT 1 FROM webhook_endpoints e WHERE e.id = webhook_deliveries.endpoint_id)`
		const old = `DELETE FROM webhook_deliveries WHERE (endpoint_id, message_id) IN (
			SELECT endpoint_id, message_id FROM webhook_deliveries WHERE finished_at IS NOT NULL AND finished_at < ? LIMIT ?)`
		const ended = `DELETE FROM webhook_warnings WHERE expires_at < ?`
		swept := tx.Exec(old, at.Add(-keepDeliveries), limit)
		deleted = int(swept.RowsAffected)
		return errors.Join(
			swept.Error,
			tx.Exec(lost, at, at.Add(-giveUp)).Error,
			tx.Exec(orphaned).Error,
			tx.Exec(ended, at).Error,
		)
	})
	return deleted, err
}

// Backlog implements hook.Queue.
func (s *Store) Backlog(ctx context.Context) (pending int64, oldest time.Duration, err error) {
	err = s.read(ctx, func(tx *gorm.DB) error {
		at, err := s.engine.clock(tx)
		if err != nil {
			return err
		}
		waiting := func() *gorm.DB {
			return tx.Model(&deliveryRow{}).Where("state = 'pending'").
				Where("EXISTS (SELECT 1 FROM webhook_endpoints e WHERE e.id = webhook_deliveries.endpoint_id AND e.enabled)")
		}
		if err := waiting().Count(&pending).Error; err != nil || pending == 0 {
			return err
		}
		var first []time.Time
		if err := waiting().Order("since").Limit(1).Pluck("since", &first).Error; err != nil || len(first) == 0 {
			return err
		}
		oldest = max(0, at.Sub(first[0]))
		return nil
	})
	return pending, oldest, err
}

// warningRow says that the end of a key was looked at, so long before.
type warningRow struct {
	KeyID     string
	ExpiresAt time.Time
	Seconds   int64
}

// TableName tells GORM where the rows are.
func (warningRow) TableName() string { return "webhook_warnings" }

// Warn implements hook.Queue. The row of a warning is what makes it happen once: of two replicas, the second one waits for the first
// and then finds it there.
func (s *Store) Warn(ctx context.Context, after, within time.Duration, limit int) (looked int, err error) {
	err = s.change(ctx, func(tx *gorm.DB, at time.Time) error {
		var rows []keyRow
		seconds := int64(within / time.Second)
		err := tx.Table("keys AS k").Select("k.*").Where("k.expires_at > ? AND k.expires_at <= ?", at.Add(after), at.Add(within)).
			Where("EXISTS (SELECT 1 FROM webhook_endpoints e WHERE "+wants+")", quoted(webhook.KeyExpiring)).
			Where("NOT EXISTS (SELECT 1 FROM webhook_warnings w WHERE w.key_id = k.id AND w.expires_at = k.expires_at AND w.seconds = ?)", seconds).
			Order("k.expires_at, k.id").Limit(limit).Find(&rows).Error
		if err != nil {
			return fmt.Errorf("looking for keys that end: %w", err)
		}
		looked = len(rows)
		var ids []string
		for _, row := range rows {
			mark := warningRow{KeyID: row.ID, ExpiresAt: row.ExpiresAt.Time, Seconds: seconds}
			marked := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&mark)
			if marked.Error != nil {
				return fmt.Errorf("noting a warning: %w", marked.Error)
			}
			begin := row.CreatedAt
			if row.RotatedAt.Valid {
				begin = row.RotatedAt.Time
			}
			// Whoever gave a key less time than that knows how soon it ends.
			if marked.RowsAffected == 1 && row.ExpiresAt.Time.Sub(begin) > within {
				ids = append(ids, row.ID)
			}
		}
		if len(ids) == 0 {
			return nil
		}
		return tell(tx, at, webhook.KeyExpiring, webhook.Data{ThresholdSeconds: seconds}, "k.id IN ?", ids)
	})
	return looked, err
}
