package store

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/dataplane/internal/session"
)

var _ session.Store = (*Store)(nil)

type sessionRow struct {
	ContextID   string `gorm:"primaryKey"`
	ID          string `gorm:"primaryKey"`
	SetID       []byte
	PrincipalID string
	TurnCount   int64
	CreatedAt   time.Time
	Metadata    *string
}

func (sessionRow) TableName() string { return "sessions" }

type turnRow struct {
	ContextID   string `gorm:"primaryKey"`
	SessionID   string `gorm:"primaryKey"`
	Seq         int64  `gorm:"primaryKey;autoIncrement:false"`
	ID          string
	Role        session.Role
	Content     string
	PrincipalID string
	CreatedAt   time.Time
}

func (turnRow) TableName() string { return "turns" }

// Session implements [session.Store].
func (s *Store) Session(ctx context.Context, incarnation, id string) (session.Session, error) {
	var rows []struct {
		PrincipalID string
		CreatedAt   time.Time
		Clause      int
		Node        string
	}
	err := s.read(ctx, &rows, `SELECT s.principal_id, s.created_at, n.clause, n.node FROM sessions s
		JOIN scope_set_nodes n ON n.context_id = s.context_id AND n.set_id = s.set_id
		WHERE s.context_id = ? AND s.id = ? ORDER BY n.clause, n.node`, incarnation, id)
	if err != nil {
		return session.Session{}, err
	}
	if len(rows) == 0 {
		return session.Session{}, session.ErrAbsent
	}
	nodes := make([]setNodeRow, len(rows))
	for i, row := range rows {
		nodes[i] = setNodeRow{Clause: row.Clause, Node: row.Node}
	}
	sets, err := setsOf(nodes)
	if err != nil {
		return session.Session{}, fmt.Errorf("reading the sets of a session: %w", err)
	}
	return session.Session{
		ID: id, Sets: sets, Principal: rows[0].PrincipalID, CreatedAt: rows[0].CreatedAt.UTC(),
	}, nil
}

// appendTurns stores turns as the next of their session, which it creates first when it is new.
func appendTurns(tx *gorm.DB, incarnation string, home session.Session, isNew bool, turns []session.Turn) error {
	last := int64(len(turns))
	if isNew {
		set, err := saveSets(tx, incarnation, home.Sets)
		if err != nil {
			return err
		}
		row := sessionRow{
			ContextID: incarnation, ID: home.ID, SetID: set, PrincipalID: home.Principal, TurnCount: last, CreatedAt: home.CreatedAt,
		}
		if err := tx.Create(&row).Error; err != nil {
			return err
		}
	} else {
		// The update makes those who append to one session at a time wait for each other, so seq has neither gaps nor twins.
		found := tx.Raw("UPDATE sessions SET turn_count = turn_count + ? WHERE context_id = ? AND id = ? RETURNING turn_count",
			len(turns), incarnation, home.ID).Scan(&last)
		if found.Error != nil {
			return found.Error
		}
		if found.RowsAffected == 0 {
			return session.ErrAbsent
		}
	}
	rows := make([]turnRow, len(turns))
	for i, turn := range turns {
		seq := last - int64(len(turns)-1-i)
		rows[i] = turnRow{incarnation, home.ID, seq, turn.ID, turn.Role, turn.Content, turn.Principal, turn.CreatedAt}
	}
	return tx.CreateInBatches(rows, rowBatch).Error
}
