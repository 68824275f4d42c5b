package torture_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// replica is one process under test. While it is wanted it is started again whenever it ends, as an operator's supervisor
// would.
type replica struct {
	name    string
	address string
	environ []string
	log     string // path

	change sync.Mutex // one fault at a time

	mu      sync.Mutex // guards the following fields
	wanted  bool
	command *exec.Cmd
	leash   io.Closer // the process ends when this is closed
	done    chan struct{}
}

// newReplica describes a process in the given role, which listens on a port of its own.
func newReplica(t *testing.T, name, role string, environ map[string]string) *replica {
	t.Helper()
	r := &replica{name: name, address: freeAddress(t), log: t.TempDir() + "/" + name + ".log"}
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "SPECTRON_") {
			r.environ = append(r.environ, entry)
		}
	}
	environ[roleVariable] = role
	environ["SPECTRON_BIND_ADDRESS"] = r.address
	environ["SPECTRON_ADMIN_ADDRESS"] = "off"
	for variable, value := range environ {
		r.environ = append(r.environ, variable+"="+value)
	}
	return r
}

// freeAddress returns a port that nobody listens on, outside of the range that outgoing connections draw from: one of them
// could take it while the replica is down.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(10_000+rand.IntN(20_000)))
		listener, err := net.Listen("tcp", address)
		if err == nil {
			_ = listener.Close()
			return address
		}
	}
	t.Fatal("no free port")
	return ""
}

// start starts r and keeps it running.
func (r *replica) start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wanted, r.done = true, make(chan struct{})
	go r.keep(r.done)
}

func (r *replica) keep(done chan struct{}) {
	defer close(done)
	for {
		command, err := r.launch()
		if command == nil && err == nil {
			return
		}
		if err == nil {
			_ = command.Wait() // the log tells why
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// launch starts one process; it returns nil when none is wanted any more.
func (r *replica) launch() (*exec.Cmd, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.wanted {
		return nil, nil
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(r.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the process has its own
	command := exec.Command(program)
	command.Env, command.Stdout, command.Stderr = r.environ, log, log
	// A group of its own: when this process dies while that one is stopped, the kernel ends it.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if r.leash, err = command.StdinPipe(); err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	r.command = command
	return command, nil
}

// kill ends r at once, whatever it does, and returns when it is gone.
func (r *replica) kill() {
	r.mu.Lock()
	if !r.wanted {
		r.mu.Unlock()
		return
	}
	r.wanted = false
	r.signalLocked(syscall.SIGKILL)
	done := r.done
	r.mu.Unlock()
	<-done
}

// pause stops r in the middle of whatever it does; resume lets it go on, knowing nothing.
func (r *replica) pause()  { r.signal(syscall.SIGSTOP) }
func (r *replica) resume() { r.signal(syscall.SIGCONT) }

func (r *replica) signal(signal syscall.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.signalLocked(signal)
}

func (r *replica) signalLocked(signal syscall.Signal) {
	if r.command != nil {
		_ = r.command.Process.Signal(signal) // it may be gone already
	}
}

// await returns when r serves.
func (r *replica) await(ctx context.Context) error {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.address+"/health", nil)
		if err != nil {
			return err
		}
		res, err := client.Do(req)
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w\n%s", r.name, errors.Join(ctx.Err(), err), r.tail())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// tail returns the end of r's log.
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
		t.Errorf("reading the log of %s: %v", r.name, err)
	}
	for _, bad := range []string{"DATA RACE", "panic", "fatal error:"} {
		if at := bytes.Index(text, []byte(bad)); at >= 0 {
			t.Errorf("%s: %s", r.name, text[at:min(len(text), at+4096)])
		}
	}
}
