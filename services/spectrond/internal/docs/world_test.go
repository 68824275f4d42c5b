package docs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/spectrond/internal/daemon"
	"github.com/spectron-hq/spectron/services/spectrond/internal/statedir"
)

// patience bounds each single thing that a test waits for.
const patience = 5 * time.Minute

// programs are what a reader has built.
var programs = []string{"spectrond", "spectron", "spl"}

// documented are the ports that documents name.
var documented = []string{"9090", "9091", "9093", "9094", "9095", "9096", "9100", "9443", "3000", "8080"}

// world is what a reader has while following a document: a folder, a shell, terminals, and ports.
type world struct {
	folder string
	env    []string
	// ports has those of the document, and what they are here.
	ports map[string]string
	// names are what else is called otherwise here: what a machine has one of.
	names     *strings.Replacer
	shell     *shell
	terminals []*terminal
	scripts   string
	count     int
}

// newWorld makes a world as a directive describes it.
func newWorld(t *testing.T, kind string) *world {
	t.Helper()
	w := &world{folder: t.TempDir(), scripts: t.TempDir(), ports: map[string]string{}, names: strings.NewReplacer()}
	for _, port := range documented {
		w.ports[port] = freePort(t)
	}
	home := filepath.Join(w.scripts, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	w.env = []string{
		"PATH=" + pathWithoutPrograms(t), "HOME=" + home, "TMPDIR=" + os.TempDir(), "NO_COLOR=1", "USER=reader",
		"SPECTRON_BIND_ADDRESS=127.0.0.1:" + w.ports["9090"], "SPL_PORT=" + w.ports["9100"],
	}
	for _, name := range []string{"GOPATH", "GOMODCACHE", "GOCACHE", "GOPROXY", "GOFLAGS", "GOSUMDB", "GOTOOLCHAIN"} {
		if value, err := exec.CommandContext(t.Context(), "go", "env", name).Output(); err == nil {
			w.env = append(w.env, name+"="+strings.TrimSpace(string(value)))
		}
	}
	t.Cleanup(func() { endDaemon(home) })
	if project := os.Getenv(composeVariable); project != "" {
		w.compose(t, project)
	}
	if kind == "in a clone" {
		w.clone(t)
	} else {
		w.linkPrograms(t)
	}
	w.shell = w.newShell(t)
	switch kind {
	case "from nothing", "in a clone":
	case "with a node":
		w.terminal(t, "bin/spectrond dev start --bootstrap | tee spectron.env")
		w.terminals[0].await(t, w.kept("spectron.env", func(said string) bool { return strings.Count(said, "\n") == 5 }))
		w.run(t, `PATH="$PWD/bin:$PATH"; set -a; . ./spectron.env; set +a`)
	case "with a Postgres":
		w.run(t, `PATH="$PWD/bin:$PATH"; export DATABASE_URL="`+dbtest.Postgres(t)+`"`)
	default:
		t.Fatalf("nobody knows how to begin %q", kind)
	}
	return w
}

// compose makes it a world with a Docker engine, in which this is a project of its own.
func (w *world) compose(t *testing.T, run string) {
	t.Helper()
	project := run + "-" + freePort(t)
	w.names = strings.NewReplacer("spectron:local", os.Getenv("SPECTRON_IMAGE"), "-v spectron:", "-v "+project+"_alone:")
	w.env = append(os.Environ(), "COMPOSE_PROJECT_NAME="+project, "SPECTRON_PORT="+w.ports["9090"], "SPECTRON_MANAGEMENT_PORT="+w.ports["9091"],
		"SPECTRON_TLS_PORT="+w.ports["9443"], "PROMETHEUS_PORT="+w.ports["9095"], "GRAFANA_PORT="+w.ports["3000"])
	t.Cleanup(func() {
		down := exec.CommandContext(context.Background(), "sh", "-c", `
			docker compose --project-name "$1" down --volumes --remove-orphans --timeout 2
			docker volume rm "$1_alone" $(docker volume ls --quiet --filter "label=com.docker.compose.project=$1")`, "sh", project)
		down.Dir = root
		_ = down.Run() // some of it may not be there
	})
}

// pathWithoutPrograms leaves out the folder of this test's programs: a reader's are in bin/.
func pathWithoutPrograms(t *testing.T) string {
	t.Helper()
	found, err := exec.LookPath(programs[0])
	if err != nil {
		t.Fatal(err)
	}
	folders := filepath.SplitList(os.Getenv("PATH"))
	return strings.Join(slices.DeleteFunc(folders, func(f string) bool { return f == filepath.Dir(found) }), string(filepath.ListSeparator))
}

func (w *world) linkPrograms(t *testing.T) {
	t.Helper()
	err := os.Mkdir(filepath.Join(w.folder, "bin"), 0o700)
	for _, program := range programs {
		var found string
		if err == nil {
			found, err = exec.LookPath(program)
		}
		if err == nil {
			err = os.Symlink(found, filepath.Join(w.folder, "bin", program))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// clone copies what git knows of the repository, with the ports of this world in the Makefile.
func (w *world) clone(t *testing.T) {
	t.Helper()
	list := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root
	names, err := list.Output()
	if err != nil {
		t.Fatalf("listing the files of the repository: %v", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		source, target := filepath.Join(root, name), filepath.Join(w.folder, name)
		content, err := os.ReadFile(source)
		if errors.Is(err, os.ErrNotExist) { // deleted and not committed yet
			continue
		}
		info, statErr := os.Stat(source)
		if err = errors.Join(err, statErr, os.MkdirAll(filepath.Dir(target), 0o755)); err != nil {
			t.Fatal(err)
		}
		if name == "Makefile" {
			content = []byte(w.here(string(content)))
		}
		if err := os.WriteFile(target, content, info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
}

var address = regexp.MustCompile(`\b(127\.0\.0\.1|localhost|0\.0\.0\.0):(\d+)`)

// here puts the ports of this world in the place of the document's.
func (w *world) here(text string) string {
	return address.ReplaceAllStringFunc(w.names.Replace(text), func(found string) string {
		host, port, _ := strings.Cut(found, ":")
		if own, ok := w.ports[port]; ok {
			port = own
		}
		return host + ":" + port
	})
}

// there puts the document's ports back.
func (w *world) there(text string) string {
	for documented, own := range w.ports {
		text = strings.ReplaceAll(text, ":"+own, ":"+documented)
	}
	return text
}

// freePort returns a port that a process may listen on now and again: below those that systems give to whoever asks for any.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(12000 + rand.IntN(8000))
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		return port
	}
	t.Fatal("no free port")
	return ""
}

// endDaemon ends what `spl serve --daemon` may have left.
func endDaemon(home string) {
	if pid, running, err := daemon.Running(statedir.At(filepath.Join(home, ".syncro"))); err == nil && running {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// shell is one sh that runs block after block.
type shell struct {
	commands io.WriteCloser
	done     *os.File
	exited   chan struct{}
}

func (w *world) newShell(t *testing.T) *shell {
	t.Helper()
	done, told, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := w.command("sh", "-eu")
	cmd.ExtraFiles = []*os.File{told}
	s := &shell{done: done, exited: make(chan struct{})}
	if s.commands, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = told.Close() // the shell has its own
	go func() {
		_ = cmd.Wait() // a block says how it went
		close(s.exited)
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-s.exited
		_ = done.Close()
	})
	return s
}

// command makes a process of this world, and a group of what it starts.
func (w *world) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), name, args...)
	cmd.Dir, cmd.Env, cmd.SysProcAttr = w.folder, w.env, &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// run runs a block in the shell and returns what it printed.
func (w *world) run(t *testing.T, script string) string {
	t.Helper()
	w.count++
	path := filepath.Join(w.scripts, "block"+strconv.Itoa(w.count))
	if err := os.WriteFile(path, []byte(w.here(script)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := fmt.Fprintf(w.shell.commands, ". %[1]s </dev/null >%[1]s.out 2>%[1]s.err 3>&-\necho done >&3\n", path)
	if err == nil {
		err = w.shell.done.SetReadDeadline(time.Now().Add(patience))
	}
	if err == nil {
		_, err = io.ReadFull(w.shell.done, make([]byte, len("done\n")))
	}
	stdout, _ := os.ReadFile(path + ".out") // the shell may not have come to them
	stderr, _ := os.ReadFile(path + ".err")
	if err != nil {
		t.Fatalf("this block fails (%v):\n%s\nit printed:\n%s\nand on standard error:\n%s", err, script,
			apikey.Redact(string(stdout)), apikey.Redact(string(stderr)))
	}
	return w.there(string(stdout))
}

// terminal is a shell with one block that goes on.
type terminal struct {
	cmd    *exec.Cmd
	exited chan struct{}

	mu      sync.Mutex // guards the following fields
	said    bytes.Buffer
	changed chan struct{}
	failure bytes.Buffer
}

func (w *world) terminal(t *testing.T, script string) *terminal {
	t.Helper()
	term := &terminal{cmd: w.command("sh", "-euc", w.here(script)), exited: make(chan struct{}), changed: make(chan struct{})}
	term.cmd.Stdout, term.cmd.Stderr = &stream{term, &term.said}, &stream{term, &term.failure}
	if err := term.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = term.cmd.Wait() // it is ended by a signal
		close(term.exited)
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-term.cmd.Process.Pid, syscall.SIGKILL)
		<-term.exited
	})
	w.terminals = append(w.terminals, term)
	return term
}

// interrupt ends the newest terminal's programs as Ctrl-C does, and waits for them.
func (w *world) interrupt(t *testing.T) {
	t.Helper()
	if len(w.terminals) == 0 {
		t.Fatal("no terminal is open")
	}
	term := w.terminals[len(w.terminals)-1]
	w.terminals = w.terminals[:len(w.terminals)-1]
	if err := syscall.Kill(-term.cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-term.exited:
	case <-time.After(patience):
		t.Fatal("the terminal's program does not end")
	}
}

// kept makes a condition on what a terminal shows one on the file, too, that tee writes: it comes to that last.
func (w *world) kept(file string, enough func(said string) bool) func(said string) bool {
	return func(said string) bool {
		if !enough(said) {
			return false
		}
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			if content, err := os.ReadFile(filepath.Join(w.folder, file)); err == nil && len(content) >= len(said) {
				return true
			}
		}
		return false
	}
}

// stream is one of a terminal's outputs.
type stream struct {
	of   *terminal
	text *bytes.Buffer
}

func (s *stream) Write(p []byte) (int, error) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	close(s.of.changed)
	s.of.changed = make(chan struct{})
	return s.text.Write(p)
}

// await returns when what the terminal shows is enough.
func (term *terminal) await(t *testing.T, enough func(said string) bool) {
	t.Helper()
	deadline := time.After(patience)
	for {
		term.mu.Lock()
		said, failure, changed := term.said.String(), term.failure.String(), term.changed
		term.mu.Unlock()
		if enough(said) {
			return
		}
		select {
		case <-changed:
		case <-term.exited:
			t.Fatalf("the terminal's program has ended:\n%s%s", apikey.Redact(said), apikey.Redact(failure))
		case <-deadline:
			t.Fatalf("the terminal shows only:\n%s%s", apikey.Redact(said), apikey.Redact(failure))
		}
	}
}
