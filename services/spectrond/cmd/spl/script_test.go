package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
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
	"github.com/spectron-hq/spectron/services/spectrond/internal/daemon"
	"github.com/spectron-hq/spectron/services/spectrond/internal/statedir"
)

// patience bounds each single thing that a test waits for.
const patience = time.Minute

// TestServe runs the scripts about the daemon's life.
func TestServe(t *testing.T) {
	t.Parallel()
	testscript.Run(t, params("testdata/serve"))
}

// TestServeOnPostgres runs the scripts about a store that is elsewhere.
func TestServeOnPostgres(t *testing.T) {
	t.Parallel()
	p := params("testdata/postgres")
	setup := p.Setup
	p.Setup = func(env *testscript.Env) error {
		store, err := url.Parse(dbtest.Postgres(t))
		if err != nil {
			return err
		}
		// One that the URL holds even where the server asks for none.
		password, has := store.User.Password()
		if !has {
			password = "a-password-nobody-asks-for"
			store.User = url.UserPassword(store.User.Username(), password)
		}
		env.Setenv("STORE", store.String())
		env.Setenv("PASSWORD", password)
		return setup(env)
	}
	testscript.Run(t, p)
}

// params makes each script a user of its own: a home, a free port, and a daemon that does not outlive it.
func params(dir string) testscript.Params {
	return testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			home := filepath.Join(env.WorkDir, "home")
			env.Setenv("HOME", home)
			env.Setenv("SYNCROPEL_HOME", filepath.Join(home, ".syncro"))
			env.Setenv("SPL_ACTOR", "did:sync:user:ada")
			port, err := freePort()
			if err != nil {
				return err
			}
			env.Setenv("SPL_PORT", strconv.Itoa(port))
			env.Setenv("URL", "http://127.0.0.1:"+strconv.Itoa(port))
			env.Defer(func() { end(statedir.At(env.Getenv("SYNCROPEL_HOME"))) })
			return os.Mkdir(home, 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":      exits,
			"http":       request,
			"mode":       mode,
			"crash":      crash,
			"pid":        setPID,
			"occupy":     occupy,
			"follow":     follow,
			"append":     appendTo,
			"racing":     racing,
			"chosen":     chosen,
			"secretless": secretless,
		},
	}
}

// end ends the daemon of a script at once.
func end(dir statedir.Dir) {
	if pid, running, err := daemon.Running(dir); err == nil && running {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	address, _ := listener.Addr().(*net.TCPAddr)
	return address.Port, listener.Close()
}

func stateDir(ts *testscript.TestScript) statedir.Dir {
	return statedir.At(ts.Getenv("SYNCROPEL_HOME"))
}

// visible are the variables of a script that its processes see.
var visible = []string{"HOME", "SYNCROPEL_HOME", "SPL_ACTOR", "SPL_PORT", "SPL_HOST", "SPL_STORE", "SPL_TOKEN", "SPL_SERVE_URL", "SPL_BOOTSTRAP_TOKEN", "XDG_DATA_HOME"}

func command(ctx context.Context, ts *testscript.TestScript, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "spl", args...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir()}
	for _, name := range visible {
		if value := ts.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	return cmd
}

// exits STATUS ARGUMENT… runs spl and checks its exit status.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := command(ctx, ts, args[1:])
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		ts.Check(err)
	}
	_, _ = io.Copy(ts.Stdout(), &stdout)
	said := stderr.String()
	_, _ = fmt.Fprint(ts.Stderr(), said)
	if got := strconv.Itoa(cmd.ProcessState.ExitCode()); got != args[0] {
		ts.Fatalf("exit status %s, want %s: %s", got, args[0], said)
	}
}

// request STATUS METHOD URL [BODY] [TOKEN] sends a request and checks the status of the answer; its body is the output. STATUS
// none is no answer at all.
func request(ts *testscript.TestScript, _ bool, args []string) {
	args = append(args, "", "")
	r, err := http.NewRequestWithContext(context.Background(), args[1], args[2], strings.NewReader(args[3]))
	ts.Check(err)
	r.Header.Set("Content-Type", "application/json")
	if args[4] != "" {
		r.Header.Set("Authorization", "Bearer "+args[4])
	}
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if args[0] == "none" {
		if err == nil {
			ts.Fatalf("it answered %s", answer.Status)
		}
		return
	}
	ts.Check(err)
	_, err = io.Copy(ts.Stdout(), answer.Body)
	ts.Check(errors.Join(err, answer.Body.Close()))
	if strconv.Itoa(answer.StatusCode) != args[0] {
		ts.Fatalf("status %d, want %s", answer.StatusCode, args[0])
	}
}

