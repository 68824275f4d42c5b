package store

import (
	"context"

	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/reflection"
)

var _ reflection.Store = (*Store)(nil)

// Places implements [reflection.Store].
func (s *Store) Places(ctx context.Context, incarnation string, ids []string) (map[string]scope.Sets, error) {
	var rows []struct {
		ID     string
		Clause int
		Node   string
	}
	err := s.read(ctx, &rows, `SELECT c.id, n.clause, n.node FROM memory_chunks c
		JOIN scope_set_nodes n ON n.context_id = c.context_id AND n.set_id = c.set_id
		WHERE c.context_id = ? AND c.id IN ? ORDER BY c.id, n.clause, n.node`, incarnation, ids)
	if err != nil {
		return nil, err
	}
	nodes := map[string][]setNodeRow{}
	for _, row := range rows {
		nodes[row.ID] = append(nodes[row.ID], setNodeRow{Clause: row.Clause, Node: row.Node})
	}
	out := make(map[string]scope.Sets, len(nodes))
	for id, each := range nodes {
		if out[id], err = setsOf(each); err != nil {
			return nil, err
		}
	}
	return out, nil
}
