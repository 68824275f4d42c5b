package main_test

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestClient runs the scripts in testdata/client: the command spectron, as a program of its own, against a node.
func TestClient(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "../../../spectron/cmd/spectron")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building spectron: %v\n%s", err, out)
	}
	p := params("testdata/client", func(env *testscript.Env) error {
		env.Setenv("PATH", bin+string(filepath.ListSeparator)+env.Getenv("PATH"))
		env.Setenv("HOME", env.WorkDir)
		env.Setenv("NO_COLOR", "1")
		return nil
	})
	p.Cmds["hold"] = hold
	p.Cmds["status"] = status
	testscript.Run(t, p)
}

// hold NAME ARGUMENT… sets $NAME to what spectron prints, which stays out of the script's log: it is a secret.
func hold(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(strings.Split(ts.Getenv("PATH"), string(filepath.ListSeparator))[0], "spectron"), args[1:]...)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = ts.MkAbs("."), &stdout, &stderr
	for _, name := range []string{"HOME", "SPECTRON_URL", "SPECTRON_API_KEY", "SPECTRON_CONTEXT_ID"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	if err := cmd.Run(); err != nil {
		ts.Fatalf("%v: %s", err, stderr.String())
	}
	ts.Setenv(args[0], strings.TrimSpace(stdout.String()))
	_, _ = fmt.Fprint(ts.Stderr(), stderr.String())
}

// status STATUS PROGRAM ARGUMENT… runs a program and checks its exit status.
func status(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("exit status %s, want %s", got, args[0])
	}
}
