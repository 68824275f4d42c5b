package store_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/migrations"
	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/keymanager/internal/store"
	"github.com/spectron-hq/spectron/services/keymanager/internal/storetest"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

func TestStore(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(testing.TB) string{"sqlite": dbtest.SQLite, "postgres": dbtest.Postgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t *testing.T) storetest.Subject {
				t.Helper()
				url := database(t)
				s := subject(open(t, url))
				if name == "postgres" {
					s.Replica = func(t *testing.T) storetest.Store {
						t.Helper()
						return store.New(open(t, url), time.Now)
					}
				}
				return s
			})
		})
	}
}

func TestMigrationsGoDownAndUp(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		m := schema(t, db)
		if err := database.Rollback(t.Context(), db, m, 100); err != nil {
			t.Fatal(err)
		}
		if pending, err := database.Pending(t.Context(), db, m); err != nil || pending == 0 {
			t.Errorf("after going down %d are pending, %v", pending, err)
		}
		if _, err := database.Migrate(t.Context(), db, m); err != nil {
			t.Fatal(err)
		}
		if n := subject(db).Count(t, "SELECT count(*) FROM keys"); n != 0 {
			t.Errorf("%d keys in a new schema", n)
		}
	})
}

// open returns a migrated database.
func open(t *testing.T, url string) *database.DB {
	t.Helper()
	db, err := database.Open(t.Context(), url, "control")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := database.Migrate(t.Context(), db, schema(t, db)); err != nil {
		t.Fatal(err)
	}
	return db
}

func schema(t *testing.T, db *database.DB) database.Migrations {
	t.Helper()
	files, err := migrations.Control(db.Engine.String())
	if err != nil {
		t.Fatal(err)
	}
	return database.Migrations{FS: files, Schema: "control", Table: "control_migrations"}
}

func subject(db *database.DB) storetest.Subject {
	return storetest.Subject{
		Store: store.New(db, time.Now),
		Count: func(t *testing.T, query string) int64 {
			t.Helper()
			var n int64
			if err := db.Reader(t.Context()).Raw(query).Row().Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		},
		Exec: func(t *testing.T, statement string) {
			t.Helper()
			if err := db.WithContext(t.Context()).Exec(statement).Error; err != nil {
				t.Fatal(err)
			}
		},
		Age: func(t *testing.T, table, column string, by time.Duration) {
			t.Helper()
			var value time.Time
			if err := db.Reader(t.Context()).Raw(fmt.Sprintf("SELECT %s FROM %s", column, table)).Row().Scan(&value); err != nil {
				t.Fatal(err)
			}
			if err := db.WithContext(t.Context()).Exec(fmt.Sprintf("UPDATE %s SET %s = ?", table, column), value.Add(-by)).Error; err != nil {
				t.Fatal(err)
			}
		},
	}
}

// What was granted before there was a history is its beginning.
func TestTheHistoryOfGrantsBeginsWithWhatThereWas(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		down(t, db, 4)
		created := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
		for _, row := range []struct {
			table  string
			values map[string]any
		}{
			{"contexts", map[string]any{
				"id": "acme", "incarnation": "acme.1", "namespace": "n", "database": "d", "display_name": "", "description": "", "config": "{}",
				"created_at": created,
			}},
			{"principals", map[string]any{
				"context_id": "acme", "id": "p", "display_name": "p", "kind": "agent", "grants": `{"memory:read":["/*"]}`, "created_at": created,
			}},
		} {
			if err := db.WithContext(t.Context()).Table(row.table).Create(row.values).Error; err != nil {
				t.Fatal(err)
			}
		}
		up(t, db)
		grants, err := store.New(db, time.Now).GrantsAt(t.Context(), "acme", "p", created)
		if err != nil || !grants.Equal(grant.Over(scope.Everything, grant.MemoryRead)) {
			t.Errorf("got %v, %v", grants, err)
		}
	})
}
