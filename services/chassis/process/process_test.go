package process_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/process"
)

func TestGroup(t *testing.T) {
	t.Parallel()
	broken, late := errors.New("broken"), errors.New("late")
	untilTold := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	tests := map[string]struct {
		parts []func(context.Context) error
		want  []error
	}{
		"none":              {nil, nil},
		"error":             {[]func(context.Context) error{untilTold, func(context.Context) error { return broken }}, []error{broken}},
		"return":            {[]func(context.Context) error{untilTold, func(context.Context) error { return nil }}, nil},
		"error on the way":  {[]func(context.Context) error{func(context.Context) error { return nil }, func(ctx context.Context) error { <-ctx.Done(); return late }}, []error{late}},
		"cancelled by self": {[]func(context.Context) error{func(context.Context) error { return context.Canceled }}, []error{context.Canceled}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := process.Group(t.Context(), test.parts...)
			if (err == nil) != (len(test.want) == 0) {
				t.Fatalf("Group = %v, want %v", err, test.want)
			}
			for _, want := range test.want {
				if !errors.Is(err, want) {
					t.Errorf("Group = %v, want %v", err, want)
				}
			}
		})
	}
}

func TestGroupStopsWithContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	running := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- process.Group(ctx, func(ctx context.Context) error {
			close(running)
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	<-running
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Group = %v", err)
	}
}

// TestContext starts this test binary again, as the process that receives signals.
func TestContext(t *testing.T) {
	t.Parallel()
	if os.Getenv("PROCESS_TEST_CHILD") == "" {
		parent(t)
		return
	}
	ctx, stop := process.Context()
	defer stop()
	_, _ = os.Stdout.WriteString("ready\n")
	<-ctx.Done()
	_, _ = os.Stdout.WriteString("told\n")
	select {} // too slow to stop
}

func parent(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // kills a child that does not heed signals
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestContext$")
	child.Env = append(os.Environ(), "PROCESS_TEST_CHILD=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"ready\n", "told\n"} {
		line := make([]byte, len(want))
		if _, err := out.Read(line); err != nil || string(line) != want {
			t.Fatalf("the child said %q, %v, want %q", line, err, want)
		}
		if err := child.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	var exit *exec.ExitError
	if err := child.Wait(); !errors.As(err, &exit) {
		t.Fatalf("the child ended with %v", err)
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGTERM {
		t.Errorf("the second signal did not kill: %v", exit)
	}
}
