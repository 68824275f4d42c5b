package database_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

// rolePassword is of roles that exist only while a test runs.
const rolePassword = "test-role"

// newRole creates a role with suffix in its name and returns that name and a URL to connect as it.
func newRole(t *testing.T, db *database.DB, admin, suffix, attributes string) (name, connection string) {
	t.Helper()
	u, err := url.Parse(admin)
	if err != nil {
		t.Fatal(err)
	}
	name = strings.TrimPrefix(u.Path, "/") + " " + suffix // a name that needs quoting
	exec(t, db, fmt.Sprintf("CREATE ROLE %q LOGIN PASSWORD '%s' %s", name, rolePassword, attributes))
	t.Cleanup(func() {
		db := connect(t, admin)
		exec(t, db, fmt.Sprintf("DROP OWNED BY %q", name))
		exec(t, db, fmt.Sprintf("DROP ROLE %q", name))
	})
	u.User = url.UserPassword(name, rolePassword)
	return name, u.String()
}

func connect(t *testing.T, connection string) *database.DB {
	t.Helper()
	// Not the test's context: a cleanup opens the database too.
	db, err := database.Open(context.Background(), connection, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func exec(t *testing.T, db *database.DB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if err := db.Exec(statement).Error; err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func insufficientPrivilege(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "42501"
}

func TestRestrictKeepsEachRoleToItsSchema(t *testing.T) {
	t.Parallel()
	admin := dbtest.Postgres(t)
	db := connect(t, admin)
	left, leftURL := newRole(t, db, admin, "left", "")
	right, rightURL := newRole(t, db, admin, "right", "")
	exec(t, db,
		`CREATE SCHEMA "l"`, `CREATE TABLE l.t (id bigserial, v text)`, `CREATE TABLE l.version (n int)`, `CREATE TABLE l.log (id bigserial, v text)`,
		`CREATE SCHEMA "r"`, `CREATE TABLE r.t (id bigserial, v text)`,
		// What must be taken back.
		fmt.Sprintf(`GRANT ALL ON SCHEMA l TO PUBLIC, %q`, right), fmt.Sprintf(`GRANT ALL ON l.t TO PUBLIC, %q`, right),
		fmt.Sprintf(`ALTER DEFAULT PRIVILEGES IN SCHEMA l GRANT ALL ON TABLES TO %q`, right))
	list := []database.Access{
		{Schema: "l", Role: left, ReadOnly: []string{"version"}, AppendOnly: []string{"log"}, Denied: []string{right}},
		{Schema: "r", Role: right, Denied: []string{left}},
	}
	// At once and again: as several replicas of a migration would.
	errs := make(chan error)
	for range 4 {
		go func() { errs <- database.Restrict(context.Background(), db, list...) }()
	}
	for range 4 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	exec(t, db, `CREATE TABLE l.later (id bigserial, v text)`)

	use := func(table string) []string {
		return []string{
			"INSERT INTO " + table + " (v) VALUES ('x')", "SELECT * FROM " + table, "UPDATE " + table + " SET v = 'y'", "DELETE FROM " + table,
		}
	}
	asLeft, asRight := connect(t, leftURL), connect(t, rightURL)
	exec(t, asLeft, use("l.t")...)
	exec(t, asLeft, use("l.later")...)
	exec(t, asLeft, "SELECT * FROM l.version", "INSERT INTO l.log (v) VALUES ('x')", "SELECT * FROM l.log")
	exec(t, asRight, use("r.t")...)
	for _, statement := range append(use("l.t"), append(use("l.later"), "CREATE TABLE l.mine (n int)", "CREATE TABLE r.mine (n int)")...) {
		if err := asRight.Exec(statement).Error; !insufficientPrivilege(err) {
			t.Errorf("the wrong role, %s: %v", statement, err)
		}
	}
	for _, statement := range append(use("r.t"), "INSERT INTO l.version VALUES (9)", "TRUNCATE l.t", "DROP TABLE l.t",
		"UPDATE l.log SET v = 'y'", "DELETE FROM l.log") {
		if err := asLeft.Exec(statement).Error; !insufficientPrivilege(err) {
			t.Errorf("the wrong role, %s: %v", statement, err)
		}
	}
}

func TestRestrictRefusesRolesItCannotRestrict(t *testing.T) {
	t.Parallel()
	admin := dbtest.Postgres(t)
	db := connect(t, admin)
	plain, plainURL := newRole(t, db, admin, "plain", "")
	super, _ := newRole(t, db, admin, "super", "SUPERUSER")
	exec(t, db, `CREATE SCHEMA s`, `CREATE TABLE s.t (id int)`)
	tests := map[string]struct {
		access database.Access
		want   string
	}{
		"superuser":   {database.Access{Schema: "s", Role: plain, Denied: []string{super}}, "would still reach"},
		"unknown":     {database.Access{Schema: "s", Role: "nobody of that name"}, "does not exist"},
		"unknown too": {database.Access{Schema: "s", Role: plain, Denied: []string{"nobody of that name"}}, "does not exist"},
	}
	for name, tt := range tests {
		err := database.Restrict(t.Context(), db, tt.access)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := connect(t, plainURL).Exec("SELECT * FROM s.t").Error; !insufficientPrivilege(err) {
		t.Errorf("a refused restriction changed rights: %v", err)
	}
}

func TestRestrictNeedsPostgres(t *testing.T) {
	t.Parallel()
	if err := database.Restrict(t.Context(), connect(t, dbtest.SQLite(t))); err == nil {
		t.Error("SQLite took it")
	}
}
