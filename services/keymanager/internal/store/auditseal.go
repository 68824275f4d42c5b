package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/contract/auditchain"
	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
)

// theChain is the id of the only row of its table.
const theChain = 1

// chainRow is how far sealing has got.
type chainRow struct {
	ID     int `gorm:"primaryKey;autoIncrement:false"`
	Seq    int64
	Hash   []byte
	LastID int64
	Gaps   string
}

// TableName tells GORM where the rows are.
func (chainRow) TableName() string { return "audit_chain" }

// gap is a range of ids up to the last one that were not there when it was sealed. Their transactions took them and had not been
// committed; or never will be.
type gap struct {
	Low   int64     `json:"low"`
	High  int64     `json:"high"`
	Since time.Time `json:"since"`
}

// forgotten is how long a gap is looked at. No transaction lives for as long: Postgres ends one that says nothing for a minute.
const forgotten = 24 * time.Hour

type sealRow struct {
	Seq     int64 `gorm:"primaryKey;autoIncrement:false"`
	EntryID int64
	Prev    []byte
	Hash    []byte
}

// TableName tells GORM where the rows are.
func (sealRow) TableName() string { return "audit_seals" }

func (c chainRow) head() auditchain.Head {
	head := auditchain.Head{Seq: c.Seq}
	copy(head.Hash[:], c.Hash)
	return head
}

func (c chainRow) gaps() ([]gap, error) {
	var gaps []gap
	if err := json.Unmarshal([]byte(c.Gaps), &gaps); err != nil {
		return nil, fmt.Errorf("reading the gaps of the audit log: %w", err)
	}
	return gaps, nil
}

// record returns the row as an entry of the chain, without a place.
func (r auditRow) record() auditchain.Record {
	return auditchain.Record{
		ID: r.ID, At: r.At.UTC(), Action: r.Action, ActorKind: r.ActorKind, ActorKeyID: r.ActorKeyID, ContextID: r.ContextID,
		Target: r.Target, TraceID: r.TraceID, Remote: r.Remote, Outcome: r.Outcome, Detail: json.RawMessage(r.Detail),
	}
}

// unsealed returns the entries with the lowest ids that have no place, at most limit. It is one statement, so one snapshot: were
// it two, an entry could be seen that was committed after one which was not. Whoever took an id after another's commit took a
// greater one, so ids have the order of all commits that anybody could tell apart; and what commits after this snapshot has its
// place after all that is in it.
func unsealed(tx *gorm.DB, chain chainRow, limit int) ([]auditRow, error) {
	gaps, err := chain.gaps()
	if err != nil {
		return nil, err
	}
	const part = "SELECT * FROM (SELECT * FROM audit_log WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?) AS part"
	parts := []string{"SELECT * FROM (SELECT * FROM audit_log WHERE id > ? ORDER BY id LIMIT ?) AS part"}
	args := []any{chain.LastID, limit}
	for _, g := range gaps {
		parts = append(parts, part)
		args = append(args, g.Low, g.High, limit)
	}
	var rows []auditRow
	if err := tx.Raw(strings.Join(parts, " UNION ALL "), args...).Scan(&rows).Error; err != nil {
		return nil, fmt.Errorf("reading what is to be sealed: %w", err)
	}
	slices.SortFunc(rows, func(a, b auditRow) int { return cmp.Compare(a.ID, b.ID) })
	return rows[:min(limit, len(rows))], nil
}

