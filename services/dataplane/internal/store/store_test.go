package store_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
	"github.com/spectron-hq/spectron/services/dataplane/internal/store"
	"github.com/spectron-hq/spectron/services/dataplane/internal/storetest"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

// open returns the migrated database at url.
func open(tb testing.TB, url string) *database.DB {
	tb.Helper()
	db, err := database.Open(tb.Context(), url, store.Schema)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Errorf("closing: %v", err)
		}
	})
	migrations, err := store.Migrations(db.Engine)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := database.Migrate(tb.Context(), db, migrations); err != nil {
		tb.Fatal(err)
	}
	return db
}

func TestStore(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		storetest.Run(t, storetest.Fixture{
			Store: store.New(db),
			Seqs: func(t *testing.T, incarnation, session string) (seqs []int64) {
				t.Helper()
				err := db.Reader(t.Context()).Raw("SELECT seq FROM turns WHERE context_id = ? AND session_id = ? ORDER BY seq",
					incarnation, session).Scan(&seqs).Error
				if err != nil {
					t.Fatal(err)
				}
				return seqs
			},
			Rows: func(t *testing.T, incarnation string) (total int) {
				t.Helper()
				for _, table := range tablesOfContexts(t, db) {
					total += rows(t, db, "SELECT count(*) FROM "+table+" WHERE context_id = ?", incarnation)
				}
				if db.Engine == database.SQLite {
					total += rows(t, db, "SELECT count(*) FROM memory_search WHERE memory_search MATCH ?", `context:"`+incarnation+`"`)
				}
				return total
			},
			Unindex: func(t *testing.T, incarnation string) {
				t.Helper()
				statement := "UPDATE memory_chunks SET search = '' WHERE context_id = ?"
				if db.Engine == database.SQLite {
					statement = "DELETE FROM memory_search WHERE rowid IN (SELECT document FROM memory_chunks WHERE context_id = ?)"
				}
				exec(t, db, statement, incarnation)
			},
			Exec: func(t *testing.T, statement string, args ...any) {
				t.Helper()
				exec(t, db, statement, args...)
			},
		})
	})
}

// tablesOfContexts asks the database for its tables that have rows of contexts: one that a migration adds is among them.
func tablesOfContexts(t *testing.T, db *database.DB) (names []string) {
	t.Helper()
	query := "SELECT table_name FROM information_schema.columns WHERE table_schema = '" + store.Schema + "' AND column_name = 'context_id'"
	if db.Engine == database.SQLite {
		query = "SELECT t.name FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table' AND c.name = 'context_id'"
	}
	if err := db.Reader(t.Context()).Raw(query).Scan(&names).Error; err != nil {
		t.Fatal(err)
	}
	return names
}

func exec(t *testing.T, db *database.DB, statement string, args ...any) {
	t.Helper()
	if err := db.WithContext(t.Context()).Exec(statement, args...).Error; err != nil {
		t.Fatal(err)
	}
}

func rows(t *testing.T, db *database.DB, query string, args ...any) (n int) {
	t.Helper()
	if err := db.Reader(t.Context()).Raw(query, args...).Scan(&n).Error; err != nil {
		t.Fatal(err)
	}
	return n
}

func TestMigrationsGoDownAndUpAgain(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		migrations, err := store.Migrations(db.Engine)
		if err != nil {
			t.Fatal(err)
		}
		if err := database.Rollback(t.Context(), db, migrations, 100); err != nil {
			t.Fatal(err)
		}
		if n, err := database.Migrate(t.Context(), db, migrations); err != nil || n == 0 {
			t.Errorf("up again: %d, %v", n, err)
		}
	})
}

func TestTroubleWithTheDatabaseIsUnavailable(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := store.New(open(t, url))
		late, cancel := context.WithDeadline(t.Context(), time.Now())
		defer cancel()
		question := memory.Search{Incarnation: "c", Terms: []string{"x"}, Region: scope.Region{scope.Everything}, Limit: 1}
		if _, err := s.Search(late, question); !errors.Is(err, fault.Unavailable) {
			t.Errorf("reading: %v", err)
		}
		if _, err := s.PurgeExpired(late, time.Now(), 1); !errors.Is(err, fault.Unavailable) {
			t.Errorf("writing: %v", err)
		}
	})
}

// FuzzSearch looks for a way from the text of a query into the language of the full-text index.
func FuzzSearch(f *testing.F) {
	for _, text := range storetest.HostileTexts {
		f.Add(text)
	}
	s := store.New(open(f, dbtest.SQLite(f)))
	f.Fuzz(func(t *testing.T, text string) {
		terms := memory.Terms(text)
		if len(terms) == 0 {
			return
		}
		question := memory.Search{Incarnation: "c", Terms: terms, Region: scope.Region{scope.Everything}, Limit: 1}
		if hits, err := s.Search(t.Context(), question); err != nil || len(hits) != 0 {
			t.Errorf("%q: %d hits, %v", text, len(hits), err)
		}
	})
}
