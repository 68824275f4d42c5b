package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/contract/auditchain"
)

// walkAtOnce is how many entries are read at a time, and walkIDs how many ids are looked at.
const (
	walkAtOnce = 1_000
	walkIDs    = 20_000
)

// AuditWalk is the whole log at one moment, for whoever checks or copies it.
type AuditWalk struct {
	tx    *gorm.DB
	chain chainRow
	// Anchor is up to where the chain has been archived, Head where it has got to.
	Anchor, Head auditchain.Head
}

// WalkAudit calls fn with the log as it is in one snapshot.
func (s *Store) WalkAudit(ctx context.Context, fn func(AuditWalk) error) error {
	return s.read(ctx, func(tx *gorm.DB) error {
		walk := AuditWalk{tx: tx}
		err := tx.Take(&walk.chain, theChain).Error
		if err != nil {
			return err
		}
		if walk.Anchor, err = findAnchor(tx); err != nil {
			return err
		}
		walk.Head = walk.chain.head()
		return fn(walk)
	})
}

// Entries returns the sealed entries after one, as they are stored. A place whose entry is gone is a *auditchain.DamageError.
func (w AuditWalk) Entries(after int64) iter.Seq2[auditchain.Record, error] {
	return func(yield func(auditchain.Record, error) bool) {
		for last := after; ; {
			var rows []sealedRow
			err := w.tx.Table("audit_seals AS s").Select(sealedColumns).Joins("LEFT JOIN audit_log AS l ON l.id = s.entry_id").
				Where("s.seq > ?", last).Order("s.seq").Limit(walkAtOnce).Scan(&rows).Error
			if err != nil {
				yield(auditchain.Record{}, fmt.Errorf("reading the audit log: %w", err))
				return
			}
			for _, row := range rows {
				if err := row.missing(); err != nil {
					yield(auditchain.Record{}, err)
					return
				}
				if !yield(row.record(), nil) {
					return
				}
				last = row.Seq
			}
			if len(rows) < walkAtOnce {
				return
			}
		}
	}
}

func (r sealedRow) missing() error {
	if r.Entry.ID != 0 {
		return nil
	}
	return &auditchain.DamageError{Kind: auditchain.Removed, Seq: r.Seq, ID: r.EntryID, Reason: "its place is there, and the entry is not"}
}

// Stowaway returns a *auditchain.DamageError for the first entry that has no place and will never have one: nobody wrote it in the
// course of a change.
func (w AuditWalk) Stowaway() error {
	gaps, err := w.chain.gaps()
	if err != nil {
		return err
	}
	const statement = `SELECT l.id FROM audit_log l
		WHERE l.id > ? AND l.id <= ? AND NOT EXISTS (SELECT 1 FROM audit_seals s WHERE s.entry_id = l.id) ORDER BY l.id`
	var low int64
	if err := w.tx.Raw("SELECT coalesce(min(id), 0) - 1 FROM audit_log").Scan(&low).Error; err != nil {
		return err
	}
	for ; low < w.chain.LastID; low += walkIDs {
		var ids []int64
		if err := w.tx.Raw(statement, low, min(low+walkIDs, w.chain.LastID)).Scan(&ids).Error; err != nil {
			return fmt.Errorf("looking for entries without a place: %w", err)
		}
		for _, id := range ids {
			if !within(gaps, id) {
				return &auditchain.DamageError{Kind: auditchain.Inserted, ID: id, Reason: "it was written beside the chain"}
			}
		}
	}
	return nil
}

func within(gaps []gap, id int64) bool {
	for _, g := range gaps {
		if g.Low <= id && id <= g.High {
			return true
		}
	}
	return false
}

// Before returns the last place of those from the beginning, atMost of them, whose entries are all older than a moment; the
// anchor's where the first is not.
func (w AuditWalk) Before(moment time.Time, atMost int64) (int64, error) {
	last := min(w.Head.Seq, w.Anchor.Seq+atMost)
	var younger int64
	const statement = `SELECT s.seq FROM audit_seals s JOIN audit_log l ON l.id = s.entry_id
		WHERE s.seq > ? AND s.seq <= ? AND l.at >= ? ORDER BY s.seq LIMIT 1`
	if err := w.tx.Raw(statement, w.Anchor.Seq, last, moment.UTC()).Scan(&younger).Error; err != nil {
		return 0, fmt.Errorf("looking for what is old: %w", err)
	}
	if younger == 0 {
		return last, nil
	}
	return younger - 1, nil
}

// errMoved says that somebody else has archived meanwhile.
var errMoved = errors.New("the audit log has been archived by somebody else meanwhile; nothing was deleted")

// DropAudit deletes the entries after the anchor from up to the one at to, which becomes the anchor, all of it or nothing.
func (s *Store) DropAudit(ctx context.Context, from, to auditchain.Head) error {
	return s.change(ctx, func(tx *gorm.DB, at time.Time) error {
		if err := s.engine.holdChain(tx); err != nil {
			return err
		}
		anchor, err := findAnchor(tx)
		if err != nil {
			return err
		}
		if anchor != from {
			return errMoved
		}
		row := anchorRow{LastSeq: to.Seq, LastHash: to.Hash[:], FirstSeq: from.Seq + 1, At: at}
		if err := tx.Create(&row).Error; err != nil {
			return fmt.Errorf("leaving an anchor: %w", err)
		}
		for _, statement := range []string{
			"DELETE FROM audit_log WHERE id IN (SELECT entry_id FROM audit_seals WHERE seq <= ?)",
			"DELETE FROM audit_seals WHERE seq <= ?",
		} {
			if err := tx.Exec(statement, to.Seq).Error; err != nil {
				return fmt.Errorf("deleting what is archived: %w", err)
			}
		}
		return nil
	})
}
