package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/entity"
	"github.com/spectron-hq/spectron/services/dataplane/internal/lifecycle"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
)

var _ lifecycle.Store = (*Store)(nil)

// importanceAt returns what the importance is of a row that was last written when column says.
func importanceAt(column string, at time.Time) (expression string, args []any) {
	var out strings.Builder
	importance := entity.Importance
	var cases []any
	for step := range lifecycle.Steps {
		importance /= 2
		// From the longest time down, so that the first case that holds is the right one.
		cases = slices.Concat([]any{at.Add(-time.Duration(step+1) * lifecycle.HalfLife), importance}, cases)
	}
	out.WriteString("CASE")
	for range lifecycle.Steps {
		out.WriteString(" WHEN " + column + " <= ? THEN CAST(? AS double precision)")
	}
	out.WriteString(" ELSE CAST(? AS double precision) END")
	return out.String(), append(cases, entity.Importance)
}

// Decay implements [lifecycle.Store].
func (s *Store) Decay(ctx context.Context, incarnation string, region scope.Region, at time.Time) (n int, err error) {
	err = s.write(ctx, func(tx *gorm.DB) error {
		n = 0
		for _, table := range []struct{ name, written string }{{"entities", "updated_at"}, {"attributes", "created_at"}} {
			importance, args := importanceAt(table.written, at)
			var f filter
			f.and("context_id = ? AND valid_until IS NULL", incarnation)
			f.and("importance <> "+importance, args...)
			f.owned("set_id", incarnation, region)
			changed := tx.Exec(f.with()+"UPDATE "+table.name+" SET importance = "+importance+" WHERE "+f.conjunction(), f.args(args...)...)
			if changed.Error != nil {
				return changed.Error
			}
			n += int(changed.RowsAffected)
		}
		return nil
	})
	return n, err
}

// Expire implements [lifecycle.Store].
func (s *Store) Expire(ctx context.Context, incarnation string, region scope.Region, at time.Time) (n int, err error) {
	var f filter
	f.and("context_id = ? AND category = ? AND valid_until <= ? AND forgotten_at IS NULL", incarnation, memory.Context, at)
	f.owned("set_id", incarnation, region)
	err = s.write(ctx, func(tx *gorm.DB) error {
		changed := tx.Exec(f.with()+"UPDATE memory_chunks SET forgotten_at = ? WHERE "+f.conjunction(), f.args(at)...)
		n = int(changed.RowsAffected)
		return changed.Error
	})
	return n, err
}
