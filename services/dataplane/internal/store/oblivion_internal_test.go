package store

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/entity"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
	"github.com/spectron-hq/spectron/services/dataplane/internal/session"
)

func migrated(t *testing.T, url string) *Store {
	t.Helper()
	db, err := database.Open(t.Context(), url, Schema)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	m, err := Migrations(db.Engine)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := database.Migrate(t.Context(), db, m); err != nil {
		t.Fatal(err)
	}
	return New(db)
}

// TestEveryTableOfContextsIsPurged asks the database which tables there are.
func TestEveryTableOfContextsIsPurged(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := migrated(t, url)
		query := "SELECT table_name FROM information_schema.columns WHERE table_schema = '" + Schema + "' AND column_name = 'context_id'"
		if s.db.Engine == database.SQLite {
			query = "SELECT t.name FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table' AND c.name = 'context_id'"
		}
		var there, purged []string
		if err := s.db.Reader(t.Context()).Raw(query).Scan(&there).Error; err != nil {
			t.Fatal(err)
		}
		for _, table := range tables {
			purged = append(purged, table.name)
		}
		slices.Sort(there)
		slices.Sort(purged)
		if diff := cmp.Diff(there, purged); diff != "" {
			t.Errorf("tables (-there +purged):\n%s", diff)
		}
	})
}

// TestForgettingAScopeWaitsForWhatIsBeingWritten forgets a scope while facts are being written to it, of an entity and in a
// session that are there already. On SQLite there is no such moment: one waits for the other.
func TestForgettingAScopeWaitsForWhatIsBeingWritten(t *testing.T) {
	t.Parallel()
	s := migrated(t, dbtest.Postgres(t))
	node, err := scope.ParsePath("org/acme")
	if err != nil {
		t.Fatal(err)
	}
	at, sets := time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC), scope.Sets{{node}}
	home := session.Session{ID: session.NewID(), Sets: sets, Principal: "p", CreatedAt: at}
	fact := func(value string, isNew bool) entity.Assertion {
		said := memory.Write{
			Incarnation: "c", Session: home, NewSession: isNew, Turn: session.Turn{ID: session.NewID(), Role: session.User, Content: value, CreatedAt: at},
			Chunk: memory.Chunk{ID: session.NewID(), Sets: sets, Text: value, Labels: []string{"a=b"}, CreatedAt: at},
		}
		return entity.Assertion{
			Incarnation: "c", Sets: sets, Labels: []string{"a=b"}, At: at, Source: entity.Source{Kind: entity.FromTriples}, Said: &said,
			Triples: []entity.Triple{{Entity: entity.Ref{Type: "person", Name: "alice"}, Key: value, Value: &value, Category: memory.Knowledge}},
		}
	}
	if _, err := s.Assert(t.Context(), fact("old", true)); err != nil {
		t.Fatal(err)
	}
	forgotten := make(chan error, 1)
	err = s.write(t.Context(), func(tx *gorm.DB) error {
		if _, err := s.assert(tx, fact("new", false)); err != nil {
			return err
		}
		go func() {
			_, err := s.ForgetUnder(t.Context(), "c", node)
			forgotten <- err
		}()
		return waitForALock(t, s)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-forgotten; err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"turns", "sessions", "entities", "attributes", "memory_labels", "memory_chunks"} {
		var left int
		if err := s.read(t.Context(), &left, "SELECT count(*) FROM "+table); err != nil || left != 0 {
			t.Errorf("%s: %d rows are left, %v", table, left, err)
		}
	}
}

// waitForALock returns once a connection waits for another one's rows.
func waitForALock(t *testing.T, s *Store) error {
	t.Helper()
	for waiting := 0; waiting == 0; {
		err := s.read(t.Context(), &waiting, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
		if err != nil {
			return err
		}
	}
	return nil
}
