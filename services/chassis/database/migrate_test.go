package database_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

func migrations(files map[string]string) database.Migrations {
	fs := fstest.MapFS{}
	for name, text := range files {
		fs[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return database.Migrations{FS: fs, Schema: "app", Table: "app_migrations"}
}

var (
	one = map[string]string{
		"00001_boxes.sql": "-- +goose Up\nCREATE TABLE boxes (id bigint PRIMARY KEY);\n-- +goose Down\nDROP TABLE boxes;\n",
	}
	two = map[string]string{
		"00001_boxes.sql": one["00001_boxes.sql"],
		"00002_lids.sql":  "-- +goose Up\nCREATE TABLE lids (id bigint PRIMARY KEY);\n-- +goose Down\nDROP TABLE lids;\n",
	}
)

func TestMigrate(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		checkPending(t, db, migrations(two), 2)
		migrate(t, db, migrations(one), 1)
		checkPending(t, db, migrations(two), 1)
		migrate(t, db, migrations(two), 1)
		migrate(t, db, migrations(two), 0)
		migrate(t, db, migrations(one), 0) // the previous release meets the schema of the next
		if err := db.Exec("INSERT INTO lids VALUES (1)").Error; err != nil {
			t.Error(err)
		}

		list, err := database.Status(t.Context(), db, migrations(two))
		if err != nil {
			t.Fatal(err)
		}
		for i := range list {
			if age := time.Since(list[i].AppliedAt); age < -time.Minute || age > time.Minute {
				t.Errorf("%s was applied at %v", list[i].Name, list[i].AppliedAt)
			}
			list[i].AppliedAt = time.Time{}
		}
		want := []database.MigrationStatus{
			{Version: 1, Name: "00001_boxes.sql", Applied: true}, {Version: 2, Name: "00002_lids.sql", Applied: true},
		}
		if diff := cmp.Diff(want, list); diff != "" {
			t.Errorf("status (-want +got):\n%s", diff)
		}

		if err := database.Rollback(t.Context(), db, migrations(two), 1); err != nil {
			t.Fatal(err)
		}
		checkPending(t, db, migrations(two), 1)
		if err := database.Rollback(t.Context(), db, migrations(two), 7); err != nil {
			t.Fatal(err)
		}
		checkPending(t, db, migrations(two), 2)
		if err := db.Exec("INSERT INTO boxes VALUES (1)").Error; err == nil {
			t.Error("the table outlived its rollback")
		}
	})
}

func migrate(t *testing.T, db *database.DB, m database.Migrations, want int) {
	t.Helper()
	applied, err := database.Migrate(t.Context(), db, m)
	if err != nil || applied != want {
		t.Fatalf("Migrate = %d, %v, want %d", applied, err, want)
	}
}

func checkPending(t *testing.T, db *database.DB, m database.Migrations, want int) {
	t.Helper()
	pending, err := database.Pending(t.Context(), db, m)
	if err != nil || pending != want {
		t.Errorf("Pending = %d, %v, want %d", pending, err, want)
	}
}

func TestMigrateFailure(t *testing.T) {
	t.Parallel()
	broken := map[string]string{
		"00001_boxes.sql": one["00001_boxes.sql"],
		"00002_bad.sql":   "-- +goose Up\nCREATE TABLE bad (id bigint);\nINSERT INTO nowhere VALUES (1);\n-- +goose Down\nDROP TABLE bad;\n",
	}
	dbtest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		applied, err := database.Migrate(t.Context(), db, migrations(broken))
		if err == nil || !strings.Contains(err.Error(), "00002_bad.sql") {
			t.Errorf("error %v does not name the migration", err)
		}
		if applied != 1 {
			t.Errorf("%d applied, want the one before the broken one", applied)
		}
		if err := db.Exec("INSERT INTO bad VALUES (1)").Error; err == nil {
			t.Error("half a migration was committed")
		}
	})
}

func TestMigrateRace(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		var total atomic.Int64
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				db, err := database.Open(t.Context(), url, "app")
				if err != nil {
					t.Error(err)
					return
				}
				applied, err := database.Migrate(t.Context(), db, migrations(two))
				if err != nil {
					t.Error(err)
				}
				total.Add(int64(applied))
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if total.Load() != 2 {
			t.Errorf("%d migrations applied in all, want 2", total.Load())
		}
	})
}

func TestReadIsOneSnapshot(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db := counters(t, url)
		err := db.Read(t.Context(), func(tx *gorm.DB) error {
			for range 2 {
				var n int64
				if err := tx.Model(&counter{}).Count(&n).Error; err != nil {
					return err
				}
				if n != 0 {
					t.Errorf("the snapshot changed: %d rows", n)
				}
				// A writer is not kept waiting by a reader.
				if err := db.Tx(t.Context(), func(w *gorm.DB) error {
					var count int64
					if err := w.Model(&counter{}).Count(&count).Error; err != nil {
						return err
					}
					return w.Create(&counter{Name: strings.Repeat("x", int(count)+1)}).Error
				}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if n := count(t, db); n != 2 {
			t.Errorf("%d rows, want 2", n)
		}
		err = db.Read(t.Context(), func(tx *gorm.DB) error { return tx.Create(&counter{Name: "a"}).Error })
		if err == nil {
			t.Error("Read wrote")
		}
	})
}