// SealAudit implements audit.ChainStore.
func (s *Store) SealAudit(ctx context.Context, limit int) (sealed int, err error) {
	err = s.change(ctx, func(tx *gorm.DB, at time.Time) error {
		sealed = 0
		chain, mine, err := s.engine.lockChain(tx)
		if err != nil || !mine {
			return err
		}
		rows, err := unsealed(tx, chain, limit)
		if err != nil || len(rows) == 0 {
			return err
		}
		seals := make([]sealRow, len(rows))
		head := chain.head()
		for i, row := range rows {
			entry, err := row.record().Seal(head)
			if err != nil {
				return err
			}
			seals[i] = sealRow{Seq: entry.Seq, EntryID: row.ID, Prev: entry.Prev[:], Hash: entry.Hash[:]}
			head = entry.Head()
		}
		if err := tx.CreateInBatches(seals, 500).Error; err != nil {
			return fmt.Errorf("sealing: %w", err)
		}
		if chain, err = chain.after(rows, at); err != nil {
			return err
		}
		chain.Seq, chain.Hash = head.Seq, head.Hash[:]
		sealed = len(rows)
		return tx.Save(&chain).Error
	})
	return sealed, err
}

// after returns the row of the chain once rows, in the order of their ids, are sealed: with the gaps that are left.
func (c chainRow) after(rows []auditRow, at time.Time) (chainRow, error) {
	gaps, err := c.gaps()
	if err != nil {
		return c, err
	}
	next := c.LastID + 1
	for _, row := range rows {
		if row.ID >= next {
			if row.ID > next {
				gaps = append(gaps, gap{next, row.ID - 1, at})
			}
			next = row.ID + 1
			continue
		}
		gaps = fill(gaps, row.ID)
	}
	c.LastID = next - 1
	gaps = slices.DeleteFunc(gaps, func(g gap) bool { return at.Sub(g.Since) > forgotten })
	if gaps == nil {
		gaps = []gap{}
	}
	text, err := json.Marshal(gaps)
	c.Gaps = string(text)
	return c, err
}

// fill takes an id out of the gaps.
func fill(gaps []gap, id int64) []gap {
	var out []gap
	for _, g := range gaps {
		if id < g.Low || id > g.High {
			out = append(out, g)
			continue
		}
		if g.Low < id {
			out = append(out, gap{g.Low, id - 1, g.Since})
		}
		if id < g.High {
			out = append(out, gap{id + 1, g.High, g.Since})
		}
	}
	return out
}

// standingLimit is how far waiting entries are counted.
const standingLimit = 10_000

// AuditStanding implements audit.ChainStore.
func (s *Store) AuditStanding(ctx context.Context) (standing audit.Standing, err error) {
	err = s.read(ctx, func(tx *gorm.DB) error {
		var chain chainRow
		if err := tx.Take(&chain, theChain).Error; err != nil {
			return err
		}
		standing = audit.Standing{Head: chain.Seq}
		rows, err := unsealed(tx, chain, 1)
		if err != nil || len(rows) == 0 {
			return err
		}
		at, err := s.engine.clock(tx)
		if err != nil {
			return err
		}
		standing.Lag = max(0, at.Sub(rows[0].At))
		const count = "SELECT count(*) FROM (SELECT id FROM audit_log WHERE id > ? LIMIT ?) AS waiting"
		err = tx.Raw(count, chain.LastID, standingLimit).Scan(&standing.Unsealed).Error
		standing.Unsealed = max(1, standing.Unsealed) // one may be in a gap
		return err
	})
	return standing, err
}

// RecordDenials implements audit.ChainStore.
func (s *Store) RecordDenials(ctx context.Context, denials []audit.Denial) error {
	return s.change(ctx, func(tx *gorm.DB, at time.Time) error {
		rows := make([]auditRow, len(denials))
		for i, denial := range denials {
			detail := map[string]any{"reason": denial.Reason, "status": denial.Status, "count": denial.Count}
			if denial.ShownKeyID != "" {
				detail["shown_key_id"] = denial.ShownKeyID
			}
			if denial.Others {
				detail["others"] = true
			}
			row, err := rowOfEntry(audit.With(ctx, denial.Origin), audit.Entry{Action: audit.AccessDenied, Target: denial.Route, Detail: detail})
			if err != nil {
				return err
			}
			row.At, row.Outcome = at, string(audit.Denied)
			rows[i] = row
		}
		if err := tx.CreateInBatches(rows, 100).Error; err != nil {
			return fmt.Errorf("writing what was refused: %w", err)
		}
		return nil
	})
}
