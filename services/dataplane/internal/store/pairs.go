package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/dataplane/internal/federation"
	"github.com/spectron-hq/spectron/services/dataplane/internal/fingerprint"
)

var _ federation.Store = (*Store)(nil)

type pairRow struct {
	ContextID    string `gorm:"primaryKey"`
	ID           string `gorm:"primaryKey"`
	PeerDID      string `gorm:"column:peer_did"`
	PeerURL      string `gorm:"column:peer_url"`
	ThreadID     string
	PeerActor    string
	PeerToken    []byte
	Version      int64
	Paused       bool
	CreatedAt    time.Time
	Cursor       string
	LastPulledAt *time.Time
	Failing      bool
	LastError    string
	Pulled       int64
	Known        int64
	Refused      int64
	Pulls        int64
	Failures     int64
	Holder       string
	HeldUntil    time.Time
}

func (pairRow) TableName() string { return "sync_pairs" }

func (r pairRow) toPair() federation.Pair {
	state := federation.Active
	switch {
	case r.Paused:
		state = federation.Paused
	case r.Failing:
		state = federation.Failing
	}
	return federation.Pair{
		ID: r.ID, PeerDID: r.PeerDID, PeerURL: r.PeerURL, Thread: r.ThreadID, PeerActor: r.PeerActor,
		State: state, HasToken: r.PeerToken != nil, CreatedAt: r.CreatedAt.UTC(), LastPulledAt: utc(r.LastPulledAt),
		LastError: r.LastError, Cursor: r.Cursor,
		Stats: federation.Stats{Pulled: r.Pulled, Known: r.Known, Refused: r.Refused, Pulls: r.Pulls, Failures: r.Failures},
	}
}

// KeepPair implements [federation.Store].
func (s *Store) KeepPair(ctx context.Context, space string, kept federation.Kept) (pair federation.Pair, err error) {
	err = s.write(ctx, func(tx *gorm.DB) error {
		at, err := s.engine.clock(tx)
		if err != nil {
			return err
		}
		change := map[string]any{"peer_actor": kept.PeerActor, "version": gorm.Expr("version + 1")}
		if kept.Sealed != nil {
			change["peer_token"] = kept.Sealed
		}
		row, err := changePair(tx, space, kept.ID, change)
		if err == nil || fault.KindOf(err) != fault.NotFound {
			pair = row.toPair()
			return err
		}
		if err := s.makeRoom(tx, space); err != nil {
			return err
		}
		row = pairRow{
			ContextID: space, ID: kept.ID, PeerDID: kept.PeerDID, PeerURL: kept.PeerURL, ThreadID: kept.Thread,
			PeerActor: kept.PeerActor, PeerToken: kept.Sealed, CreatedAt: at, HeldUntil: at,
		}
		pair = row.toPair()
		return tx.Create(&row).Error
	})
	return pair, err
}

// makeRoom refuses one pair more than there may be. Of all who make pairs of a context at once it lets one go on at a time.
func (s *Store) makeRoom(tx *gorm.DB, space string) error {
	locked, err := s.engine.tryLock(tx, fingerprint.Of("pairs", space).Number())
	if err != nil {
		return err
	}
	if !locked {
		return fault.New(fault.Unavailable, "another pair is being made; try again")
	}
	var there int64
	if err := tx.Model(&pairRow{}).Where("context_id = ?", space).Count(&there).Error; err != nil {
		return err
	}
	if there >= federation.MaxPairs {
		return federation.TooManyPairs()
	}
	return nil
}

// changePair changes a pair and returns it as it is then.
func changePair(tx *gorm.DB, space, id string, change map[string]any) (pairRow, error) {
	var changed []pairRow
	err := tx.Model(&changed).Clauses(clause.Returning{}).Where("context_id = ? AND id = ?", space, id).Updates(change).Error
	switch {
	case err != nil:
		return pairRow{}, err
	case len(changed) == 0:
		return pairRow{}, federation.NoPair()
	default:
		return changed[0], nil
	}
}

// Pairs implements [federation.Store].
func (s *Store) Pairs(ctx context.Context, space string) ([]federation.Pair, error) {
	var rows []pairRow
	if err := s.read(ctx, &rows, "SELECT * FROM sync_pairs WHERE context_id = ? ORDER BY created_at, id", space); err != nil {
		return nil, err
	}
	pairs := make([]federation.Pair, len(rows))
	for i, row := range rows {
		pairs[i] = row.toPair()
	}
	return pairs, nil
}

