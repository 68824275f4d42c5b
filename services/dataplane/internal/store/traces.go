package store

import (
	"context"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/dataplane/internal/trace"
)

var _ trace.Store = (*Store)(nil)

type traceRow struct {
	ContextID   string `gorm:"primaryKey"`
	ID          string `gorm:"primaryKey"`
	TraceID     string
	Kind        trace.Kind
	Action      string
	PrincipalID string
	OnBehalfOf  *string
	KeyID       string
	QueryText   string
	Tier        string
	TierReason  string
	LatencyUs   int64
	RowsTouched int64
	CreatedAt   time.Time
}

func (traceRow) TableName() string { return "traces" }

// AddTraces implements [trace.Store].
func (s *Store) AddTraces(ctx context.Context, rows []trace.Row) error {
	out := make([]traceRow, len(rows))
	for i, row := range rows {
		out[i] = traceRow{
			row.Incarnation, row.ID, row.TraceID, row.Kind, row.Action, row.Principal, nullable(row.OnBehalfOf), row.Key,
			row.Query, row.Tier, row.Reason, row.Took.Microseconds(), row.Rows, row.At,
		}
	}
	return s.write(ctx, func(tx *gorm.DB) error { return tx.CreateInBatches(out, rowBatch).Error })
}

// Traces implements [trace.Store].
func (s *Store) Traces(ctx context.Context, incarnation string, f trace.Filter) ([]trace.Entry, error) {
	where, args := []string{"context_id = ?"}, []any{incarnation}
	and := func(given bool, condition string, values ...any) {
		if given {
			where, args = append(where, condition), append(args, values...)
		}
	}
	and(len(f.Kinds) > 0, "kind IN ?", f.Kinds)
	if f.Own != nil {
		and(true, "principal_id = ?", f.Own.Principal)
		and(f.Own.OnBehalfOf != "", "on_behalf_of = ?", f.Own.OnBehalfOf)
	}
	and(f.TraceID != "", "trace_id = ?", f.TraceID)
	and(f.Principal != "", "principal_id = ?", f.Principal)
	and(f.Key != "", "key_id = ?", f.Key)
	and(!f.Since.IsZero(), "created_at >= ?", f.Since)
	and(!f.Until.IsZero(), "created_at < ?", f.Until)
	by := ""
	if f.TraceID != "" {
		by = s.engine.by("traces_by_trace")
	}
	var rows []traceRow
	err := s.read(ctx, &rows, "SELECT * FROM traces"+by+" WHERE "+strings.Join(where, " AND ")+" ORDER BY created_at DESC, id DESC LIMIT ?",
		append(args, f.Limit)...)
	if err != nil {
		return nil, err
	}
	out := make([]trace.Entry, len(rows))
	for i, row := range rows {
		out[i] = trace.Entry{
			TraceID: row.TraceID, Kind: row.Kind, Action: row.Action, Principal: row.PrincipalID, OnBehalfOf: deref(row.OnBehalfOf),
			Key: row.KeyID, Query: row.QueryText, Tier: row.Tier, Reason: row.TierReason,
			Took: time.Duration(row.LatencyUs) * time.Microsecond, Rows: row.RowsTouched, At: row.CreatedAt.UTC(),
		}
	}
	return out, nil
}

// TraceStats implements [trace.Store].
func (s *Store) TraceStats(ctx context.Context, incarnation string, since time.Time) (trace.Stats, error) {
	var groups []struct {
		Kind                          trace.Kind
		Tier                          string
		Number, Empty, LatencyUs, Hit int64
	}
	err := s.read(ctx, &groups, `SELECT kind, tier, count(*) AS number, sum(CASE WHEN rows_touched = 0 THEN 1 ELSE 0 END) AS empty,
			CAST(sum(latency_us) AS bigint) AS latency_us, CAST(sum(rows_touched) AS bigint) AS hit
		FROM traces WHERE context_id = ? AND kind IN ? AND created_at >= ? GROUP BY kind, tier`, incarnation, trace.Queries(), since)
	if err != nil {
		return trace.Stats{}, err
	}
	stats := trace.Stats{Tiers: map[string]int64{}}
	var took, hits int64
	for _, group := range groups {
		if group.Kind == trace.Response {
			stats.Responses += group.Number
			continue
		}
		stats.Queries += group.Number
		stats.Empty += group.Empty
		stats.Tiers[group.Tier] += group.Number
		took, hits = took+group.LatencyUs, hits+group.Hit
	}
	if stats.Queries > 0 {
		stats.Took = time.Duration(took/stats.Queries) * time.Microsecond
		stats.Hits = float64(hits) / float64(stats.Queries)
	}
	return stats, nil
}

// PurgeTraces implements [purge.Store].
func (s *Store) PurgeTraces(ctx context.Context, before time.Time, limit int) (deleted int, err error) {
	err = s.write(ctx, func(tx *gorm.DB) error {
		result := tx.Exec(`DELETE FROM traces WHERE (context_id, id) IN
			(SELECT context_id, id FROM traces WHERE created_at < ? LIMIT ?)`, before.UTC(), limit)
		deleted = int(result.RowsAffected)
		return result.Error
	})
	return deleted, err
}
