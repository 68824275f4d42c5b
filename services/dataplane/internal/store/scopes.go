package store

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/scopetree"
)

var _ scopetree.Store = (*Store)(nil)

type scopeNodeRow struct {
	ContextID    string `gorm:"primaryKey"`
	Path         string `gorm:"primaryKey"`
	DisplayName  *string
	Description  *string
	CreatedAt    time.Time
	TombstonedAt *time.Time
}

func (scopeNodeRow) TableName() string { return "scope_nodes" }

func (r scopeNodeRow) toNode() (scopetree.Node, error) {
	path, err := scope.ParsePath(r.Path)
	return scopetree.Node{
		Path: path, DisplayName: deref(r.DisplayName), Description: deref(r.Description),
		CreatedAt: r.CreatedAt.UTC(), TombstonedAt: utc(r.TombstonedAt),
	}, err
}

// Register implements [scopetree.Store].
func (s *Store) Register(ctx context.Context, incarnation string, node scopetree.Node) (scopetree.Node, error) {
	row := scopeNodeRow{
		ContextID: incarnation, Path: node.Path.String(), CreatedAt: node.CreatedAt,
		DisplayName: nullable(node.DisplayName), Description: nullable(node.Description),
	}
	err := s.write(ctx, func(tx *gorm.DB) error {
		// From the top down, in every transaction: so that two of them never wait for each other.
		var ancestors []scopeNodeRow
		for _, path := range node.Path.Ancestors() {
			ancestors = append(ancestors, scopeNodeRow{ContextID: incarnation, Path: path.String(), CreatedAt: node.CreatedAt})
		}
		if len(ancestors) > 0 {
			if err := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&ancestors).Error; err != nil {
				return err
			}
		}
		again := clause.OnConflict{
			Columns: []clause.Column{{Name: "context_id"}, {Name: "path"}},
			DoUpdates: clause.Assignments(map[string]any{
				"display_name":  gorm.Expr("COALESCE(excluded.display_name, scope_nodes.display_name)"),
				"description":   gorm.Expr("COALESCE(excluded.description, scope_nodes.description)"),
				"tombstoned_at": nil,
			}),
		}
		if err := tx.Clauses(again).Create(&row).Error; err != nil {
			return err
		}
		return tx.Take(&row, "context_id = ? AND path = ?", row.ContextID, row.Path).Error
	})
	if err != nil {
		return scopetree.Node{}, err
	}
	return row.toNode()
}

// Tombstone implements [scopetree.Store].
func (s *Store) Tombstone(ctx context.Context, incarnation string, path scope.Path, at time.Time) error {
	row := scopeNodeRow{ContextID: incarnation, Path: path.String(), CreatedAt: at, TombstonedAt: &at}
	return s.write(ctx, func(tx *gorm.DB) error {
		return tx.Clauses(clause.OnConflict{
			Columns: []clause.Column{{Name: "context_id"}, {Name: "path"}},
			DoUpdates: clause.Assignments(map[string]any{
				"tombstoned_at": gorm.Expr("COALESCE(scope_nodes.tombstoned_at, excluded.tombstoned_at)"),
			}),
		}).Create(&row).Error
	})
}

// Nodes implements [scopetree.Store].
func (s *Store) Nodes(ctx context.Context, incarnation string, region scope.Region, page scopetree.Page) ([]scopetree.Node, error) {
	if len(region) == 0 {
		return nil, nil
	}
	table, args := regionTable(region)
	var rows []scopeNodeRow
	err := s.read(ctx, &rows, "WITH "+table+` SELECT n.* FROM region r CROSS JOIN scope_nodes n
		WHERE n.context_id = ? AND n.path >= r.lo AND n.path < r.hi AND n.path > ?
		ORDER BY n.path LIMIT ?`, append(args, incarnation, page.After, page.Limit)...)
	if err != nil {
		return nil, err
	}
	nodes := make([]scopetree.Node, len(rows))
	for i, row := range rows {
		if nodes[i], err = row.toNode(); err != nil {
			return nil, err
		}
	}
	return nodes, nil
}

// Living implements [scopetree.Store].
func (s *Store) Living(ctx context.Context, incarnation string, paths []scope.Path) (map[scope.Path]bool, error) {
	texts := make([]string, len(paths))
	for i, path := range paths {
		texts[i] = path.String()
	}
	var found []struct {
		Path   string
		Living bool
	}
	err := s.read(ctx, &found, "SELECT path, tombstoned_at IS NULL AS living FROM scope_nodes WHERE context_id = ? AND path IN ?",
		incarnation, texts)
	if err != nil {
		return nil, err
	}
	living := make(map[scope.Path]bool, len(found))
	for _, row := range found {
		path, err := scope.ParsePath(row.Path)
		if err != nil {
			return nil, err
		}
		living[path] = row.Living
	}
	return living, nil
}
