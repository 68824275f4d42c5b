package database

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/spectron-hq/spectron/services/chassis/tracing"
)

// Statement is one statement of a [DB.Pipeline], with parameters $1, $2 and so on.
type Statement struct {
	SQL  string
	Args []any
}

// Row is a row of what a [DB.Pipeline] reads.
type Row interface{ Scan(dest ...any) error }

// Pipeline sends statements to Postgres in one go and runs them in one transaction, each on a snapshot of its own, which is
// committed when all of them have succeeded. Between the first and the commit the server waits for nobody: what the first one
// locks is locked for as short as can be, even if this process stops meanwhile. read is called with each row of the last one,
// all over again where the engine asks for a retry. Errors are those of [DB.Tx]. It goes past GORM, which costs more than
// Postgres does for statements as short as these.
func (d *DB) Pipeline(ctx context.Context, statements []Statement, read func(Row) error) error {
	if d.Engine != Postgres {
		return fmt.Errorf("running a pipeline: %s has none", d.Engine)
	}
	return d.repeat(ctx, "pipeline", func(ctx context.Context) error { return d.pipeline(ctx, statements, read) })
}

func (d *DB) pipeline(ctx context.Context, statements []Statement, read func(Row) error) (err error) {
	if tracing.Recorded(ctx) {
		_, end := tracing.Begin(ctx, "statement")
		defer func() { end(err, d.system(), textOf(joined(statements))) }()
	}
	conn, err := d.pools[0].Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // gives it back to the pool
	return conn.Raw(func(raw any) error {
		driver, ok := raw.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("running a pipeline: the driver is %T", raw)
		}
		batch := &pgx.Batch{}
		for _, s := range statements {
			batch.Queue(s.SQL, s.Args...)
		}
		results := driver.Conn().SendBatch(ctx, batch)
		err := readLast(results, len(statements), read)
		// Close reports the commit. After an error it repeats that.
		if closeErr := results.Close(); err == nil {
			err = closeErr
		}
		return err
	})
}

func joined(statements []Statement) string {
	texts := make([]string, len(statements))
	for i, statement := range statements {
		texts[i] = statement.SQL
	}
	return strings.Join(texts, "; ")
}

func readLast(results pgx.BatchResults, count int, read func(Row) error) error {
	for range count - 1 {
		if _, err := results.Exec(); err != nil {
			return err
		}
	}
	rows, err := results.Query()
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := read(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
