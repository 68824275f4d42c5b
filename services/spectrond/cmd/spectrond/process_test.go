package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds each single thing that a test waits for.
const patience = time.Minute

// environ is the environment of a process under test: nothing of ours but what a process needs to start.
func environ(more ...string) []string {
	list := []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "TMPDIR=" + os.TempDir()}
	return append(list, more...)
}

// outcome is what a finished process left.
type outcome struct {
	status         int
	stdout, stderr string
}

// spectrond runs a command to its end.
func spectrond(t *testing.T, env []string, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "spectrond", args...)
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = environ(env...), t.TempDir(), &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Errorf("spectrond %s: %v", args[0], err) // not Fatal: it may be called by any goroutine
		return outcome{status: -1}
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// must is spectrond for a command that has to succeed.
func must(t *testing.T, env []string, args ...string) outcome {
	t.Helper()
	out := spectrond(t, env, args...)
	if out.status != 0 {
		t.Fatalf("spectrond %s: exit status %d\n%s", strings.Join(args, " "), out.status, out.stderr)
	}
	return out
}

// server is a process that serves until it is stopped.
type server struct {
	// address is where it serves.
	address string

	cmd    *exec.Cmd
	log    *recorder
	stdout *recorder
	exited chan struct{} // closed when it has ended, after err is set
	err    error
}

// start starts a server and returns when it serves. It is killed with the test at the latest.
func start(t *testing.T, env []string, args ...string) *server {
	t.Helper()
	s, err := launch(t.TempDir(), environ(append(env, "SPECTRON_LOG_FORMAT=json")...), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	return s
}

// launch does it for callers without a *testing.T.
func launch(dir string, env []string, args ...string) (*server, error) {
	s := &server{log: newRecorder(), stdout: newRecorder(), exited: make(chan struct{})}
	s.cmd = exec.Command("spectrond", args...)
	s.cmd.Env, s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = env, dir, s.stdout, s.log
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.exited)
	}()
	var err error
	if s.address, err = s.awaitAddress(); err == nil {
		err = s.awaitHealth()
	}
	if err != nil {
		s.kill()
		return nil, err
	}
	return s, nil
}

// awaitAddress reads in the log where the server listens.
func (s *server) awaitAddress() (string, error) {
	deadline := time.After(patience)
	for {
		text, changed := s.log.read()
		lines := bufio.NewScanner(strings.NewReader(text))
		for lines.Scan() {
			var line struct{ Msg, Server, Address, URL string }
			if json.Unmarshal(lines.Bytes(), &line) != nil {
				continue
			}
			switch {
			case line.Msg == "serving both planes":
				return line.URL, nil
			case line.Msg == "listening" && line.Server != "admin":
				_, port, _ := strings.Cut(line.Address, "]:")
				if port == "" {
					return "http://" + line.Address, nil
				}
				return "http://127.0.0.1:" + port, nil
			}
		}
		select {
		case <-changed:
		case <-s.exited:
			if text, _ := s.log.read(); !strings.Contains(text, "listening") {
				return "", errors.New("the server ended: " + text)
			}
		case <-deadline:
			return "", errors.New("the server does not listen: " + text)
		}
	}
}

func (s *server) awaitHealth() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	answer, err := call(ctx, http.MethodGet, s.address+"/health", "", "")
	if err == nil && answer.status != http.StatusOK {
		err = errors.New("unhealthy: " + answer.body)
	}
	return err
}

// kill ends the server as a power cut would.
func (s *server) kill() {
	_ = s.cmd.Process.Kill() // it may have ended
	<-s.exited
}

// stop ends the server as an orchestrator does and reports how it ended.
func (s *server) stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-s.exited:
		if s.err != nil {
			return fmt.Errorf("%w\n%s", s.err, s.complaints())
		}
		return nil
	case <-time.After(patience):
		s.kill()
		return errors.New("the server does not stop")
	}
}

// credentials returns the five lines that a bootstrapping node prints.
func (s *server) credentials() (string, error) {
	err := s.stdout.await(func(text string) bool { return strings.Count(text, "\n") >= 5 })
	text, _ := s.stdout.read()
	return text, err
}

// complaints returns what is in the log but was not logged: the last words of the program, of a panic or of the race detector.
func (s *server) complaints() string {
	text, _ := s.log.read()
	var plain strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "{") {
			plain.WriteString(line)
		}
	}
	return plain.String()
}

// recorder keeps what a process writes and tells when there is more.
type recorder struct {
	mu      sync.Mutex // guards the following fields
	text    bytes.Buffer
	changed chan struct{}
}

func newRecorder() *recorder { return &recorder{changed: make(chan struct{})} }

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.changed)
	r.changed = make(chan struct{})
	return r.text.Write(p)
}

// read returns all so far and a channel that is closed when there is more.
func (r *recorder) read() (string, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String(), r.changed
}

// await returns when the text satisfies enough.
func (r *recorder) await(enough func(text string) bool) error {
	deadline := time.After(patience)
	for {
		text, changed := r.read()
		if enough(text) {
			return nil
		}
		select {
		case <-changed:
		case <-deadline:
			return errors.New("what is awaited does not come")
		}
	}
}

// answer is that of an HTTP request.
type answer struct {
	status int
	body   string
	header http.Header
}

// call sends one request; key and body may be empty.
func call(ctx context.Context, method, url, key, body string) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	client := http.Client{Timeout: patience}
	response, err := client.Do(request)
	if err != nil {
		return answer{}, err
	}
	content, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, string(content), response.Header}, errors.Join(err, response.Body.Close())
}

// readEnv reads NAME=value lines.
func readEnv(text string) map[string]string {
	values := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		values[name] = value
	}
	return values
}
