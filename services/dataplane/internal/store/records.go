package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
)

var _ record.Store = (*Store)(nil)

type recordRow struct {
	ContextID  string `gorm:"primaryKey"`
	ID         string `gorm:"primaryKey"`
	Seq        int64
	Thread     string
	Actor      string
	Act        record.Act
	Clock      int64
	DataType   record.DataType
	Parents    string
	Body       string
	JudgedBy   *string
	ReceivedAt time.Time
}

func (recordRow) TableName() string { return "records" }

func rowOfRecord(space string, r record.Record) (recordRow, error) {
	parents, err := json.Marshal(r.Parents)
	if err != nil {
		return recordRow{}, fmt.Errorf("writing the parents of a record: %w", err)
	}
	return recordRow{
		space, r.ID, r.Seq, r.Thread, r.Actor, r.Act, r.Clock, r.DataType, string(parents), string(r.Body), nullable(r.JudgedBy), r.ReceivedAt,
	}, nil
}

func (row recordRow) record() (record.Record, error) {
	out := record.Record{
		ID: row.ID, JudgedBy: deref(row.JudgedBy), ReceivedAt: row.ReceivedAt.UTC(), Seq: row.Seq,
		Content: record.Content{
			Thread: row.Thread, Actor: row.Actor, Act: row.Act, Body: json.RawMessage(row.Body), Clock: row.Clock, DataType: row.DataType,
		},
	}
	if err := json.Unmarshal([]byte(row.Parents), &out.Parents); err != nil {
		return out, fmt.Errorf("reading the parents of a record: %w", err)
	}
	return out, nil
}

type counterRow struct {
	ContextID string `gorm:"primaryKey"`
	LastSeq   int64
}

func (counterRow) TableName() string { return "record_counters" }

// lockSpace takes the lock of a space until tx ends and returns the number of its last record. What tx reads afterwards is
// what was there when the lock was got.
func (s *Store) lockSpace(tx *gorm.DB, space string) (last int64, err error) {
	for range 2 {
		var rows []int64
		err := tx.Raw("SELECT last_seq FROM record_counters WHERE context_id = ?"+s.engine.locking(), space).Scan(&rows).Error
		if err != nil {
			return 0, err
		}
		if len(rows) > 0 {
			return rows[0], nil
		}
		if err := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&counterRow{ContextID: space}).Error; err != nil {
			return 0, err
		}
	}
	return 0, errors.New("the counter of a space is not there")
}

// AppendRecord implements [record.Store].
func (s *Store) AppendRecord(ctx context.Context, space string, a record.Addition) (stored record.Record, created bool, err error) {
	err = s.write(ctx, func(tx *gorm.DB) error {
		stored, created = record.Record{}, false
		seq, err := s.lockSpace(tx, space)
		if err != nil {
			return err
		}
		deleted, err := deletedThreads(tx, space, []string{a.Thread})
		if err != nil {
			return err
		}
		if len(deleted) > 0 {
			return record.ThreadDeleted()
		}
		if !a.NextClock {
			var known []recordRow
			if err := tx.Limit(1).Find(&known, "context_id = ? AND id = ?", space, a.ID).Error; err != nil {
				return err
			}
			if len(known) > 0 {
				stored, err = known[0].record()
				return err
			}
		}
		// The highest clock is also the last one: no lower one is taken, but from other daemons.
		var last *int64
		err = tx.Raw("SELECT max(clock) FROM records WHERE context_id = ? AND thread = ? AND actor = ?", space, a.Thread, a.Actor).Scan(&last).Error
		if err != nil {
			return err
		}
		if stored, err = a.Settle(last); err != nil {
			return err
		}
		stored.Seq, created = seq+1, true
		return addRecords(tx, space, []record.Record{stored})
	})
	return stored, created, err
}

// addRecords stores records that are not there, numbered from the counter on, and counts them.
func addRecords(tx *gorm.DB, space string, records []record.Record) error {
	rows := make([]recordRow, len(records))
	threads := map[string][]record.Record{}
	for i, r := range records {
		row, err := rowOfRecord(space, r)
		if err != nil {
			return err
		}
		rows[i], threads[r.Thread] = row, append(threads[r.Thread], r)
	}
	if err := tx.CreateInBatches(rows, rowBatch).Error; err != nil {
		return err
	}
	for id, its := range threads {
		at := its[len(its)-1].ReceivedAt
		err := tx.Exec(`INSERT INTO threads (context_id, id, title, records, created_at, last_record_at) VALUES (?, ?, '', ?, ?, ?)
			ON CONFLICT (context_id, id) DO UPDATE SET records = threads.records + excluded.records, last_record_at = excluded.last_record_at`,
			space, id, len(its), at, at).Error
		if err != nil {
			return err
		}
	}
	return tx.Exec("UPDATE record_counters SET last_seq = ? WHERE context_id = ?", rows[len(rows)-1].Seq, space).Error
}

// deletedThreads returns those of ids that are of deleted threads.
func deletedThreads(tx *gorm.DB, space string, ids []string) (deleted []string, err error) {
	err = tx.Raw("SELECT id FROM threads WHERE context_id = ? AND id IN ? AND deleted_at IS NOT NULL", space, ids).Scan(&deleted).Error
	return deleted, err
}

