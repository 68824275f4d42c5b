package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
)

// poolSizeParameter is the URL parameter that sets the number of connections, named as pgxpool names it.
const poolSizeParameter = "pool_max_conns"

// requestSettings are of the connections that serve requests. Parameters in the URL win.
var requestSettings = map[string]string{
	// They end what a request left behind: no statement of a request takes this long.
	"statement_timeout":                   "30s",
	"idle_in_transaction_session_timeout": "60s",
	// Compiling a plan takes longer, by hundreds of milliseconds, than any statement of a request runs.
	"jit": "off",
}

// schemaName keeps schemas to names that need no quoting, in search_path or anywhere else.
var schemaName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

func openPostgres(ctx context.Context, u *url.URL, schema string) (*DB, error) {
	if schema != "" && !schemaName.MatchString(schema) {
		return nil, fmt.Errorf("schema %q: want lower-case letters, digits and underscores", schema)
	}
	config, size, err := postgresConfig(u, schema)
	if err != nil {
		return nil, err
	}
	limited := config.Copy()
	for name, setting := range requestSettings {
		if _, set := limited.RuntimeParams[name]; !set {
			limited.RuntimeParams[name] = setting
		}
	}
	pool := openPool(limited, size)
	if err := pool.PingContext(ctx); err != nil {
		return nil, errors.Join(unavailable(err), pool.Close())
	}
	// pgx keeps its own cache of prepared statements per connection: GORM's would be a second one.
	handle, err := gorm.Open(postgres.New(postgres.Config{Conn: pool}), gormConfig(false))
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return &DB{
		DB:         handle,
		Engine:     Postgres,
		reader:     handle,
		readOption: &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true},
		schema:     schema,
		migrate:    func() (*sql.DB, error) { return openPool(config, 2), nil },
		// No statement limit: it would end the wait.
		listen: func(ctx context.Context) (*pgx.Conn, error) { return pgx.ConnectConfig(ctx, config.Copy()) },
		pools:  []*sql.DB{pool},
	}, nil
}

func postgresConfig(u *url.URL, schema string) (*pgx.ConnConfig, int, error) {
	query := u.Query()
	// Enough to keep a database's cores busy, few enough that several replicas fit into the usual 100 connections.
	size := max(10, 4*runtime.GOMAXPROCS(0))
	if text := query.Get(poolSizeParameter); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, 0, fmt.Errorf("%s in the connection string must be a positive number", poolSizeParameter)
		}
		size = n
		query.Del(poolSizeParameter)
	}
	clean := *u
	clean.RawQuery = query.Encode()
	config, err := pgx.ParseConfig(clean.String())
	if err != nil {
		return nil, 0, withoutPassword(err, u)
	}
	if schema != "" {
		config.RuntimeParams["search_path"] = schema
	}
	config.RuntimeParams["timezone"] = "UTC"
	return config, size, nil
}

func openPool(config *pgx.ConnConfig, size int) *sql.DB {
	pool := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(func(_ context.Context, conn *pgx.Conn) error {
		// Without this a timestamptz arrives in the zone of the machine.
		conn.TypeMap().RegisterType(&pgtype.Type{
			Name:  "timestamptz",
			OID:   pgtype.TimestamptzOID,
			Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
		})
		return nil
	}))
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	// Connections move on to a new primary, or to a name server's new answer, without a restart.
	pool.SetConnMaxLifetime(30 * time.Minute)
	return pool
}

// withoutPassword returns err's text with the password of u blotted out, should the driver have quoted it.
func withoutPassword(err error, u *url.URL) error {
	text := err.Error()
	password, _ := u.User.Password()
	for _, secret := range []string{password, url.QueryEscape(password), url.PathEscape(password), u.Query().Get("password")} {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "REDACTED")
		}
	}
	return errors.New(text)
}
