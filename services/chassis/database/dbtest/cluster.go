package dbtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// clusterFlags give up what a crash of the machine would need, but nothing that a crash of Postgres does: what it has
// written is safe with the operating system.
var clusterFlags = []string{"-c", "fsync=off", "-c", "max_connections=100", "-c", "timezone=UTC"}

// Cluster is a Postgres server of one test, which may crash it: all that has been committed survives. It is started from
// the installed binaries. It is for one goroutine at a time.
type Cluster struct {
	tb           testing.TB
	installation installation
	port         string
	flags        []string
	server       *server // nil while none runs
}

// Shutdown is a way to stop a server, as pg_ctl names them.
type Shutdown string

// The ways.
const (
	// Fast ends sessions and writes everything down.
	Fast Shutdown = "fast"
	// Immediate gives everything up, so that the next start recovers as after a crash.
	Immediate Shutdown = "immediate"
)

// StartCluster returns a running server, with further command line flags for it. It ends with the test, and with the test
// process however that ends.
func StartCluster(tb testing.TB, flags ...string) *Cluster {
	tb.Helper()
	bin := findBinaries()
	if bin == "" {
		tb.Fatal("no Postgres for this test, which crashes one: install it (such as apt-get install postgresql)")
	}
	i, err := initialize(bin)
	if err != nil {
		tb.Fatal(err)
	}
	port, err := freePort()
	if err != nil {
		tb.Fatal(err)
	}
	c := &Cluster{tb: tb, installation: i, port: port, flags: append(append([]string(nil), clusterFlags...), flags...)}
	tb.Cleanup(func() {
		if c.server != nil {
			c.server.stop()
		}
		if err := os.RemoveAll(i.dir); err != nil {
			tb.Errorf("removing the server's folder: %v", err)
		}
	})
	if err := c.Start(); err != nil {
		tb.Fatal(err)
	}
	return c
}

// Address is the host and port of the server, the same for its whole life.
func (c *Cluster) Address() string { return localURL(c.port).Host }

// Database makes an empty database and returns its URL, as its superuser.
func (c *Cluster) Database(tb testing.TB) *url.URL {
	tb.Helper()
	name := "test_" + randomName()
	if err := c.query(tb.Context(), "CREATE DATABASE "+name+" TEMPLATE template0"); err != nil {
		tb.Fatalf("preparing a test database: %v", err)
	}
	u := localURL(c.port)
	u.Path = "/" + name
	return u
}

// Start starts the server and returns when it answers. Where one has crashed, it recovers first.
func (c *Cluster) Start() error {
	if c.server != nil {
		return errors.New("the server runs already")
	}
	// The folder goes only when this process has ended: a server that crashes leaves it.
	script := fmt.Sprintf(watchdog, "touch ended; kill -QUIT $server", "[ -e ended ] && cd / && rm -rf '"+c.installation.dir+"'")
	for limit := time.Now().Add(patience); ; { //nolint:forbidigo // how long to try
		s, command := c.installation.server(c.port, script, c.flags)
		err := s.run(command)
		if err == nil {
			c.server = s
			return nil
		}
		// What is left of a crashed server may still have its shared memory.
		if time.Now().After(limit) { //nolint:forbidigo // see above
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Stop stops the server and returns when it is gone.
func (c *Cluster) Stop(how Shutdown) error {
	signals := map[Shutdown]syscall.Signal{Fast: syscall.SIGINT, Immediate: syscall.SIGQUIT}
	return c.end(signals[how])
}

// Crash kills the server's first process. The others notice, and end.
func (c *Cluster) Crash() error { return c.end(syscall.SIGKILL) }

func (c *Cluster) end(signal syscall.Signal) error {
	text, err := os.ReadFile(filepath.Join(c.installation.data(), "postmaster.pid"))
	if err != nil {
		return fmt.Errorf("finding the server's process: %w", err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil || pid <= 1 {
		return errors.New("finding the server's process: its file holds no process id")
	}
	if err := syscall.Kill(pid, signal); err != nil {
		return fmt.Errorf("ending the server: %w", err)
	}
	<-c.server.exited
	c.server = nil
	return nil
}

// CrashBackend kills the process of one session of the given database. Postgres has begun to end all the others, and to recover,
// when it returns.
func (c *Cluster) CrashBackend(ctx context.Context, database *url.URL) error {
	conn, err := pgx.Connect(ctx, localURL(c.port).String())
	if err != nil {
		return fmt.Errorf("connecting to the test server: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	var pid int
	err = conn.QueryRow(ctx, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname = $1 LIMIT 1",
		strings.TrimPrefix(database.Path, "/")).Scan(&pid)
	if err != nil {
		return fmt.Errorf("finding a session: %w", err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("killing a session: %w", err)
	}
	// This session ends with the others, when the server has noticed. Until then it takes new ones, which end, too.
	for conn.Ping(ctx) == nil {
		time.Sleep(time.Millisecond)
	}
	return ctx.Err()
}

// Await returns when the server answers.
func (c *Cluster) Await() error { return c.server.awaitAnswer() }

func (c *Cluster) query(ctx context.Context, statement string) error {
	conn, err := pgx.Connect(ctx, localURL(c.port).String())
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}
