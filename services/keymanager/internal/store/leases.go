package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/contract/mutant"
	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
)

// revisionChannel is where Postgres tells every replica of new revisions.
const revisionChannel = "spectron_revisions"

type leaseRow struct {
	Verifier     string `gorm:"primaryKey"`
	Acknowledged int64
	ExpiresAt    time.Time
	CatchUpTo    int64
}

// TableName tells GORM where the rows are.
func (leaseRow) TableName() string { return "leases" }

type leaseTableRow struct {
	ID    int `gorm:"primaryKey;autoIncrement:false"`
	Since time.Time
}

// TableName tells GORM where the rows are.
func (leaseTableRow) TableName() string { return "lease_table" }

// Authority implements revision.Store.
func (s *Store) Authority(ctx context.Context) (string, error) {
	life, args := s.engine.life()
	var found []string
	err := s.db.Reader(ctx).Raw("SELECT authority || '.' || "+life+" FROM deployment WHERE id = ?", append(args, theDeployment)...).
		Scan(&found).Error
	if err == nil && len(found) == 0 {
		return "", revision.NotYet()
	}
	if err != nil {
		return "", public(database.Translate(err))
	}
	return found[0], nil
}

type leaseLengthRow struct {
	ID     int `gorm:"primaryKey;autoIncrement:false"`
	Micros int64
}

// TableName tells GORM where the rows are.
func (leaseLengthRow) TableName() string { return "lease_length" }

// AllowLeases implements revision.Store. What is noted never shrinks: nobody can tell whether a replica that grants longer
// leases is still there.
func (s *Store) AllowLeases(ctx context.Context, ttl time.Duration) (time.Duration, error) {
	row := leaseLengthRow{ID: 1, Micros: ttl.Microseconds()}
	err := s.change(ctx, func(tx *gorm.DB, _ time.Time) error {
		longer := clause.OnConflict{
			Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"micros"}),
			Where: clause.Where{Exprs: []clause.Expression{gorm.Expr("lease_length.micros < excluded.micros")}},
		}
		if err := tx.Clauses(longer).Create(&row).Error; err != nil {
			return fmt.Errorf("noting the length of leases: %w", err)
		}
		return tx.Take(&row, 1).Error
	})
	return time.Duration(row.Micros) * time.Microsecond, err
}

// RenewLease implements revision.Store.
//
// A row that is there has been counted as lapsed by nobody, even if its time is over: [Store.Standing] removes what it
// counts. So whoever finds its row extends it, and whoever does not rejoins. What a rejoining verifier has to catch up to
// stays in its row, and is told with every grant from then on: any single answer may be lost.
func (s *Store) RenewLease(
	ctx context.Context, verifier string, acknowledged int64, ttl, patience time.Duration,
) (revision.Grant, error) {
	var grant revision.Grant
	err := s.change(ctx, func(tx *gorm.DB, at time.Time) error {
		grant = revision.Grant{}
		made, lags, err := progress(tx, acknowledged, at.Add(-patience))
		if err != nil || !made {
			return err
		}
		// Neither goes back: a renewal may have been overtaken by the next one, long after its verifier had given it up.
		change := map[string]any{"acknowledged": gorm.Expr("CASE WHEN acknowledged < ? THEN ? ELSE acknowledged END", acknowledged, acknowledged)}
		if !lags {
			change["expires_at"] = gorm.Expr("CASE WHEN expires_at < ? THEN ? ELSE expires_at END", at.Add(ttl), at.Add(ttl))
		}
		var held []leaseRow
		err = tx.Model(&held).Clauses(clause.Returning{}).Where("verifier = ?", verifier).Updates(change).Error
		if err != nil || lags {
			return err
		}
		grant.Extended = true
		if len(held) > 0 {
			grant.CatchUpTo = held[0].CatchUpTo
			return nil
		}
		grant.CatchUpTo, err = s.rejoin(tx, leaseRow{Verifier: verifier, Acknowledged: acknowledged, ExpiresAt: at.Add(ttl)})
		return err
	})
	return grant, err
}

// renewal is what [Store.ExtendLease] is asked for.
type renewal struct {
	authority, verifier string
	acknowledged        int64
	ttl, patience       time.Duration
}