// ImportRecords implements [record.Store].
func (s *Store) ImportRecords(ctx context.Context, space string, records []record.Record) (states []record.State, err error) {
	err = s.write(ctx, func(tx *gorm.DB) error {
		states = make([]record.State, len(records))
		seq, err := s.lockSpace(tx, space)
		if err != nil {
			return err
		}
		var ids, threads []string
		for _, r := range records {
			ids, threads = append(ids, r.ID), append(threads, r.Thread)
		}
		deleted, err := deletedThreads(tx, space, slices.Compact(slices.Sorted(slices.Values(threads))))
		if err != nil {
			return err
		}
		var known []string
		if err := tx.Raw("SELECT id FROM records WHERE context_id = ? AND id IN ?", space, ids).Scan(&known).Error; err != nil {
			return err
		}
		there := map[string]bool{}
		for _, id := range known {
			there[id] = true
		}
		var added []record.Record
		for i, r := range records {
			switch {
			case slices.Contains(deleted, r.Thread):
				states[i] = record.Deleted
			case there[r.ID]:
				states[i] = record.Known
			default:
				seq++
				r.Seq, states[i], there[r.ID] = seq, record.Stored, true
				added = append(added, r)
			}
		}
		if len(added) == 0 {
			return nil
		}
		return addRecords(tx, space, added)
	})
	return states, err
}

// visible lets through the records of threads that are not deleted.
const visible = `NOT EXISTS (SELECT 1 FROM threads t WHERE t.context_id = r.context_id AND t.id = r.thread AND t.deleted_at IS NOT NULL)`

// RecordsSince implements [record.Store].
func (s *Store) RecordsSince(
	ctx context.Context, space string, selection record.Selection, seq int64, limit int,
) ([]record.Record, bool, error) {
	var f filter
	f.and("r.context_id = ? AND r.seq > ?", space, seq)
	f.and(visible)
	if selection.Thread != "" {
		f.and("r.thread = ?", selection.Thread)
	}
	if selection.Actor != "" {
		f.and("r.actor = ?", selection.Actor)
	}
	if selection.Act != "" {
		f.and("r.act = ?", selection.Act)
	}
	if selection.From != nil {
		f.and("r.clock >= ?", *selection.From)
	}
	if selection.To != nil {
		f.and("r.clock <= ?", *selection.To)
	}
	if selection.Public {
		f.and("r.thread NOT IN ?", record.ReservedThreads())
	}
	return s.somePage(ctx, limit, "SELECT r.* FROM records r WHERE "+f.conjunction()+" ORDER BY r.seq LIMIT ?", append(f.conditions, limit+1)...)
}

// QueryRecords implements [record.Store].
func (s *Store) QueryRecords(ctx context.Context, space string, q record.Query) ([]record.Record, bool, error) {
	statement, args := s.recordQuery(space, q)
	return s.somePage(ctx, q.Limit, statement, args...)
}

// pageBytes is how large the bodies of one page may be together, but for the last one.
const pageBytes = 8 << 20

// somePage returns the first limit records of a statement that asks for one more, fewer where they are large, and whether there
// are more.
func (s *Store) somePage(ctx context.Context, limit int, statement string, args ...any) (found []record.Record, more bool, err error) {
	size := 0
	err = s.eachRecord(ctx, statement, args, func(r record.Record) error {
		if len(found) == limit || size > pageBytes {
			more = true
			return errEnough
		}
		found, size = append(found, r), size+len(r.Body)
		return nil
	})
	return found, more, err
}

// errEnough ends a walk through rows without being its error.
var errEnough = errors.New("enough")

// eachRecord calls each with every record of a statement, until it returns an error.
func (s *Store) eachRecord(ctx context.Context, statement string, args []any, each func(record.Record) error) (err error) {
	db := s.db.Reader(ctx)
	rows, err := db.Raw(statement, args...).Rows()
	if err != nil {
		return public(database.Translate(err))
	}
	defer func() {
		if closing := rows.Close(); err == nil && closing != nil {
			err = public(database.Translate(closing))
		}
	}()
	for rows.Next() {
		var row recordRow
		if err := db.ScanRows(rows, &row); err != nil {
			return public(database.Translate(err))
		}
		found, err := row.record()
		if err == nil {
			err = each(found)
		}
		switch {
		case errors.Is(err, errEnough):
			return nil
		case err != nil:
			return err
		}
	}
	return public(database.Translate(rows.Err()))
}

// FindRecords implements [record.Store].
func (s *Store) FindRecords(ctx context.Context, space string, ids []string) (found []record.Record, err error) {
	err = s.eachRecord(ctx, "SELECT r.* FROM records r WHERE r.context_id = ? AND r.id IN ? AND "+visible+" ORDER BY r.seq", []any{space, ids},
		func(r record.Record) error {
			found = append(found, r)
			return nil
		})
	return found, err
}

// EachRecord implements [record.Store].
func (s *Store) EachRecord(ctx context.Context, space, thread string, order record.Order, each func(record.Record) error) error {
	by := "r.seq"
	if order == record.ByClock {
		by = "r.clock, r.id"
	}
	return s.eachRecord(ctx, "SELECT r.* FROM records r WHERE r.context_id = ? AND r.thread = ? AND "+visible+" ORDER BY "+by, []any{space, thread}, each)
}

// LastSeq implements [record.Store].
func (s *Store) LastSeq(ctx context.Context, space string) (last int64, err error) {
	return last, s.read(ctx, &last, "SELECT last_seq FROM record_counters WHERE context_id = ?", space)
}
