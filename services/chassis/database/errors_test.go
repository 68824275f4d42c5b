package database_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

func TestTranslate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		err  error
		want error // nil: err itself comes back
	}{
		"nothing":       {nil, nil},
		"other":         {errors.New("other"), nil},
		"row":           {gorm.ErrRecordNotFound, database.ErrNotFound},
		"wrapped":       {fmt.Errorf("reading: %w", gorm.ErrRecordNotFound), database.ErrNotFound},
		"unique":        {&pgconn.PgError{Code: "23505"}, database.ErrDuplicate},
		"reference":     {&pgconn.PgError{Code: "23503"}, database.ErrReference},
		"check":         {&pgconn.PgError{Code: "23514"}, nil},
		"syntax":        {&pgconn.PgError{Code: "42601"}, nil},
		"serialization": {&pgconn.PgError{Code: "40001"}, database.ErrUnavailable},
		"timeout":       {&pgconn.PgError{Code: "57014"}, database.ErrUnavailable},
		"shutdown":      {&pgconn.PgError{Code: "57P01"}, database.ErrUnavailable},
		"connections":   {&pgconn.PgError{Code: "53300"}, database.ErrUnavailable},
		"standby":       {&pgconn.PgError{Code: "25006"}, database.ErrUnavailable},
		"cut":           {io.ErrUnexpectedEOF, database.ErrUnavailable},
		"deadline":      {context.DeadlineExceeded, database.ErrUnavailable},
		"caller gone":   {context.Canceled, nil},
		"socket":        {&net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", syscall.ENOENT)}, database.ErrUnavailable},
		"file":          {fmt.Errorf("writing: %w", &fs.PathError{Op: "open", Path: "/archive", Err: syscall.ENOENT}), nil},
		"rename":        {&os.LinkError{Op: "rename", Old: "/a", New: "/b", Err: syscall.EXDEV}, nil},
		"already told":  {fmt.Errorf("storing: %w", database.ErrDuplicate), nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := database.Translate(test.err)
			if test.want == nil {
				if got != test.err { //nolint:errorlint // the very same error is promised
					t.Errorf("got %v, want it unchanged", got)
				}
				return
			}
			if !errors.Is(got, test.want) || !errors.Is(got, test.err) {
				t.Errorf("got %v, want %v around %v", got, test.want, test.err)
			}
		})
	}
}

func TestTranslateOfEngines(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db := counters(t, url)
		for _, statement := range []string{
			"CREATE TABLE parents (id bigint PRIMARY KEY, name text UNIQUE)",
			"CREATE TABLE children (id bigint PRIMARY KEY, parent_id bigint NOT NULL REFERENCES parents (id))",
			"INSERT INTO parents VALUES (1, 'one')",
			"INSERT INTO children VALUES (1, 1)",
		} {
			if err := db.Exec(statement).Error; err != nil {
				t.Fatal(err)
			}
		}
		tests := map[string]error{
			"INSERT INTO parents VALUES (1, 'two')":   database.ErrDuplicate,
			"INSERT INTO parents VALUES (2, 'one')":   database.ErrDuplicate,
			"INSERT INTO children VALUES (2, 7)":      database.ErrReference,
			"DELETE FROM parents":                     database.ErrReference,
			"INSERT INTO nowhere VALUES (1)":          nil,
			"INSERT INTO children VALUES (3, NULL)":   nil,
			"UPDATE parents SET id = 1 WHERE id = 99": nil,
		}
		for statement, want := range tests {
			err := db.Tx(t.Context(), func(tx *gorm.DB) error { return tx.Exec(statement).Error })
			for _, known := range []error{database.ErrDuplicate, database.ErrReference, database.ErrNotFound, database.ErrUnavailable} {
				if errors.Is(err, known) != (known == want) { //nolint:errorlint // comparing two sentinels
					t.Errorf("%s: %v, want %v", statement, err, want)
				}
			}
		}
		err := db.Read(t.Context(), func(tx *gorm.DB) error { return tx.Take(&counter{}, "name = ?", "none").Error })
		if !errors.Is(err, database.ErrNotFound) {
			t.Errorf("missing row: %v", err)
		}
	})
}

