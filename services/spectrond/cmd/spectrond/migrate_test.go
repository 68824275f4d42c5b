package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

// deployment is a Postgres database as an administrator prepares it: an owner who is no superuser and one role per plane.
type deployment struct {
	owner, control, data             string // connection strings
	controlRole, dataRole, ownerRole string
}

// prepare makes the roles for a fresh database and gives it to its owner.
func prepare(t *testing.T) deployment {
	t.Helper()
	admin := dbtest.Postgres(t)
	u, err := url.Parse(admin)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	d := deployment{controlRole: name + "_control", dataRole: name + "_data", ownerRole: name + "_owner"}
	execute(t, admin, fmt.Sprintf("REVOKE ALL ON DATABASE %q FROM PUBLIC", name))
	for _, r := range []struct {
		role       string
		connection *string
	}{{d.ownerRole, &d.owner}, {d.controlRole, &d.control}, {d.dataRole, &d.data}} {
		execute(t, admin,
			fmt.Sprintf("CREATE ROLE %q LOGIN PASSWORD 'test'", r.role),
			fmt.Sprintf("GRANT CONNECT ON DATABASE %q TO %q", name, r.role))
		t.Cleanup(func() {
			execute(t, admin, fmt.Sprintf("DROP OWNED BY %q CASCADE", r.role), fmt.Sprintf("DROP ROLE %q", r.role))
		})
		u.User = url.UserPassword(r.role, "test")
		*r.connection = u.String()
	}
	execute(t, admin, fmt.Sprintf("GRANT CREATE ON DATABASE %q TO %q", name, d.ownerRole))
	return d
}

// migrated is prepare, then the migration that gives each role its schema.
func migrated(t *testing.T) deployment {
	t.Helper()
	d := prepare(t)
	must(t, []string{"SPECTRON_CONNECTION_STRING=" + d.owner, "SPECTRON_CONTROL_ROLE=" + d.controlRole, "SPECTRON_DATA_ROLE=" + d.dataRole}, "migrate", "up")
	return d
}

func connect(t *testing.T, connection string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), connection) // a cleanup connects, too
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return conn
}

func execute(t *testing.T, connection string, statements ...string) {
	t.Helper()
	conn := connect(t, connection)
	for _, statement := range statements {
		if _, err := conn.Exec(context.Background(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// tables lists the tables of a schema, as its owner sees them.
func tables(t *testing.T, conn *pgx.Conn, schema string) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')", schema)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(names) < 2 {
		t.Fatalf("schema %s has %d tables: %v", schema, len(names), err)
	}
	return names
}

// The wall between the planes is the database's: neither role can touch a table of the other one's schema.
func TestNeitherRoleReachesTheOtherSchema(t *testing.T) {
	t.Parallel()
	d := migrated(t)
	owner := connect(t, d.owner)
	for _, tt := range []struct{ role, connection, own, other string }{
		{"the data plane's", d.data, "data", "control"},
		{"the key manager's", d.control, "control", "data"},
	} {
		conn := connect(t, tt.connection)
		for _, table := range tables(t, owner, tt.other) {
			name := pgx.Identifier{tt.other, table}.Sanitize()
			for _, statement := range []string{"SELECT * FROM " + name, "INSERT INTO " + name + " DEFAULT VALUES", "DELETE FROM " + name, "TRUNCATE " + name, "DROP TABLE " + name} {
				_, err := conn.Exec(t.Context(), statement)
				var pg *pgconn.PgError
				if !errors.As(err, &pg) || pg.Code != "42501" {
					t.Errorf("as %s role, %s: %v", tt.role, statement, err)
				}
			}
		}
		for _, table := range tables(t, owner, tt.own) {
			if _, err := conn.Exec(t.Context(), "SELECT * FROM "+pgx.Identifier{tt.own, table}.Sanitize()); err != nil {
				t.Errorf("as %s role: %v", tt.role, err)
			}
		}
	}
}

// Whoever has the key manager's role adds to the audit log and to its chain, and takes nothing away.
func TestTheKeyManagersRoleOnlyAddsToTheAuditLog(t *testing.T) {
	t.Parallel()
	d := migrated(t)
	conn := connect(t, d.control)
	for _, statement := range []string{
		"UPDATE control.audit_log SET target = ''", "DELETE FROM control.audit_log", "TRUNCATE control.audit_log",
		"UPDATE control.audit_seals SET seq = seq", "DELETE FROM control.audit_seals", "ALTER TABLE control.audit_log DISABLE TRIGGER USER",
		"INSERT INTO control.audit_anchors (last_seq, last_hash, first_seq, at) VALUES (1, '', 1, now())",
	} {
		_, err := conn.Exec(t.Context(), statement)
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.Code != "42501" {
			t.Errorf("%s: %v", statement, err)
		}
	}
}

func TestRacingMigrationsAllSucceed(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		args := []string{"migrate", "--connection-string", url}
		if strings.HasPrefix(url, "postgres") {
			d := prepare(t)
			url = d.owner
			args = []string{"migrate", "up", "--connection-string", url, "--control-role", d.controlRole, "--data-role", d.dataRole}
		}
		outcomes := make(chan outcome)
		const migrators = 6
		for range migrators {
			go func() { outcomes <- spectrond(t, nil, args...) }()
		}
		for range migrators {
			if out := <-outcomes; out.status != 0 {
				t.Errorf("exit status %d: %s", out.status, out.stderr)
			}
		}
		if got := pending(t, url); got != 0 {
			t.Errorf("%d migrations are pending", got)
		}
	})
}

