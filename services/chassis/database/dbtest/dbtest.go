// Package dbtest gives tests empty databases of both engines. Postgres is a real server: the one SPECTRON_TEST_POSTGRES
// names, else one that this package starts from the installed binaries or from Docker and that does not outlive the test
// process. Where no server is to be had the test fails and says what to do: it never skips.
package dbtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/spectron-hq/spectron/services/chassis/settings"
)

// serverVariable names a server to use, by the URL of a role that may create databases.
const serverVariable = "SPECTRON_TEST_POSTGRES"

// patience bounds each single thing this package waits for.
const patience = 2 * time.Minute

// shared is the one server of the test process, started by the first test that needs it.
var shared struct {
	start  sync.Once
	server *server
	err    error
}

// Main runs the tests of a package and stops the server they started, if they did. Use it as
//
//	func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }
func Main(m *testing.M) int {
	code := m.Run()
	if shared.server != nil {
		shared.server.stop()
	}
	return code
}

// Each runs fn as the parallel subtests "sqlite" and "postgres", with the URL of a fresh database of that engine.
func Each(t *testing.T, fn func(t *testing.T, url string)) {
	t.Helper()
	for name, open := range map[string]func(testing.TB) string{"sqlite": SQLite, "postgres": Postgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fn(t, open(t))
		})
	}
}

// SQLite returns the URL of a SQLite database that does not exist yet. Its file goes with the test.
func SQLite(tb testing.TB) string {
	tb.Helper()
	return (&url.URL{Scheme: "sqlite", Path: filepath.Join(tb.TempDir(), "test.db")}).String()
}

// Postgres returns the URL of a fresh, empty Postgres database, as its superuser. The database is dropped when the test
// ends, whoever is still connected.
func Postgres(tb testing.TB) string {
	tb.Helper()
	shared.start.Do(func() { shared.server, shared.err = startServer(settings.OS()) })
	if shared.err != nil {
		tb.Fatalf("no Postgres for this test: %v", shared.err)
	}
	name := "test_" + randomName()
	admin(tb, "CREATE DATABASE "+name+" TEMPLATE template0")
	tb.Cleanup(func() { admin(tb, "DROP DATABASE "+name+" WITH (FORCE)") })
	u := *shared.server.url
	u.Path = "/" + name
	return u.String()
}

// admin runs one statement on the server's own database.
func admin(tb testing.TB, statement string) {
	tb.Helper()
	// Not the test's context: the database is dropped after that has ended.
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, shared.server.url.String())
	if err != nil {
		tb.Fatalf("connecting to the test server: %v\n%s", err, shared.server.logs())
	}
	if _, err := conn.Exec(ctx, statement); err != nil {
		tb.Errorf("preparing a test database: %v\n%s", err, shared.server.logs())
	}
	if err := conn.Close(ctx); err != nil {
		tb.Errorf("leaving the test server: %v", err)
	}
}

// randomName keeps what is made here apart from what other test processes make.
func randomName() string { return fmt.Sprintf("%016x", rand.Uint64()) } //nolint:gosec // a name, not a secret
