package store

import (
	"context"
	"strings"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/contract/scope"
)

// setsUnder are the sets with a node in a range. Its parameters are the context and the bounds of the range.
const setsUnder = "(SELECT set_id FROM scope_set_nodes WHERE context_id = @context AND node >= @lo AND node < @hi)"

// ForgetUnder implements [scopetree.Store]. It is one transaction: whoever looks sees all of it or none.
func (s *Store) ForgetUnder(ctx context.Context, incarnation string, path scope.Path) (n int, err error) {
	lo, hi := bounds(scope.Under(path))
	args := map[string]any{"context": incarnation, "lo": lo, "hi": hi}
	chunks := "SELECT %s FROM memory_chunks WHERE context_id = @context AND set_id IN " + setsUnder
	err = s.write(ctx, func(tx *gorm.DB) error {
		n = 0
		// Or else of what is written meanwhile the later statements would erase what the earlier ones have not seen.
		if err := s.engine.snapshot(tx); err != nil {
			return err
		}
		if err := s.engine.forgetWordsAt(tx, setsUnder, args); err != nil {
			return err
		}
		// What hangs on rows goes before them. A turn goes with the text it brought, too, wherever its session is.
		for _, rows := range []string{
			"turns WHERE (session_id, id) IN (" + strings.Replace(chunks, "%s", "session_id, turn_id", 1) + ")",
			"turns WHERE session_id IN (SELECT id FROM sessions WHERE context_id = @context AND set_id IN " + setsUnder + ")",
			"memory_labels WHERE chunk_id IN (" + strings.Replace(chunks, "%s", "id", 1) + ")",
			"sessions WHERE set_id IN " + setsUnder,
			"relations WHERE set_id IN " + setsUnder,
			"attributes WHERE set_id IN " + setsUnder,
			"entities WHERE set_id IN " + setsUnder,
			"memory_chunks WHERE set_id IN " + setsUnder,
		} {
			gone := tx.Exec("DELETE FROM "+rows+" AND context_id = @context", args)
			if gone.Error != nil {
				return gone.Error
			}
			n = int(gone.RowsAffected) // of the last of them, which is what is counted
		}
		if n == 0 {
			return nil
		}
		return forgetAnswers(tx, incarnation)
	})
	return n, err
}