// mode MODE FILE… checks the permissions of files.
func mode(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args[1:] {
		info, err := os.Stat(ts.MkAbs(name))
		ts.Check(err)
		if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
			ts.Fatalf("%s has mode %s, want %s", name, got, args[0])
		}
	}
}

// crash ends the daemon as a power cut would.
func crash(ts *testscript.TestScript, _ bool, _ []string) {
	pid, running, err := daemon.Running(stateDir(ts))
	ts.Check(err)
	if !running {
		ts.Fatalf("nothing runs")
	}
	ts.Check(syscall.Kill(pid, syscall.SIGKILL))
	for deadline := time.Now().Add(patience); running && err == nil; time.Sleep(time.Millisecond) {
		if _, running, err = daemon.Running(stateDir(ts)); time.Now().After(deadline) {
			ts.Fatalf("it does not die")
		}
	}
	ts.Check(err)
}

// pid NAME sets $NAME to the daemon's process.
func setPID(ts *testscript.TestScript, _ bool, args []string) {
	pid, running, err := daemon.Running(stateDir(ts))
	ts.Check(err)
	if !running {
		ts.Fatalf("nothing runs")
	}
	ts.Setenv(args[0], strconv.Itoa(pid))
}

// occupy listens on the daemon's port until the script ends.
func occupy(ts *testscript.TestScript, _ bool, _ []string) {
	listener, err := net.Listen("tcp", "127.0.0.1:"+ts.Getenv("SPL_PORT"))
	ts.Check(err)
	ts.Defer(func() { _ = listener.Close() })
}

// follow TEXT follows the log, puts a new one that has the text in its place, and waits until the follower shows it.
func follow(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := command(ctx, ts, []string{"serve", "--logs", "-n", "1"})
	pipe, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	seen, buffer := "", make([]byte, 4096)
	for rotated := false; !strings.Contains(seen, args[0]); {
		n, err := pipe.Read(buffer)
		seen += string(buffer[:n])
		ts.Check(err)
		if !rotated { // it shows the last line, so it has the file open
			log := stateDir(ts).Log()
			ts.Check(os.Rename(log, strings.TrimSuffix(log, ".log")+"-2026-01-01T00-00-00.000-size.log"))
			ts.Check(os.WriteFile(log, []byte(args[0]+"\n"), 0o600))
			rotated = true
		}
	}
	ts.Check(cmd.Process.Signal(os.Interrupt))
	if err := cmd.Wait(); err != nil {
		ts.Fatalf("interrupted, the follower ends with %v", err)
	}
}

// append FILE TEXT writes a line at the end of a file.
func appendTo(ts *testscript.TestScript, _ bool, args []string) {
	file, err := os.OpenFile(ts.MkAbs(args[0]), os.O_APPEND|os.O_WRONLY, 0)
	ts.Check(err)
	_, err = fmt.Fprintln(file, args[1])
	ts.Check(errors.Join(err, file.Close()))
}

// racing N starts N daemons at once, of which exactly one must win, and the others say that it runs already.
func racing(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	statuses := make(chan int, n)
	for range n {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			cmd := command(ctx, ts, []string{"serve", "--daemon", "--insecure-localhost"})
			_ = cmd.Run() // its status says it
			statuses <- cmd.ProcessState.ExitCode()
		}()
	}
	counts := map[int]int{}
	for range n {
		counts[<-statuses]++
	}
	if counts[0] != 1 || counts[3] != n-1 {
		ts.Fatalf("exit statuses: %v", counts)
	}
}

// secretless TEXT checks that neither the arguments nor the environment of the daemon's process hold a text, where the system tells.
func secretless(ts *testscript.TestScript, _ bool, args []string) {
	pid, _, err := daemon.Running(stateDir(ts))
	ts.Check(err)
	for _, name := range []string{"cmdline", "environ"} {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		ts.Check(err)
		if len(content) == 0 || bytes.Contains(content, []byte(args[0])) {
			ts.Fatalf("the %s of the daemon is empty, or holds a secret", name)
		}
	}
}

// chosen checks what the daemon tells of itself in run/spl.json: chosen FIELD VALUE.
func chosen(ts *testscript.TestScript, _ bool, args []string) {
	var run map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(stateDir(ts).RunFile())), &run))
	if got := fmt.Sprint(run[args[0]]); got != args[1] {
		ts.Fatalf("%s is %s, want %s", args[0], got, args[1])
	}
}
