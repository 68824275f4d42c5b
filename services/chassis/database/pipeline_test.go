package database_test

import (
	"errors"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

func TestPipeline(t *testing.T) {
	t.Parallel()
	db := counters(t, dbtest.Postgres(t))
	insert := database.Statement{SQL: "INSERT INTO counters VALUES ($1, $2, now())", Args: []any{"a", 1}}
	count := database.Statement{SQL: "SELECT name, value FROM counters ORDER BY name"}
	type row struct {
		name  string
		value int64
	}
	run := func(statements ...database.Statement) (rows []row, err error) {
		err = db.Pipeline(t.Context(), statements, func(r database.Row) error {
			var next row
			defer func() { rows = append(rows, next) }()
			return r.Scan(&next.name, &next.value)
		})
		return rows, err
	}
	// Each statement sees what those before it did.
	if rows, err := run(insert, count); err != nil || len(rows) != 1 || rows[0] != (row{"a", 1}) {
		t.Errorf("%v, %v", rows, err)
	}
	// All of them or none.
	add := database.Statement{SQL: "UPDATE counters SET value = value + 1 RETURNING name, value"}
	if _, err := run(add, insert); !errors.Is(err, database.ErrDuplicate) {
		t.Errorf("a duplicate: %v", err)
	}
	if rows, err := run(count); err != nil || len(rows) != 1 || rows[0].value != 1 {
		t.Errorf("after a failure: %v, %v", rows, err)
	}
	enough := errors.New("enough")
	err := db.Pipeline(t.Context(), []database.Statement{count}, func(database.Row) error { return enough })
	if !errors.Is(err, enough) {
		t.Errorf("reading fails: %v", err)
	}
	if rows, err := run(add); err != nil || len(rows) != 1 || rows[0].value != 2 {
		t.Errorf("after that: %v, %v", rows, err)
	}
}

func TestPipelineNeedsPostgres(t *testing.T) {
	t.Parallel()
	db := counters(t, dbtest.SQLite(t))
	if err := db.Pipeline(t.Context(), []database.Statement{{SQL: "SELECT 1"}}, nil); err == nil {
		t.Error("SQLite took it")
	}
}