func TestTranslateLock(t *testing.T) {
	t.Parallel()
	url := dbtest.SQLite(t)
	holder, other := counters(t, url), open(t, url)
	// Waiting out the real limit would take five attempts of five seconds.
	if err := other.Exec("PRAGMA busy_timeout = 10").Error; err != nil {
		t.Fatal(err)
	}
	err := holder.Tx(t.Context(), func(*gorm.DB) error {
		return other.Tx(t.Context(), func(*gorm.DB) error {
			t.Error("two write transactions at once")
			return nil
		})
	})
	if !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("locked out: %v, want ErrUnavailable", err)
	}
}

func TestClosedServer(t *testing.T) {
	t.Parallel()
	url := dbtest.Postgres(t)
	db, other := open(t, url), open(t, url)
	err := db.Tx(t.Context(), func(tx *gorm.DB) error {
		var pid int
		if err := tx.Raw("SELECT pg_backend_pid()").Scan(&pid).Error; err != nil {
			return err
		}
		if err := other.Exec("SELECT pg_terminate_backend(?)", pid).Error; err != nil {
			return err
		}
		return tx.Exec("SELECT 1").Error
	})
	if !errors.Is(err, database.ErrUnavailable) {
		t.Errorf("killed connection: %v, want ErrUnavailable", err)
	}
	if err := db.Tx(t.Context(), func(tx *gorm.DB) error { return tx.Exec("SELECT 1").Error }); err != nil {
		t.Errorf("the pool did not recover: %v", err)
	}
}

// What a store writes must be what it reads, to the microsecond and in UTC, and sort as it happened.
func TestTimes(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db := counters(t, url)
		zone := time.FixedZone("elsewhere", -5*60*60)
		base := time.Date(2026, 3, 1, 23, 30, 0, 0, zone)
		offsets := []time.Duration{0, time.Microsecond, 10 * time.Microsecond, 500 * time.Millisecond, time.Second, time.Hour}
		var want []time.Time
		for i, offset := range offsets {
			seen := base.Add(offset)
			if i%2 == 1 {
				seen = seen.UTC()
			}
			want = append(want, seen)
			if err := db.Create(&counter{Name: fmt.Sprint(i), Seen: seen}).Error; err != nil {
				t.Fatal(err)
			}
		}
		var rows []counter
		if err := db.Reader(t.Context()).Order("seen").Find(&rows).Error; err != nil {
			t.Fatal(err)
		}
		var got []time.Time
		for _, row := range rows {
			if row.Seen.Location() != time.UTC {
				t.Errorf("a time in %v", row.Seen.Location())
			}
			got = append(got, row.Seen)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("times (-want +got):\n%s", diff)
		}
	})
}

// The log may tell statements, never values. Not parallel: it borrows the default logger.
func TestLogHoldsNoValues(t *testing.T) { //nolint:paralleltest // see above
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	defer slog.SetDefault(before)
	for _, url := range []string{dbtest.SQLite(t), dbtest.Postgres(t)} {
		db := counters(t, url)
		for range 2 {
			err := db.WithContext(t.Context()).Create(&counter{Name: "hush-hush"}).Error
			err = errors.Join(err, db.WithContext(t.Context()).Exec("SELECT CAST(? AS bigint), no_such_column", "hush-hush").Error)
			if err == nil {
				t.Fatal("nothing failed")
			}
		}
	}
	if n := strings.Count(log.String(), `"msg":"database statement"`); n < 4 {
		t.Errorf("%d failures logged:\n%s", n, log.String())
	}
	if strings.Contains(log.String(), "hush") {
		t.Error("the log holds a value")
	}
}