// ExtendLease implements revision.Store.
func (s *Store) ExtendLease(
	ctx context.Context, authority, verifier string, acknowledged int64, ttl, patience time.Duration,
) (revision.Grant, bool, error) {
	return s.engine.extend(ctx, s, renewal{authority, verifier, acknowledged, ttl, patience})
}

// rejoin stores a lease where there was none and returns the revision to catch up to. The lock keeps further revisions
// from passing before every barrier can see the lease.
func (s *Store) rejoin(tx *gorm.DB, row leaseRow) (int64, error) {
	at, err := s.engine.lockRevisions(tx)
	if err != nil {
		return 0, fmt.Errorf("granting a lease: %w", err)
	}
	if row.CatchUpTo, err = newest(tx); err != nil {
		return 0, fmt.Errorf("granting a lease: %w", err)
	}
	// Another renewal of this verifier may have come first while this one waited for the lock. Its row counts as any that is
	// there, with what that one was told to catch up to.
	const later = "CASE WHEN leases.%[1]s < excluded.%[1]s THEN excluded.%[1]s ELSE leases.%[1]s END"
	upsert := clause.OnConflict{Columns: []clause.Column{{Name: "verifier"}}, DoUpdates: clause.Assignments(map[string]any{
		"acknowledged": gorm.Expr(fmt.Sprintf(later, "acknowledged")), "expires_at": gorm.Expr(fmt.Sprintf(later, "expires_at")),
	})}
	err = errors.Join(complete(tx, at), tx.Clauses(upsert, clause.Returning{}).Create(&row).Error)
	return row.CatchUpTo, err
}

// progress reports whether the acknowledged revision has ever been made, and whether one after it is older than since. A
// database that went back in time has lost revisions, and those who have seen them know nothing of what took their numbers.
func progress(tx *gorm.DB, acknowledged int64, since time.Time) (made, lags bool, err error) {
	var rows []revisionRow
	// In order, so that the first is the oldest.
	err = tx.Where("id >= ?", acknowledged).Order("id").Limit(2).Find(&rows).Error
	made = acknowledged == 0 || len(rows) > 0
	if len(rows) > 0 && rows[0].ID == acknowledged {
		rows = rows[1:]
	}
	lags = len(rows) > 0 && rows[0].At.Before(since) && !mutant.Is(mutant.NeverRefuse)
	return made, lags, err
}

// complete notes that the leases from now on are all there are, unless it is noted already.
func complete(tx *gorm.DB, at time.Time) error {
	return tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&leaseTableRow{ID: 1, Since: at}).Error
}

// ReleaseLease implements revision.Store.
func (s *Store) ReleaseLease(ctx context.Context, verifier string) error {
	return s.change(ctx, func(tx *gorm.DB, _ time.Time) error {
		return tx.Where("verifier = ?", verifier).Delete(&leaseRow{}).Error
	})
}

// Standing implements revision.Store.
func (s *Store) Standing(ctx context.Context) (revision.Standing, error) {
	return s.engine.standing(ctx, s)
}

// Revisions implements revision.Store.
func (s *Store) Revisions(ctx context.Context, after int64, limit int) ([]revision.Numbered, bool, error) {
	var rows []revisionRow
	err := s.db.Reader(ctx).Where("id > ?", after).Order("id").Limit(limit).Find(&rows).Error
	if err != nil {
		return nil, false, public(database.Translate(err))
	}
	out := make([]revision.Numbered, len(rows))
	for i, row := range rows {
		out[i] = revision.Numbered{
			Revision: row.ID,
			Change:   revision.Change{Kind: revision.Kind(row.Kind), Subject: row.Subject, ContextID: row.ContextID},
		}
	}
	return out, len(out) == 0 || out[0].Revision == after+1, nil
}

// Newest implements revision.Store.
func (s *Store) Newest(ctx context.Context) (int64, error) {
	id, err := newest(s.db.Reader(ctx))
	return id, public(database.Translate(err))
}

// pruneAtOnce bounds one deletion of uses; the rest goes the next time.
const pruneAtOnce = 10_000

