package rollout_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/spectrond/internal/command"
	"github.com/spectron-hq/spectron/services/spectrond/internal/migration"
)

// The test binary is spectrond when it is started by that name.
func TestMain(m *testing.M) {
	testscript.Main(suite{m}, map[string]func(){
		"spectrond": func() { os.Exit(command.Main("v0.0.0-test")) },
	})
}

type suite struct{ m *testing.M }

func (s suite) Run() int { return dbtest.Main(s.m) }

// patience bounds each single thing that a test waits for.
const patience = time.Minute

// current is the program of the release under test: this test binary.
const current = "spectrond"

var (
	pepper        = strings.Repeat("p", 32)
	serviceSecret = strings.Repeat("s", 32)
)

// fleet is a deployment of real processes on one Postgres.
type fleet struct {
	database string
	drain    time.Duration
	lease    time.Duration
}

// newFleet returns a database that the release under test has migrated.
func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{database: dbtest.Postgres(t), lease: 2 * time.Second}
	target := migration.Target{ConnectionString: f.database, Planes: migration.Planes(), Log: slog.New(slog.DiscardHandler)}
	if err := target.Up(t.Context(), func(migration.Plane, int) error { return nil }); err != nil {
		t.Fatal(err)
	}
	return f
}

// replica is one process at an address that it keeps when it is replaced.
type replica struct {
	name, address string
	args, env     []string

	command *exec.Cmd
	log     string // path
	exited  chan error
}

// keymanager starts program as a key manager.
func (f *fleet) keymanager(t *testing.T, program string) *replica {
	t.Helper()
	return f.replica(t, program, "key manager", []string{
		"SPECTRON_PEPPER=" + pepper, "SPECTRON_LEASE_TTL=" + f.lease.String(),
	}, "management", "start")
}

// dataplane starts program as a data plane of the key manager at management.
func (f *fleet) dataplane(t *testing.T, program, management string) *replica {
	t.Helper()
	return f.replica(t, program, "data plane", []string{"SPECTRON_MANAGEMENT_URL=" + management}, "api", "start")
}

func (f *fleet) replica(t *testing.T, program, name string, env []string, args ...string) *replica {
	t.Helper()
	r := &replica{name: name, address: freeAddress(t), args: args, log: filepath.Join(t.TempDir(), "log")}
	r.env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "TMPDIR=" + os.TempDir(),
		"SPECTRON_CONNECTION_STRING=" + f.database, "SPECTRON_SERVICE_SECRET=" + serviceSecret, "SPECTRON_BIND_ADDRESS=" + r.address,
		"SPECTRON_ADMIN_ADDRESS=off", "SPECTRON_LOG_FORMAT=json", "SPECTRON_DRAIN_DELAY=" + f.drain.String(),
	}, env...)
	r.start(t, program)
	t.Cleanup(func() {
		_ = r.command.Process.Kill() // it may have ended
		if err := <-r.exited; err != nil {
			t.Logf("killed, or told to end before: %v", err)
		}
		r.checkLog(t)
	})
	return r
}

// url is where r serves.
func (r *replica) url() string { return "http://" + r.address }

// start starts r with program and returns when it serves.
func (r *replica) start(t *testing.T, program string) {
	t.Helper()
	log, err := os.OpenFile(r.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }() // the process has its own
	r.command = exec.Command(program, r.args...)
	r.command.Env, r.command.Stdout, r.command.Stderr = r.env, log, log
	if err := r.command.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	r.exited = exited
	command := r.command
	go func() {
		exited <- command.Wait()
		close(exited)
	}()
	await(t, r.name+" serves", func() error {
		select {
		case err := <-exited:
			t.Fatalf("%s ended: %v\n%s", r.name, err, r.tail())
		default:
		}
		return healthy(t.Context(), r.url())
	})
}

// replace ends r as an orchestrator does, and starts program in its place.
func (r *replica) replace(t *testing.T, program string) {
	t.Helper()
	if err := r.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-r.exited:
		if err != nil {
			t.Errorf("%s ended with %v\n%s", r.name, err, r.tail())
		}
	case <-time.After(patience):
		t.Fatalf("%s does not end", r.name)
	}
	r.start(t, program)
}

func (r *replica) tail() string {
	text, err := os.ReadFile(r.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4096):])
}

// checkLog fails the test when r has said what no process may say.
func (r *replica) checkLog(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(r.log)
	if err != nil {
		t.Error(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		for _, bad := range []string{"DATA RACE", "panic:", "fatal error:"} {
			if strings.Contains(lines.Text(), bad) {
				t.Errorf("%s says: %s", r.name, lines.Text())
			}
		}
	}
}

// healthy asks url for its health.
func healthy(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/health", nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("health: %s", res.Status)
	}
	return nil
}

// await returns when what holds.
func await(t *testing.T, what string, holds func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := holds()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waiting until %s: %v", what, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// freeAddress returns a port that nobody listens on, outside of the range that outgoing connections draw from: one of them
// could take it while the replica is down.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(10_000+rand.IntN(20_000)))
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
		if err == nil {
			_ = listener.Close()
			return address
		}
	}
	t.Fatal("no free port")
	return ""
}

// bootstrap makes the first keys with program, and returns how clients reach the deployment.
func bootstrap(t *testing.T, program, data, management string) target {
	t.Helper()
	command := exec.CommandContext(t.Context(), program, "bootstrap")
	command.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "SPECTRON_MANAGEMENT_URL=" + management, "SPECTRON_SERVICE_SECRET=" + serviceSecret,
	}
	out, err := command.Output()
	if err != nil {
		exit := new(exec.ExitError)
		_ = errors.As(err, &exit)
		t.Fatalf("bootstrap: %v\n%s", err, exit.Stderr)
	}
	t.Helper()
	return readTarget(t, string(out), data, management)
}

// readTarget reads what a bootstrap has printed.
func readTarget(t *testing.T, printed, data, management string) target {
	t.Helper()
	values := map[string]string{}
	for line := range strings.Lines(printed) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[name] = value
	}
	out := target{
		data: data, management: management, context: values["SPECTRON_CONTEXT_ID"],
		key: values["SPECTRON_API_KEY"], operator: values["SPECTRON_MANAGEMENT_API_KEY"],
	}
	if out.context == "" || out.key == "" || out.operator == "" {
		t.Fatal("bootstrap has printed no keys")
	}
	return out
}