func TestMigrationsGoDownAndUpAgain(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		if path, err := database.FilePath(url); err == nil { // an empty database, as the one on Postgres is
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		all := pending(t, url)
		must(t, nil, "migrate", "--only", "control", "--connection-string", url)
		if got := pending(t, url); got == 0 || got == all {
			t.Errorf("%d of %d migrations are pending after one schema", got, all)
		}
		must(t, nil, "migrate", "up", "--connection-string", url)
		must(t, nil, "migrate", "down", "--steps", "1000", "--connection-string", url)
		if got := pending(t, url); got != all {
			t.Errorf("%d of %d migrations are pending after all were undone", got, all)
		}
		must(t, nil, "migrate", "up", "--connection-string", url)
		if got := pending(t, url); got != 0 {
			t.Errorf("%d migrations are pending in the end", got)
		}
	})
}

func TestMigrateWaitsForTheDatabaseAndNoLonger(t *testing.T) {
	t.Parallel()
	nobody := "postgres://user:not-to-be-shown@127.0.0.1:1/none"
	out := spectrond(t, nil, "migrate", "--connection-string", nobody, "--wait", "600ms")
	if out.status != 1 || !strings.Contains(out.stderr, "waiting for the database") || !strings.Contains(out.stderr, "gave up after 600ms") {
		t.Errorf("exit status %d: %s", out.status, out.stderr)
	}
	wrong, err := url.Parse(dbtest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	wrong.User = url.UserPassword("nobody-of-that-name", "not-to-be-shown")
	refused := spectrond(t, nil, "migrate", "--connection-string", wrong.String())
	if refused.status != 1 || strings.Contains(refused.stderr, "waiting") {
		t.Errorf("a role that is refused: exit status %d: %s", refused.status, refused.stderr)
	}
	if strings.Contains(out.stderr+refused.stderr, "not-to-be-shown") {
		t.Error("the password was shown")
	}
}

// pending asks how many migrations have not been applied.
func pending(t *testing.T, url string) int {
	t.Helper()
	out := must(t, nil, "migrate", "status", "-o", "json", "--connection-string", url)
	var list []struct {
		AppliedAt *string `json:"applied_at"`
	}
	if err := json.Unmarshal([]byte(out.stdout), &list); err != nil || len(list) < 2 {
		t.Fatalf("%d migrations: %v", len(list), err)
	}
	n := 0
	for _, m := range list {
		if m.AppliedAt == nil {
			n++
		}
	}
	return n
}
