package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
)

type revisionRow struct {
	ID        int64 `gorm:"primaryKey;autoIncrement:false"`
	Kind      string
	Subject   string
	ContextID string
	At        time.Time
}

// TableName tells GORM where the rows are.
func (revisionRow) TableName() string { return "revisions" }

type auditRow struct {
	ID         int64 `gorm:"primaryKey;autoIncrement"`
	At         time.Time
	Action     string
	ActorKind  string
	ActorKeyID string
	ContextID  string
	Target     string
	TraceID    string
	Remote     string
	Detail     string
	Outcome    string
}

// TableName tells GORM where the rows are.
func (auditRow) TableName() string { return "audit_log" }

// number takes the next revision for change. tx must hold the lock of revisions. Numbers have no gaps: a transaction that
// is rolled back gives its number back.
func number(tx *gorm.DB, at time.Time, change revision.Change) (int64, error) {
	var id int64
	const statement = `INSERT INTO revisions (id, kind, subject, context_id, at)
		SELECT coalesce(max(id), 0) + 1, ?, ?, ?, ? FROM revisions RETURNING id`
	err := tx.Raw(statement, string(change.Kind), change.Subject, change.ContextID, at).Scan(&id).Error
	if err != nil {
		return 0, fmt.Errorf("taking a revision: %w", err)
	}
	return id, nil
}

// newest returns the newest revision, 0 before the first.
func newest(tx *gorm.DB) (int64, error) {
	var id int64
	err := tx.Raw("SELECT coalesce(max(id), 0) FROM revisions").Scan(&id).Error
	return id, err
}

// record writes entries in their order, with the origin that the transaction's context carries.
func record(tx *gorm.DB, at time.Time, entries ...audit.Entry) error {
	rows := make([]auditRow, len(entries))
	for i, entry := range entries {
		var err error
		if rows[i], err = rowOfEntry(tx.Statement.Context, entry); err != nil {
			return err
		}
		rows[i].At = at
	}
	if err := tx.CreateInBatches(rows, atOnce).Error; err != nil {
		return fmt.Errorf("writing audit entries: %w", err)
	}
	return nil
}

// rowOfEntry returns what is stored of entry, short of the time, with the origin that ctx carries.
func rowOfEntry(ctx context.Context, entry audit.Entry) (auditRow, error) {
	if entry.Detail == nil {
		entry.Detail = map[string]any{}
	}
	origin := audit.From(ctx)
	if origin.OnBehalfOf != "" {
		entry.Detail["on_behalf_of"] = origin.OnBehalfOf
	}
	detail, err := json.Marshal(entry.Detail)
	if err != nil {
		return auditRow{}, fmt.Errorf("encoding an audit entry: %w", err)
	}
	return auditRow{
		Action: string(entry.Action), ActorKind: string(origin.Actor), ActorKeyID: origin.KeyID,
		ContextID: entry.ContextID, Target: entry.Target, TraceID: origin.TraceID, Remote: origin.Remote, Detail: string(detail),
		Outcome: string(audit.Done),
	}, nil
}
