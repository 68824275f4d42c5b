package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/session"
)

var _ session.Conversations = (*Store)(nil)

// CreateSession implements [session.Conversations].
func (s *Store) CreateSession(ctx context.Context, incarnation string, made session.Overview) error {
	return s.write(ctx, func(tx *gorm.DB) error {
		set, err := saveSets(tx, incarnation, made.Sets)
		if err != nil {
			return err
		}
		row := sessionRow{
			ContextID: incarnation, ID: made.ID, SetID: set, PrincipalID: made.Principal, CreatedAt: made.CreatedAt,
			Metadata: nullable(string(made.Metadata)),
		}
		return tx.Create(&row).Error
	})
}

// Sessions implements [session.Conversations].
func (s *Store) Sessions(
	ctx context.Context, incarnation string, region scope.Region, page session.Page,
) ([]session.Overview, error) {
	return s.overviews(ctx, incarnation, region, "ORDER BY s.created_at DESC, s.id DESC LIMIT ? OFFSET ?", page.Limit, page.Offset)
}

// Overview implements [session.Conversations].
func (s *Store) Overview(ctx context.Context, which session.Conversation) (session.Overview, error) {
	found, err := s.overviews(ctx, which.Incarnation, which.Region, "AND s.id = ?", which.ID)
	if err != nil {
		return session.Overview{}, err
	}
	if len(found) == 0 {
		return session.Overview{}, session.ErrAbsent
	}
	return found[0], nil
}

// overviews returns the sessions of a context in region that rest, the end of a WHERE clause, lets through; the newest
// first.
func (s *Store) overviews(
	ctx context.Context, incarnation string, region scope.Region, rest string, restArgs ...any,
) ([]session.Overview, error) {
	if len(region) == 0 {
		return nil, nil
	}
	tables, args, readable, readableArgs := readableWhere("s.set_id", incarnation, region)
	statement := "WITH " + tables + `page AS (SELECT s.id, s.set_id, s.principal_id, s.turn_count, s.metadata, s.created_at
			FROM sessions s WHERE s.context_id = ? AND ` + readable + " " + rest + `)
		SELECT p.id, p.principal_id, p.turn_count, p.metadata, p.created_at, n.clause, n.node FROM page p
		JOIN scope_set_nodes n ON n.context_id = ? AND n.set_id = p.set_id ORDER BY p.created_at DESC, p.id DESC, n.clause, n.node`
	args = append(append(append(append(args, incarnation), readableArgs...), restArgs...), incarnation)
	var rows []struct {
		ID, PrincipalID string
		TurnCount       int64
		Metadata        *string
		CreatedAt       time.Time
		Clause          int
		Node            string
	}
	if err := s.read(ctx, &rows, statement, args...); err != nil {
		return nil, err
	}
	var out []session.Overview
	for begin := 0; begin < len(rows); {
		row, nodes := rows[begin], []setNodeRow(nil)
		for ; begin < len(rows) && rows[begin].ID == row.ID; begin++ {
			nodes = append(nodes, setNodeRow{Clause: rows[begin].Clause, Node: rows[begin].Node})
		}
		sets, err := setsOf(nodes)
		if err != nil {
			return nil, fmt.Errorf("reading the sets of a session: %w", err)
		}
		found := session.Overview{
			Session: session.Session{ID: row.ID, Sets: sets, Principal: row.PrincipalID, CreatedAt: row.CreatedAt.UTC()},
			Turns:   row.TurnCount,
		}
		if row.Metadata != nil {
			found.Metadata = json.RawMessage(*row.Metadata)
		}
		out = append(out, found)
	}
	return out, nil
}

// Turns implements [session.Conversations].
func (s *Store) Turns(ctx context.Context, which session.Conversation, page session.Page) ([]session.Said, error) {
	if len(which.Region) == 0 {
		return nil, session.ErrAbsent
	}
	tables, args, readable, readableArgs := readableWhere("s.set_id", which.Incarnation, which.Region)
	order := "t.seq"
	if page.FromEnd {
		order = "t.seq DESC"
	}
	// A session without turns in the page is one row without a turn; an absent one is none.
	statement := "WITH " + tables + `home AS (SELECT s.id FROM sessions s WHERE s.context_id = ? AND s.id = ? AND ` + readable + `),
		page AS (SELECT t.* FROM turns t WHERE t.context_id = ? AND t.session_id = ? AND t.forgotten_at IS NULL
			ORDER BY ` + order + ` LIMIT ? OFFSET ?)
		SELECT p.id, p.seq, p.role, p.content, p.principal_id, p.created_at FROM home h LEFT JOIN page p ON p.session_id = h.id
		ORDER BY p.seq`
	args = append(append(args, which.Incarnation, which.ID), readableArgs...)
	args = append(args, which.Incarnation, which.ID, page.Limit, page.Offset)
	var rows []struct {
		ID, Role, Content, PrincipalID *string
		Seq                            *int64
		CreatedAt                      *time.Time
	}
	if err := s.read(ctx, &rows, statement, args...); err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, session.ErrAbsent
	}
	var turns []session.Said
	for _, row := range rows {
		if row.ID == nil {
			continue
		}
		turns = append(turns, session.Said{Seq: deref(row.Seq), Turn: session.Turn{
			ID: *row.ID, Role: session.Role(deref(row.Role)), Content: deref(row.Content), Principal: deref(row.PrincipalID),
			CreatedAt: utc(row.CreatedAt),
		}})
	}
	return turns, nil
}

// DeleteSession implements [session.Conversations].
func (s *Store) DeleteSession(ctx context.Context, incarnation, id string) error {
	return s.write(ctx, func(tx *gorm.DB) error {
		// The session first: who is appending to it has been waited for when its turns go.
		gone := tx.Exec("DELETE FROM sessions WHERE context_id = ? AND id = ?", incarnation, id)
		if gone.Error != nil {
			return gone.Error
		}
		if gone.RowsAffected == 0 {
			return session.ErrAbsent
		}
		return tx.Exec("DELETE FROM turns WHERE context_id = ? AND session_id = ?", incarnation, id).Error
	})
}
