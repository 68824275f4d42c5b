package database

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	"modernc.org/sqlite"
)

// slowStatement is the time from which a statement is worth a line in the log.
const slowStatement = 200 * time.Millisecond

// maxStatements bounds GORM's cache of prepared statements: statements with lists of varying length would grow it without end.
const maxStatements = 256

func gormConfig(prepare bool) *gorm.Config {
	return &gorm.Config{
		Logger:                 statementLog{},
		TranslateError:         true,
		PrepareStmt:            prepare,
		PrepareStmtMaxSize:     maxStatements,
		SkipDefaultTransaction: true, // what must be atomic asks for Tx
		DisableAutomaticPing:   true, // the pool has been pinged
	}
}

// statementLog tells slog, at debug level, of statements that failed or were slow. It never sees a parameter's value, and
// of an error it tells the code only, because the text may quote a value.
type statementLog struct{}

var (
	_ logger.Interface  = statementLog{}
	_ gorm.ParamsFilter = statementLog{}
)

// ParamsFilter keeps parameters out of the text that Trace receives.
func (statementLog) ParamsFilter(_ context.Context, statement string, _ ...any) (string, []any) {
	return statement, nil
}

// LogMode changes nothing: slog decides about levels.
func (l statementLog) LogMode(logger.LogLevel) logger.Interface { return l }

// Info drops GORM's own remarks, which may hold values.
func (statementLog) Info(context.Context, string, ...any) {}

// Warn drops GORM's own remarks, which may hold values.
func (statementLog) Warn(context.Context, string, ...any) {}

// Error drops GORM's own remarks; the errors themselves are returned to the caller.
func (statementLog) Error(context.Context, string, ...any) {}

// Trace is called after each statement.
func (statementLog) Trace(ctx context.Context, begin time.Time, statement func() (string, int64), err error) {
	log := slog.Default()
	if !log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	duration := time.Since(begin)
	failed := err != nil && !errors.Is(err, gorm.ErrRecordNotFound)
	if !failed && duration < slowStatement {
		return
	}
	text, rows := statement()
	log.DebugContext(ctx, "database statement", slog.String("sql", text), slog.Int64("rows", rows),
		slog.Duration("duration", duration), slog.Bool("failed", failed), slog.Any("code", codeOf(err)))
}

// codeOf returns the engine's code of err, or nil.
func codeOf(err error) any {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code
	}
	if lite, ok := errors.AsType[*sqlite.Error](err); ok {
		return lite.Code()
	}
	return nil
}
