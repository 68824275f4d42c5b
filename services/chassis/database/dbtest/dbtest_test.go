package dbtest_test

import (
	"bufio"
	"context"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

func TestEachIsFresh(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 4)
	t.Run("twice", func(t *testing.T) {
		t.Parallel()
		for range 2 {
			dbtest.Each(t, func(_ *testing.T, url string) { seen <- url })
		}
	})
	t.Cleanup(func() { // after the parallel subtests
		close(seen)
		different := map[string]bool{}
		for url := range seen {
			different[url] = true
		}
		if len(different) != 4 {
			t.Errorf("%d different databases, want 4", len(different))
		}
	})
}

func TestPostgresIsDropped(t *testing.T) {
	t.Parallel()
	var gone string // written before t.Run returns: the subtest is not parallel
	t.Run("uses it", func(t *testing.T) {
		gone = dbtest.Postgres(t)
		if err := connect(t, gone); err != nil {
			t.Error(err)
		}
	})
	refused, ok := errors.AsType[*pgconn.PgError](connect(t, gone))
	if !ok || refused.Code != "3D000" { // invalid_catalog_name
		t.Errorf("connecting to a dropped database: %v", refused)
	}
}

func connect(t *testing.T, connection string) error {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), connection)
	if err != nil {
		return err
	}
	return conn.Close(t.Context())
}

// TestServerDiesWithProcess starts this test binary again, as the process that starts a server and is killed.
func TestServerDiesWithProcess(t *testing.T) {
	t.Parallel()
	if os.Getenv("DBTEST_CHILD") != "" {
		_, _ = os.Stdout.WriteString("url " + dbtest.Postgres(t) + "\n")
		select {} // until killed
	}
	if os.Getenv("SPECTRON_TEST_POSTGRES") != "" {
		t.Log("the server is not ours: there is nothing to stop")
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestServerDiesWithProcess$")
	child.Env = append(os.Environ(), "DBTEST_CHILD=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the child said %q: %v", line, err)
	}
	server, err := url.Parse(strings.TrimSpace(strings.TrimPrefix(line, "url ")))
	if err != nil {
		t.Fatal(err)
	}
	if err := connect(t, server.String()); err != nil {
		t.Fatal(err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it was killed
	for connect(t, server.String()) == nil {
		select {
		case <-ctx.Done():
			t.Fatal("the server outlived the process that started it")
		case <-time.After(20 * time.Millisecond):
		}
	}
}
