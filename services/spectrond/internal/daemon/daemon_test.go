package daemon_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/spectrond/internal/daemon"
	"github.com/spectron-hq/spectron/services/spectrond/internal/statedir"
)

func prepared(t *testing.T) statedir.Dir {
	t.Helper()
	dir := statedir.At(filepath.Join(t.TempDir(), "state"))
	if _, err := dir.Prepare(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A PID file proves nothing by its content: this very process runs, and is no daemon.
func TestAPIDFileWithoutALockNamesNobody(t *testing.T) {
	t.Parallel()
	dir := prepared(t)
	for _, content := range []string{fmt.Sprint(os.Getpid()), "", "x", "-1"} {
		write(t, dir.PID(), content)
		if pid, running, err := daemon.Running(dir); running || err != nil {
			t.Errorf("%q: process %d runs, %v", content, pid, err)
		}
	}
	if _, err := daemon.Stop(t.Context(), dir, time.Second); !errors.Is(err, statedir.ErrNotRunning) {
		t.Errorf("stopping what does not run: %v", err)
	}
}

func TestALockedPIDFileNamesTheDaemon(t *testing.T) {
	t.Parallel()
	dir := prepared(t)
	write(t, dir.PID(), "4242\n")
	file, err := os.Open(dir.PID())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		t.Fatal(err)
	}
	if pid, running, err := daemon.Running(dir); pid != 4242 || !running || err != nil {
		t.Errorf("%d, %t, %v", pid, running, err)
	}
	write(t, dir.PID(), "nobody")
	if _, _, err := daemon.Running(dir); err == nil {
		t.Error("a damaged file is held by somebody, and nobody is told")
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	dir := prepared(t)
	if err := daemon.Tail(t.Context(), dir, 1, false, &bytes.Buffer{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a log: %v", err)
	}
	write(t, strings.TrimSuffix(dir.Log(), ".log")+"-2026-01-01T00-00-00.000-size.log", "1\n2\n")
	write(t, strings.TrimSuffix(dir.Log(), ".log")+"-2026-02-01T00-00-00.000-size.log", "3\n4\n")
	write(t, dir.Log(), "5\n6\nunfinished")
	for lines, want := range map[int]string{
		0: "", 1: "unfinished", 3: "5\n6\nunfinished", 4: "4\n5\n6\nunfinished", 6: "2\n3\n4\n5\n6\nunfinished", 100: "1\n2\n3\n4\n5\n6\nunfinished",
	} {
		var out bytes.Buffer
		if err := daemon.Tail(t.Context(), dir, lines, false, &out); err != nil || out.String() != want {
			t.Errorf("%d lines: %q, %v", lines, out.String(), err)
		}
	}
}

// notifying is a writer that tells what it has got so far after each write.
type notifying struct {
	text  string
	wrote func(string)
}

func (n *notifying) Write(p []byte) (int, error) {
	n.text += string(p)
	n.wrote(n.text)
	return len(p), nil
}

func TestTailFollowsAcrossFiles(t *testing.T) {
	t.Parallel()
	dir := prepared(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	step := 0
	out := &notifying{wrote: func(text string) {
		switch {
		case step == 0 && strings.HasSuffix(text, "one\n"):
			// What is written last before the file is replaced must not be lost.
			step++
			file, err := os.OpenFile(dir.Log(), os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				_, err = file.WriteString("two\n")
			}
			if err = errors.Join(err, os.Rename(dir.Log(), dir.Log()+".1")); err != nil {
				t.Error(err)
			}
			write(t, dir.Log(), "three\n")
		case step == 1 && strings.HasSuffix(text, "three\n"):
			cancel()
		}
	}}
	time.AfterFunc(50*time.Millisecond, func() { write(t, dir.Log(), "zero\none\n") })
	if err := daemon.Tail(ctx, dir, 1, true, out); err != nil {
		t.Error(err)
	}
	if out.text != "one\ntwo\nthree\n" {
		t.Errorf("got %q", out.text)
	}
}

func TestStoresAreShownWithoutPasswords(t *testing.T) {
	t.Parallel()
	const password = "hunter2"
	for store, kept := range map[settings.Secret]bool{
		"sqlite:///srv/hub.db":                           false,
		"postgres://spl@db/spl":                          false,
		"postgres://spl:" + password + "@db/spl":         true,
		"postgres://spl@db/spl?password=" + password:     true,
		"postgres://spl:" + password + "%zz@db:port/x y": true,
	} {
		if strings.Contains(daemon.ShownStore(store), password) {
			t.Errorf("a password is shown of a store like %s", store)
		}
		if got := daemon.HasPassword(store); got != kept {
			t.Errorf("%q has a password: %t", daemon.ShownStore(store), got)
		}
	}
}

// Whoever is in a corner is told the way out of it, and nobody else is told anything.
func TestGuidance(t *testing.T) {
	t.Parallel()
	const me = "did:sync:user:ada"
	standing := func(accounts, active int, operator bool) daemon.Standing {
		return daemon.Standing{Standing: introspection.Standing{Accounts: accounts, Active: active}, Operator: operator}
	}
	const create = "spl service-account create --bootstrap --name admin --actors did:sync:user:ada --scopes admin --with-token"
	tests := map[string]struct {
		mode     statedir.Mode
		standing daemon.Standing
		auth     string
		commands []string
		warned   bool
	}{
		"all is well":           {statedir.Secure, standing(1, 1, true), "required (service accounts: 1)", nil, false},
		"made without actors":   {statedir.Secure, standing(1, 1, false), "required (service accounts: 1)", []string{"spl serve --stop", "spl serve --daemon --insecure-localhost", "spl service-account list", "spl service-account revoke <sa_id>", create, "spl token save spl_prod_sa_...", "spl serve --stop", "spl serve --daemon"}, true},
		"a fresh install, open": {statedir.Insecure, standing(0, 0, false), "off, for programs on this machine only (service accounts: 0)", []string{create, "spl token save spl_prod_sa_...", "spl serve --stop", "spl serve --daemon"}, false},
		"a lost token":          {statedir.Insecure, standing(1, 1, true), "off, for programs on this machine only (service accounts: 1)", []string{"spl service-account list", "spl token rotate <sa_id>", "spl token save spl_prod_sa_...", "spl serve --stop", "spl serve --daemon"}, false},
		"no actors, open":       {statedir.Insecure, standing(1, 1, false), "off, for programs on this machine only (service accounts: 1)", []string{"spl service-account list", "spl service-account revoke <sa_id>", create, "spl token save spl_prod_sa_...", "spl serve --stop", "spl serve --daemon"}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var commands []string
			for _, line := range daemon.Guidance(test.mode, test.standing, me) {
				if command, ok := strings.CutPrefix(line, "  "); ok {
					commands = append(commands, command)
				}
			}
			if got, want := strings.Join(commands, "\n"), strings.Join(test.commands, "\n"); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
			if warned := len(daemon.Warnings(test.mode, test.standing, me)) > 0; warned != test.warned {
				t.Errorf("warned: %t", warned)
			}
			banner := strings.Join(daemon.Banner(statedir.Run{Mode: test.mode}, test.standing), "\n")
			if !strings.Contains(banner, "Auth: "+test.auth+"\n") {
				t.Errorf("the banner says\n%s", banner)
			}
		})
	}
}
