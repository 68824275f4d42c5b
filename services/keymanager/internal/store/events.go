package store

import (
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/contract/webhook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/hook"
)

const (
	// deliveryColumns are what a message has in the outbox, and keyValues those of them that the key k knows.
	deliveryColumns = `INSERT INTO webhook_deliveries (endpoint_id, message_id, type, at, context_id, key_id, key_name, key_kind, principal_id,
		expires_at, detail, state, attempts, since, next_at, claim, last_status, last_error, last_took_ms) `
	keyValues = `coalesce(k.context_id, ''), k.id, k.name, k.kind, coalesce(k.principal_id, ''), k.expires_at`
	// wants joins the endpoints e that want an event about a key k. It takes the event's name in quotes, between percent signs.
	wants = `e.enabled AND e.events LIKE ? AND (e.context_id = '' OR e.context_id = k.context_id)`
)

// quoted is how wants looks for an event in the list of an endpoint.
func quoted(event webhook.Event) string { return `%"` + string(event) + `"%` }

// tell puts what happened to the keys that the condition finds (of the table keys, as k) into the outbox, in the transaction of the
// change. It is one statement, whatever the number of keys and endpoints; where nobody is to be told, it does nothing. Call it while the
// keys are there: after a mint, before a deletion.
func tell(tx *gorm.DB, at time.Time, event webhook.Event, detail webhook.Data, condition string, args ...any) error {
	text, err := json.Marshal(detail)
	if err != nil {
		return fmt.Errorf("encoding an event: %w", err)
	}
	const statement = deliveryColumns + `SELECT e.id, ? || '_' || k.id, ?, ?, ` + keyValues + `, ?, 'pending', 0, ?, ?, '', 0, '', 0
		FROM keys k JOIN webhook_endpoints e ON ` + wants + ` WHERE `
	values := append([]any{hook.NewMessageID(), string(event), at, string(text), at, at, quoted(event)}, args...)
	if err := tx.Exec(statement+condition, values...).Error; err != nil {
		return fmt.Errorf("telling of a change: %w", err)
	}
	return nil
}
