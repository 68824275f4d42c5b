package dbtest_test

import (
	"context"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

// What has been committed survives every way to end a server. What is not logged survives those in order, and only those:
// tests of what happens after a crash would otherwise show nothing.
func TestClusterKeepsWhatIsCommitted(t *testing.T) {
	t.Parallel()
	cluster := dbtest.StartCluster(t)
	database := cluster.Database(t)
	session := dial(t, database)
	run(t, session, "CREATE TABLE kept (n int)")
	run(t, session, "CREATE UNLOGGED TABLE fleeting (n int)")
	tests := []struct {
		name     string
		end      func() error
		fleeting int
	}{
		{"fast", func() error { return cluster.Stop(dbtest.Fast) }, 1},
		{"immediate", func() error { return cluster.Stop(dbtest.Immediate) }, 0},
		{"crash", cluster.Crash, 0},
	}
	for i, tt := range tests {
		run(t, session, "INSERT INTO kept VALUES (1)")
		run(t, session, "TRUNCATE fleeting")
		run(t, session, "INSERT INTO fleeting VALUES (1)")
		if err := tt.end(); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if err := cluster.Start(); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		session = dial(t, database)
		expect(t, session, "kept", i+1)
		expect(t, session, "fleeting", tt.fleeting)
	}
	if err := cluster.CrashBackend(t.Context(), database); err != nil {
		t.Fatal(err)
	}
	if session.Ping(t.Context()) == nil {
		t.Error("the session has outlived the crash")
	}
	if err := cluster.Await(); err != nil {
		t.Fatal(err)
	}
	expect(t, dial(t, database), "kept", len(tests))
}

func dial(t *testing.T, database *url.URL) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func run(t *testing.T, conn *pgx.Conn, statement string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func expect(t *testing.T, conn *pgx.Conn, table string, rows int) {
	t.Helper()
	var n int
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil || n != rows {
		t.Errorf("%s has %d rows, want %d (%v)", table, n, rows, err)
	}
}
