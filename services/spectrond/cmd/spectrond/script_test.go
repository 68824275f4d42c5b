package main_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
)

// TestCommandLine runs the scripts in testdata/cli.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	testscript.Run(t, params("testdata/cli", nil))
}

// TestNode runs the scripts in testdata/node once per engine: on the node's own SQLite store and on a Postgres.
func TestNode(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		scripts, err := filepath.Glob("testdata/node/*.txtar")
		if err != nil || len(scripts) == 0 {
			t.Fatal("no scripts", err)
		}
		for _, script := range scripts {
			p := params("", func(env *testscript.Env) error {
				if strings.HasPrefix(url, "postgres") {
					env.Setenv("SPECTRON_CONNECTION_STRING", dbtest.Postgres(t))
					env.Setenv("STORE", env.Getenv("SPECTRON_CONNECTION_STRING"))
				} else { // the node's own
					env.Setenv("STORE", "sqlite://"+filepath.ToSlash(filepath.Join(env.WorkDir, "data", "spectron.db")))
				}
				return nil
			})
			p.Files = []string{script}
			testscript.Run(t, p)
		}
	})
}

func params(dir string, setup func(*testscript.Env) error) testscript.Params {
	return testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("SPECTRON_LOG_FORMAT", "json")
			env.Values[runningKey{}] = running{}
			if setup == nil {
				return nil
			}
			return setup(env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve":   serve,
			"await":   await,
			"end":     end,
			"load":    load,
			"setenv":  setenv,
			"capture": capture,
			"exits":   exits,
			"until":   until,
			"http":    request,
		},
	}
}

// running holds the servers of a script by name; it is the script's value under the key runningKey.
type (
	running    map[string]*server
	runningKey struct{}
)

// visible are the variables of a script that its processes see.
var visible = []string{
	"SPECTRON_API_KEY", "SPECTRON_API_KEY_FILE", "SPECTRON_BIND_ADDRESS", "SPECTRON_CONNECTION_STRING", "SPECTRON_LOG_FORMAT",
	"SPECTRON_MANAGEMENT_API_KEY", "SPECTRON_MANAGEMENT_URL", "SPECTRON_PEPPER", "SPECTRON_SERVICE_SECRET",
}

func scriptEnviron(ts *testscript.TestScript) []string {
	var list []string
	for _, name := range visible {
		if value := ts.Getenv(name); value != "" {
			list = append(list, name+"="+value)
		}
	}
	return environ(list...)
}

func serverOf(ts *testscript.TestScript, name string) *server {
	all, _ := ts.Value(runningKey{}).(running)
	s := all[name]
	if s == nil {
		ts.Fatalf("no server %s", name)
	}
	return s
}

// serve NAME ARGUMENT… starts spectrond in the background and waits until it serves; $NAME is where.
func serve(ts *testscript.TestScript, _ bool, args []string) {
	s, err := launch(ts.MkAbs("."), scriptEnviron(ts), args[1:]...)
	ts.Check(err)
	ts.Defer(s.kill)
	all, _ := ts.Value(runningKey{}).(running)
	all[args[0]] = s
	ts.Setenv(args[0], s.address)
}

// end NAME stops a server, which must end well, and leaves its output as the output of this command. end -kill NAME does
// not let it.
func end(ts *testscript.TestScript, _ bool, args []string) {
	s := serverOf(ts, args[len(args)-1])
	if args[0] == "-kill" {
		s.kill()
	} else {
		ts.Check(s.stop())
	}
	stdout, _ := s.stdout.read()
	log, _ := s.log.read()
	_, _ = fmt.Fprint(ts.Stdout(), stdout)
	_, _ = fmt.Fprint(ts.Stderr(), log)
}

// await NAME TEXT waits until the log of a server has the text.
func await(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(serverOf(ts, args[0]).log.await(func(text string) bool { return strings.Contains(text, args[1]) }))
}

// load NAME sets the variables that a server has printed.
func load(ts *testscript.TestScript, _ bool, args []string) {
	text, err := serverOf(ts, args[0]).credentials()
	ts.Check(err)
	for name, value := range readEnv(text) {
		ts.Setenv(name, value)
	}
}

// setenv FILE sets the variables in a file of NAME=value lines.
func setenv(ts *testscript.TestScript, _ bool, args []string) {
	for name, value := range readEnv(ts.ReadFile(args[0])) {
		ts.Setenv(name, value)
	}
}

// run runs spectrond to its end.
func run(ts *testscript.TestScript, args []string) outcome {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "spectrond", args...)
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = scriptEnviron(ts), ts.MkAbs("."), &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		ts.Check(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// capture NAME ARGUMENT… sets $NAME to what spectrond prints, which stays out of the script's log: it is a secret.
func capture(ts *testscript.TestScript, _ bool, args []string) {
	out := run(ts, args[1:])
	if out.status != 0 {
		ts.Fatalf("exit status %d: %s", out.status, out.stderr)
	}
	ts.Setenv(args[0], strings.TrimSpace(out.stdout))
	_, _ = fmt.Fprint(ts.Stderr(), out.stderr)
}

// exits STATUS ARGUMENT… runs spectrond and checks its exit status.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	out := run(ts, args[1:])
	_, _ = fmt.Fprint(ts.Stdout(), out.stdout)
	_, _ = fmt.Fprint(ts.Stderr(), out.stderr)
	if fmt.Sprint(out.status) != args[0] {
		ts.Fatalf("exit status %d, want %s: %s", out.status, args[0], out.stderr)
	}
}

// until TEXT ARGUMENT… runs spectrond, again and again, until what it prints has the text.
func until(ts *testscript.TestScript, _ bool, args []string) {
	for deadline := time.Now().Add(patience); ; {
		out := run(ts, args[1:])
		if out.status == 0 && strings.Contains(out.stdout, args[0]) {
			_, _ = fmt.Fprint(ts.Stdout(), out.stdout)
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("exit status %d, and not what was waited for: %s", out.status, out.stderr)
		}
	}
}

// request [-key KEY] [-body JSON] STATUS METHOD URL sends a request and checks the status of the answer; its body is the
// output.
func request(ts *testscript.TestScript, _ bool, args []string) {
	flags := flag.NewFlagSet("http", flag.ContinueOnError)
	key, body := flags.String("key", "", ""), flags.String("body", "", "")
	ts.Check(flags.Parse(args))
	got, err := call(context.Background(), flags.Arg(1), flags.Arg(2), *key, *body)
	ts.Check(err)
	if fmt.Sprint(got.status) != flags.Arg(0) {
		ts.Fatalf("status %d, want %s", got.status, flags.Arg(0))
	}
	_, _ = fmt.Fprint(ts.Stdout(), got.body)
}
