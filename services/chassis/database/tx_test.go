package database_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

// counter is the row of the tests' one table.
type counter struct {
	Name  string `gorm:"primaryKey"`
	Value int64
	Seen  time.Time
}

func open(t *testing.T, url string) *database.DB {
	t.Helper()
	db, err := database.Open(t.Context(), url, "app")
	if err != nil {
		t.Fatalf("opening: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return db
}

// counters returns an open database with an empty table of counters.
func counters(t *testing.T, url string) *database.DB {
	t.Helper()
	db := open(t, url)
	statements := []string{"CREATE TABLE counters (name text PRIMARY KEY, value bigint NOT NULL, seen timestamp NOT NULL)"}
	if db.Engine == database.Postgres {
		statements = []string{
			"CREATE SCHEMA app",
			"CREATE TABLE counters (name text PRIMARY KEY, value bigint NOT NULL, seen timestamptz NOT NULL)",
		}
	}
	for _, statement := range statements {
		if err := db.WithContext(t.Context()).Exec(statement).Error; err != nil {
			t.Fatal(err)
		}
	}
	return db
}

func TestTx(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db := counters(t, url)
		undo := errors.New("undo")
		err := db.Tx(t.Context(), func(tx *gorm.DB) error {
			if err := tx.Create(&counter{Name: "a"}).Error; err != nil {
				return err
			}
			return undo
		})
		if err != undo { //nolint:errorlint // an error of the caller's must come back untouched
			t.Errorf("Tx = %v, want the error of its function", err)
		}
		if got := count(t, db); got != 0 {
			t.Errorf("%d rows after a rollback", got)
		}
		if err := db.Tx(t.Context(), func(tx *gorm.DB) error { return tx.Create(&counter{Name: "a"}).Error }); err != nil {
			t.Fatal(err)
		}
		if got := count(t, db); got != 1 {
			t.Errorf("%d rows after a commit, want 1", got)
		}
	})
}

func count(t *testing.T, db *database.DB) int64 {
	t.Helper()
	var n int64
	if err := db.Reader(t.Context()).Model(&counter{}).Count(&n).Error; err != nil {
		t.Fatal(err)
	}
	return n
}

// Read, then write what was read: lost updates, were transactions not what they claim to be.
func TestTxConcurrent(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		const workers, rounds = 4, 25
		setup := counters(t, url)
		if err := setup.Create(&counter{Name: "a"}).Error; err != nil {
			t.Fatal(err)
		}
		// Two handles on one database stand for two processes.
		handles := []*database.DB{setup, open(t, url)}
		var group sync.WaitGroup
		for worker := range workers {
			group.Go(func() {
				for range rounds {
					if err := increment(t.Context(), handles[worker%len(handles)]); err != nil {
						t.Errorf("incrementing: %v", err)
						return
					}
				}
			})
		}
		group.Wait()
		var row counter
		if err := setup.Reader(t.Context()).Take(&row, "name = ?", "a").Error; err != nil {
			t.Fatal(err)
		}
		if row.Value != workers*rounds {
			t.Errorf("value = %d, want %d", row.Value, workers*rounds)
		}
	})
}

func increment(ctx context.Context, db *database.DB) error {
	return db.Tx(ctx, func(tx *gorm.DB) error {
		if db.Engine == database.Postgres {
			// SQLite's write transactions are serial; Postgres's default level needs to be told.
			if err := tx.Exec("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").Error; err != nil {
				return err
			}
		}
		var row counter
		if err := tx.Take(&row, "name = ?", "a").Error; err != nil {
			return err
		}
		return tx.Model(&row).Update("value", row.Value+1).Error
	})
}
