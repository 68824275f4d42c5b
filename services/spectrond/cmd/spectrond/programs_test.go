package main_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// goSession is what the document says about running the Go program beside a clone.
const goSession = "go mod init session && go work init . ../spectron/services/contract ../spectron/services/spectron && go run ."

// languages says how to run the programs of docs/programs.md, by the word at their fences.
var languages = []struct{ fence, file, program string }{
	{"go", "main.go", goSession},
	{"sh", "session.sh", "sh -eu"},
	{"js", "session.mjs", "node"},
	{"python", "session.py", "python3"},
}

// Each program of docs/programs.md is run as it stands there, against a node of its own.
func TestTheProgramsOfTheDocuments(t *testing.T) {
	t.Parallel()
	programs := programsOf(t, "../../../../docs/programs.md")
	for _, language := range languages {
		t.Run(language.fence, func(t *testing.T) {
			t.Parallel()
			source, ok := programs[language.fence]
			if !ok {
				t.Fatal("the document has no such program")
			}
			command := strings.Fields(language.program)
			requireProgram(t, command[0])
			folder := t.TempDir()
			node := start(t, nil, "dev", "start", "--bootstrap", "--data-dir", t.TempDir(), "--bind-address", "127.0.0.1:0")
			if err := node.stdout.await(func(text string) bool { return strings.Count(text, "\n") == 5 }); err != nil {
				t.Fatal(err)
			}
			printed, _ := node.stdout.read()
			file := filepath.Join(folder, language.file)
			if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*patience) // the first go run compiles
			defer cancel()
			cmd := exec.CommandContext(ctx, command[0], append(command[1:], file)...)
			if language.program == goSession {
				cmd = beside(ctx, t, folder)
			}
			cmd.Env = append(cmd.Environ(), strings.Fields(printed)...)
			var failure strings.Builder
			cmd.Stderr = &failure
			said, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v\n%s", err, failure.String())
			}
			if want := "Alice drinks oat milk, never cow's milk.\n401 200\n"; string(said) != want {
				t.Errorf("it printed %q, want %q", said, want)
			}
		})
	}
}

// beside runs the Go program in a folder as the document says, where ../spectron is this repository.
func beside(ctx context.Context, t *testing.T, folder string) *exec.Cmd {
	t.Helper()
	root, err := filepath.Abs("../../../..")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "programs.md"))
	if err != nil || !strings.Contains(string(text), "`"+goSession+"`") {
		t.Fatalf("the document does not say how to run the program: %v", err)
	}
	cmd := exec.CommandContext(ctx, "sh", "-ec", strings.ReplaceAll(goSession, "../spectron", root))
	cmd.Dir = folder
	cmd.Env = append(cmd.Environ(), "GOWORK=") // it has one of its own
	return cmd
}

// programsOf returns the programs of a document, by the word at their fences.
func programsOf(t *testing.T, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	section, programs := string(text), map[string]string{}
	for {
		_, rest, found := strings.Cut(section, "\n```")
		if !found {
			return programs
		}
		fence, body, _ := strings.Cut(rest, "\n")
		program, after, closed := strings.Cut(body, "\n```\n")
		if !closed {
			t.Fatalf("the %s program has no end", fence)
		}
		programs[fence], section = program+"\n", after
	}
}

// requireProgram skips the test where a language is not installed, except in CI, where every one has to be.
func requireProgram(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err == nil {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("%s is not installed: its program of docs/programs.md was not run", name)
}
