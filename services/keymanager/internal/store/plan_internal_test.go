package store

import (
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/migrations"
	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

// Looking keys up goes by an index everywhere, also to what only tokens have.
func TestLookUpsGoByIndex(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db, err := database.Open(t.Context(), url, "control")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		files, err := migrations.Control(db.Engine.String())
		if err == nil {
			_, err = database.Migrate(t.Context(), db, database.Migrations{FS: files, Schema: "control", Table: "control_migrations"})
		}
		if err != nil {
			t.Fatal(err)
		}
		statement, args := New(db, time.Now).engine.findKeys([][]byte{{1}})
		explain, unwanted := "EXPLAIN ", "Seq Scan"
		want := []string{"keys_digest_hmac_key", "principals_pkey", "contexts_pkey", "service_accounts_pkey"}
		if db.Engine == database.SQLite {
			explain, unwanted = "EXPLAIN QUERY PLAN ", "SCAN k"
			want = []string{"SEARCH k USING INDEX", "SEARCH p USING INDEX", "SEARCH c USING INDEX", "SEARCH a USING INDEX"}
		} else {
			statement = strings.ReplaceAll(statement, "$1", "?")
			args = []any{gorm.Expr(`'{"\\x01"}'::bytea[]`)}
		}
		var plan strings.Builder
		err = db.WithContext(t.Context()).Transaction(func(tx *gorm.DB) error {
			if db.Engine == database.Postgres { // as the service has it
				for _, off := range []string{"seqscan", "hashjoin", "mergejoin"} {
					if err := tx.Exec("SET LOCAL enable_" + off + " = off").Error; err != nil {
						return err
					}
				}
			}
			var rows []map[string]any
			if err := tx.Raw(explain+statement, args...).Scan(&rows).Error; err != nil {
				return err
			}
			for _, row := range rows {
				for _, value := range row {
					if line, ok := value.(string); ok {
						plan.WriteString(line + "\n")
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, index := range want {
			if !strings.Contains(plan.String(), index) {
				t.Errorf("it does without %s:\n%s", index, &plan)
			}
		}
		if strings.Contains(plan.String(), unwanted) {
			t.Errorf("it reads a table from end to end:\n%s", &plan)
		}
	})
}
