package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/contract/auditchain"
	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
)

// auditWindow is how many places one query looks at: its time is bounded, however little its filters pick.
const auditWindow = 20_000

// sealedRow is an entry with its place.
type sealedRow struct {
	Seq     int64
	EntryID int64
	Prev    []byte
	Hash    []byte
	Entry   auditRow `gorm:"embedded"`
}

const sealedColumns = `s.seq, s.entry_id, s.prev, s.hash, coalesce(l.id, 0) AS id, l.at, l.action, l.actor_kind, l.actor_key_id,
	l.context_id, l.target, l.trace_id, l.remote, l.detail, l.outcome`

func (r sealedRow) record() auditchain.Record {
	record := r.Entry.record()
	record.Seq = r.Seq
	copy(record.Prev[:], r.Prev)
	copy(record.Hash[:], r.Hash)
	return record
}

type anchorRow struct {
	LastSeq  int64 `gorm:"primaryKey;autoIncrement:false"`
	LastHash []byte
	FirstSeq int64
	At       time.Time
}

// TableName tells GORM where the rows are.
func (anchorRow) TableName() string { return "audit_anchors" }

// findAnchor returns up to where the chain has been archived; the beginning when it has not been.
func findAnchor(tx *gorm.DB) (auditchain.Head, error) {
	var rows []anchorRow
	if err := tx.Order("last_seq DESC").Limit(1).Find(&rows).Error; err != nil {
		return auditchain.Head{}, fmt.Errorf("reading the anchor of the audit log: %w", err)
	}
	var anchor auditchain.Head
	if len(rows) > 0 {
		anchor.Seq = rows[0].LastSeq
		copy(anchor.Hash[:], rows[0].LastHash)
	}
	return anchor, nil
}

// AuditEntries implements audit.Store.
func (s *Store) AuditEntries(ctx context.Context, query audit.Query) (page audit.Page, err error) {
	err = s.read(ctx, func(tx *gorm.DB) error {
		page = audit.Page{Entries: []auditchain.Record{}}
		var chain chainRow
		if err := tx.Take(&chain, theChain).Error; err != nil {
			return err
		}
		page.Head = chain.head()
		if page.Anchor, err = findAnchor(tx); err != nil {
			return err
		}
		low, high := window(query, page)
		rows, err := findSealed(tx, query, low, high)
		if err != nil {
			return err
		}
		for _, row := range rows[:min(len(rows), query.Limit)] {
			page.Entries = append(page.Entries, row.record())
		}
		switch {
		case len(rows) > query.Limit:
			page.Next = rows[query.Limit-1].Seq
		case query.Newest && low > page.Anchor.Seq+1:
			page.Next = low
		case !query.Newest && high < page.Head.Seq:
			page.Next = high
		}
		return nil
	})
	return page, err
}

// window returns the first and the last place that a query looks at.
func window(query audit.Query, page audit.Page) (low, high int64) {
	if query.Newest {
		high = page.Head.Seq
		if query.After > 0 {
			high = min(high, query.After-1)
		}
		return max(page.Anchor.Seq+1, high-auditWindow+1), high
	}
	low = max(page.Anchor.Seq, query.After) + 1
	return low, min(page.Head.Seq, low+auditWindow-1)
}

// findSealed returns one row more than the query's limit where there are as many.
func findSealed(tx *gorm.DB, query audit.Query, low, high int64) ([]sealedRow, error) {
	find := tx.Table("audit_seals AS s").Select(sealedColumns).Joins("JOIN audit_log AS l ON l.id = s.entry_id").
		Where("s.seq BETWEEN ? AND ?", low, high)
	for _, filter := range []struct{ column, value string }{
		{"action", query.Action},
		{"actor_kind", query.ActorKind},
		{"actor_key_id", query.ActorKeyID},
		{"context_id", query.ContextID},
		{"target", query.Target},
		{"trace_id", query.TraceID},
		{"outcome", string(query.Outcome)},
	} {
		if filter.value != "" {
			find = find.Where("l."+filter.column+" = ?", filter.value)
		}
	}
	if !query.Since.IsZero() {
		find = find.Where("l.at >= ?", query.Since.UTC())
	}
	if !query.Until.IsZero() {
		find = find.Where("l.at < ?", query.Until.UTC())
	}
	order := "s.seq"
	if query.Newest {
		order = "s.seq DESC"
	}
	var rows []sealedRow
	if err := find.Order(order).Limit(query.Limit + 1).Scan(&rows).Error; err != nil {
		return nil, fmt.Errorf("reading the audit log: %w", err)
	}
	return rows, nil
}