// Prune implements revision.Store.
func (s *Store) Prune(ctx context.Context, age, uses time.Duration) error {
	err := s.change(ctx, func(tx *gorm.DB, at time.Time) error {
		return tx.Where("at < ? AND id < (SELECT max(id) FROM revisions)", at.Add(-age)).Delete(&revisionRow{}).Error
	})
	if err != nil {
		return err
	}
	return s.change(ctx, func(tx *gorm.DB, at time.Time) error {
		const statement = `
			DELETE FROM key_uses WHERE (key_id, minute) IN (
				SELECT u.key_id, u.minute FROM key_uses u
				WHERE u.minute < ? AND (
					NOT EXISTS (SELECT 1 FROM keys k WHERE k.id = u.key_id)
					OR EXISTS (SELECT 1 FROM key_uses later WHERE later.key_id = u.key_id AND later.minute > u.minute)
				)
				LIMIT ?
			)`
		return tx.Exec(statement, at.Add(-uses), pruneAtOnce).Error
	})
}

// Listen implements revision.Store.
func (s *Store) Listen(ctx context.Context, heard func(newest int64)) error {
	return s.db.Listen(ctx, revisionChannel, func(payload string) {
		newest, err := strconv.ParseInt(payload, 10, 64)
		if err != nil {
			newest = 0
		}
		heard(newest)
	})
}

// RetirePeppers takes a revision that touches everything when keys are sealed under other peppers than those of the given
// versions: these keys open nothing any more, and no verifier must remember that they did. Each replica that starts without
// an old pepper says so again, because one that still had it may have answered for such a key since.
func (s *Store) RetirePeppers(ctx context.Context, versions []uint16) error {
	var orphans int64
	query := s.db.Reader(ctx).Model(&keyRow{}).Where("pepper_version NOT IN ?", versions)
	if err := query.Limit(1).Count(&orphans).Error; err != nil || orphans == 0 {
		return public(database.Translate(err))
	}
	return s.revise(ctx, func(tx *gorm.DB, at time.Time) error {
		revised, err := number(tx, at, revision.Change{Kind: revision.PepperRetired})
		if err != nil {
			return err
		}
		return record(tx, at, audit.Entry{
			Action: audit.PepperRetired, Detail: map[string]any{"peppers": versions, "revision": revised},
		})
	})
}

// Reseal implements key.ResealStore.
func (s *Store) Reseal(ctx context.Context, keys []key.Reseal) error {
	// In one order, so that no two replicas wait for each other.
	slices.SortFunc(keys, func(a, b key.Reseal) int { return strings.Compare(a.ID, b.ID) })
	return s.change(ctx, func(tx *gorm.DB, _ time.Time) error {
		for _, k := range keys {
			err := tx.Model(&keyRow{}).Where("id = ? AND digest_hmac = ?", k.ID, k.Old[:]).
				Updates(map[string]any{"digest_hmac": k.New[:], "pepper_version": k.Version}).Error
			if err != nil {
				return fmt.Errorf("sealing a key anew: %w", err)
			}
		}
		return nil
	})
}

// SealedWithout returns how many keys are sealed under each version of the pepper that is not among the given ones.
func (s *Store) SealedWithout(ctx context.Context, versions []uint16) (map[uint16]int64, error) {
	orphans, err := countPeppers(s.db.Reader(ctx).Where("pepper_version NOT IN ?", versions))
	return orphans, public(database.Translate(err))
}

type keyUseRow struct {
	KeyID  string
	Minute time.Time
}

// TableName tells GORM where the rows are.
func (keyUseRow) TableName() string { return "key_uses" }

// RecordUses implements key.UseStore.
func (s *Store) RecordUses(ctx context.Context, uses []introspection.Use) error {
	return s.change(ctx, func(tx *gorm.DB, at time.Time) error {
		rows := make([]keyUseRow, len(uses))
		for i, use := range uses {
			rows[i] = keyUseRow{KeyID: use.KeyID, Minute: at.Add(-time.Duration(use.AgoMicros) * time.Microsecond).Truncate(time.Minute)}
		}
		if len(rows) == 0 {
			return nil
		}
		// In one order, so that no two reports of the same keys wait for each other.
		slices.SortFunc(rows, func(a, b keyUseRow) int {
			return cmp.Or(strings.Compare(a.KeyID, b.KeyID), a.Minute.Compare(b.Minute))
		})
		return tx.Clauses(clause.OnConflict{DoNothing: true}).CreateInBatches(rows, 500).Error
	})
}
