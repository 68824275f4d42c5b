package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// What [Translate] finds. Each wraps the driver's error.
var (
	// ErrNotFound: no row answers the query.
	ErrNotFound = errors.New("row not found")
	// ErrDuplicate: a unique index or primary key holds the value already.
	ErrDuplicate = errors.New("duplicate row")
	// ErrReference: a foreign key would point at a row that is not there.
	ErrReference = errors.New("referenced row missing or still in use")
	// ErrUnavailable: the database cannot be reached, is shutting down, is out of resources or took too long. The same call
	// may succeed later.
	ErrUnavailable = errors.New("database unavailable")
)

// Translate tells what err means, by the codes of the engines and never by their texts: the result is one of the errors
// above, wrapping err, or err itself. Translating twice does no harm.
func Translate(err error) error {
	for _, known := range []error{ErrNotFound, ErrDuplicate, ErrReference, ErrUnavailable} {
		if errors.Is(err, known) {
			return err
		}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, gorm.ErrRecordNotFound), errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	case errors.Is(err, context.Canceled):
		return err // the caller has gone: no verdict on the database
	}
	meaning := meaningOf(err)
	if meaning == nil {
		return err
	}
	return fmt.Errorf("%w: %w", meaning, err)
}

func meaningOf(err error) error {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return postgresMeaning(pg.Code)
	}
	if lite, ok := errors.AsType[*sqlite.Error](err); ok {
		return sqliteMeaning(lite.Code())
	}
	switch {
	case errors.Is(err, gorm.ErrDuplicatedKey):
		return ErrDuplicate
	case errors.Is(err, gorm.ErrForeignKeyViolated):
		return ErrReference
	case lostConnection(err):
		return ErrUnavailable
	default:
		return nil
	}
}

// postgresMeaning reads an SQLSTATE (Postgres manual, appendix A); its first two characters are the class.
func postgresMeaning(code string) error {
	switch code {
	case "23505": // unique_violation
		return ErrDuplicate
	case "23503": // foreign_key_violation
		return ErrReference
	case "40001", "40P01", // serialization_failure, deadlock_detected: the retries were used up
		"25P03",          // idle_in_transaction_session_timeout: this process stood still within a transaction
		"55P03", "57014", // lock_not_available, query_canceled: a time limit was reached
		"25006": // read_only_sql_transaction: a standby, while the primary changes
		return ErrUnavailable
	}
	for _, class := range []string{"08", "53", "57P", "58"} { // connection, resources, shutdown, system error
		if strings.HasPrefix(code, class) {
			return ErrUnavailable
		}
	}
	return nil
}

// sqliteMeaning reads an extended result code; its low byte is the primary code.
func sqliteMeaning(code int) error {
	switch code {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return ErrDuplicate
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return ErrReference
	}
	switch code & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN,
		sqlite3.SQLITE_NOMEM:
		return ErrUnavailable
	}
	return nil
}

func lostConnection(err error) bool {
	// What an operation on a file fails with looks like a net.Error, too: a transaction that writes a file has not lost its database.
	var path *fs.PathError
	var link *os.LinkError
	if errors.As(err, &path) || errors.As(err, &link) {
		return false
	}
	var network net.Error
	var connect *pgconn.ConnectError
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &network) || errors.As(err, &connect) || pgconn.SafeToRetry(err)
}

// unavailable marks err, the answer to a ping, as [ErrUnavailable] whatever its code.
func unavailable(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// retryable reports whether the engine rolled the transaction back and asks to run it again. A lost connection is not
// among the reasons: the commit may have happened.
func retryable(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code == "40001" || pg.Code == "40P01"
	}
	lite, ok := errors.AsType[*sqlite.Error](err)
	return ok && lite.Code()&0xff == sqlite3.SQLITE_BUSY
}