// Pair implements [federation.Store].
func (s *Store) Pair(ctx context.Context, space, id string) (federation.Pair, error) {
	var rows []pairRow
	err := s.read(ctx, &rows, "SELECT * FROM sync_pairs WHERE context_id = ? AND id = ?", space, id)
	if err == nil && len(rows) == 0 {
		err = federation.NoPair()
	}
	if err != nil {
		return federation.Pair{}, err
	}
	return rows[0].toPair(), nil
}

// ForgetPair implements [federation.Store].
func (s *Store) ForgetPair(ctx context.Context, space, id string) error {
	return s.write(ctx, func(tx *gorm.DB) error {
		gone := tx.Where("context_id = ? AND id = ?", space, id).Delete(&pairRow{})
		if gone.Error == nil && gone.RowsAffected == 0 {
			return federation.NoPair()
		}
		return gone.Error
	})
}

// TouchPair implements [federation.Store].
func (s *Store) TouchPair(ctx context.Context, space, id string, paused *bool) (pair federation.Pair, err error) {
	err = s.write(ctx, func(tx *gorm.DB) error {
		change := map[string]any{"version": gorm.Expr("version + 1")}
		if paused != nil {
			change["paused"] = *paused
		}
		row, err := changePair(tx, space, id, change)
		pair = row.toPair()
		return err
	})
	return pair, err
}

// ClaimPairs implements [federation.Store]. Most looks find nothing new and leases with half their length left: they write nothing.
// Two replicas that claim a pair at once change its row one after the other, and the second one finds it taken.
func (s *Store) ClaimPairs(ctx context.Context, replica string, lease time.Duration) ([]federation.Claim, error) {
	const mine = "NOT paused AND (holder = ? OR holder = '' OR held_until <= ?)"
	var rows []pairRow
	settled := true
	err := s.db.Read(ctx, func(tx *gorm.DB) error {
		at, err := s.engine.clock(tx)
		if err != nil {
			return err
		}
		if err := tx.Where(mine, replica, at).Find(&rows).Error; err != nil {
			return err
		}
		for _, row := range rows {
			settled = settled && row.Holder == replica && row.HeldUntil.After(at.Add(lease/2))
		}
		return nil
	})
	if err != nil {
		return nil, public(err)
	}
	if !settled {
		err = s.write(ctx, func(tx *gorm.DB) error {
			at, err := s.engine.clock(tx)
			if err != nil {
				return err
			}
			rows = nil
			return tx.Model(&rows).Clauses(clause.Returning{}).Where(mine, replica, at).
				Updates(map[string]any{"holder": replica, "held_until": at.Add(lease)}).Error
		})
	}
	claims := make([]federation.Claim, len(rows))
	for i, row := range rows {
		claims[i] = federation.Claim{Space: row.ContextID, Pair: row.toPair(), Version: row.Version, Sealed: row.PeerToken}
	}
	return claims, err
}

// ReleasePairs implements [federation.Store].
func (s *Store) ReleasePairs(ctx context.Context, replica string) error {
	return s.write(ctx, func(tx *gorm.DB) error {
		return tx.Model(&pairRow{}).Where("holder = ?", replica).Update("holder", "").Error
	})
}

// PairPulled implements [federation.Store].
func (s *Store) PairPulled(ctx context.Context, replica string, claim federation.Claim, progress federation.Progress) error {
	return s.concludePull(ctx, replica, claim, func(at time.Time) map[string]any {
		return map[string]any{
			"cursor": progress.Cursor, "last_pulled_at": at, "failing": false, "last_error": "",
			"pulled": gorm.Expr("pulled + ?", progress.Pulled), "known": gorm.Expr("known + ?", progress.Known), "pulls": gorm.Expr("pulls + 1"),
		}
	})
}

// PairFailed implements [federation.Store].
func (s *Store) PairFailed(ctx context.Context, replica string, claim federation.Claim, failure federation.Failure) error {
	return s.concludePull(ctx, replica, claim, func(time.Time) map[string]any {
		return map[string]any{
			"failing": true, "last_error": failure.Reason,
			"refused": gorm.Expr("refused + ?", failure.Refused), "failures": gorm.Expr("failures + 1"),
		}
	})
}

// concludePull changes a claimed pair, if it still is what was claimed.
func (s *Store) concludePull(ctx context.Context, replica string, claim federation.Claim, change func(at time.Time) map[string]any) error {
	return s.write(ctx, func(tx *gorm.DB) error {
		at, err := s.engine.clock(tx)
		if err != nil {
			return fmt.Errorf("reading the clock: %w", err)
		}
		changed := tx.Model(&pairRow{}).
			Where("context_id = ? AND id = ? AND holder = ? AND version = ? AND NOT paused", claim.Space, claim.ID, replica, claim.Version).
			Updates(change(at))
		if changed.Error == nil && changed.RowsAffected == 0 {
			return federation.ErrLost
		}
		return changed.Error
	})
}
