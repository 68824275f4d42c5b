package dbtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/spectron-hq/spectron/services/chassis/settings"
)

// image is run where Postgres is not installed but Docker is.
const image = "postgres:17"

// watchdog runs the command it is given and, as soon as its standard input ends, a stop command. The test process holds
// the other end of that pipe, so a server dies with it however it dies.
const watchdog = `exec 3<&0
"$@" </dev/null &
server=$!
{ read -r _ <&3; %s; } &
watch=$!
wait $server
kill $watch 2>/dev/null
%s`

// serverFlags trade every durability a test has no use for against speed.
var serverFlags = []string{
	"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
	"-c", "max_connections=400", "-c", "timezone=UTC",
}

// server is a Postgres server; one that was not started here has neither process nor log.
type server struct {
	url     *url.URL
	name    string // the cluster_name it was started with
	process *exec.Cmd
	leash   io.Closer // closing it stops the server
	exited  chan struct{}
	log     string // path of its log file
}

func startServer(environ settings.Environ) (*server, error) {
	if given := environ[serverVariable]; given != "" {
		u, err := url.Parse(given)
		if err != nil {
			return nil, fmt.Errorf("%s is not a URL", serverVariable)
		}
		return &server{url: u}, nil
	}
	if bin := findBinaries(); bin != "" {
		return retry(func() (*server, error) { return startInstalled(bin) })
	}
	if _, err := exec.LookPath("docker"); err == nil {
		return retry(startDocker)
	}
	return nil, fmt.Errorf("install Postgres (such as apt-get install postgresql), or start Docker, or set %s to the URL of a "+
		"server on which tests may create databases", serverVariable)
}

// retry starts a server, and once more where that failed: somebody else may have taken the free port meanwhile.
func retry(start func() (*server, error)) (*server, error) {
	s, err := start()
	if err != nil {
		s, err = start()
	}
	return s, err
}

// findBinaries returns a folder that holds postgres and initdb, or "". Distributions keep them out of PATH, one folder
// per version.
func findBinaries() string {
	var folders []string
	if path, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
		folders = append(folders, filepath.Dir(path))
	}
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil { //nolint:noctx // answers at once
		folders = append(folders, strings.TrimSpace(string(out)))
	}
	folders = append(folders, newest("/usr/lib/postgresql/*/bin"), newest("/usr/pgsql-*/bin"),
		newest("/opt/homebrew/opt/postgresql@*/bin"))
	for _, folder := range folders {
		_, noServer := exec.LookPath(filepath.Join(folder, "postgres"))
		_, noInit := exec.LookPath(filepath.Join(folder, "initdb"))
		if folder != "" && noServer == nil && noInit == nil {
			return folder
		}
	}
	return ""
}

// newest returns the match of pattern with the highest number in the place of the star, or "".
func newest(pattern string) string {
	prefix, suffix, _ := strings.Cut(pattern, "*")
	matches, _ := filepath.Glob(pattern) // the patterns are constants and well formed
	best, bestVersion := "", -1.0
	for _, match := range matches {
		version, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimPrefix(match, prefix), suffix), 64)
		if err == nil && version > bestVersion {
			best, bestVersion = match, version
		}
	}
	return best
}

func startInstalled(bin string) (*server, error) {
	i, err := initialize(bin)
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	// SIGQUIT is Postgres's immediate shutdown: nothing here is worth a checkpoint.
	script := fmt.Sprintf(watchdog, "kill -QUIT $server", "cd / && rm -rf '"+i.dir+"'")
	s, command := i.server(port, script, serverFlags)
	return started(s, command)
}

// installation is a database cluster of the installed binaries, and who may run it.
type installation struct {
	bin, dir string
	user     *syscall.SysProcAttr
}

// initialize makes a new one.
func initialize(bin string) (installation, error) {
	dir, err := os.MkdirTemp("", "dbtest-*")
	if err != nil {
		return installation{}, fmt.Errorf("making a folder for the server: %w", err)
	}
	user, err := unprivileged(dir)
	if err != nil {
		return installation{}, err
	}
	i := installation{bin: bin, dir: dir, user: user}
	create := exec.Command(filepath.Join(bin, "initdb"), "-D", i.data(), "-U", "postgres", "-A", "trust", //nolint:gosec,noctx // a found binary; bounded by its work
		"-E", "UTF8", "--locale=C", "--no-sync")
	create.Dir, create.SysProcAttr = dir, user
	if out, err := create.CombinedOutput(); err != nil {
		return installation{}, errors.Join(fmt.Errorf("running initdb: %w\n%s", err, out), os.RemoveAll(dir))
	}
	return i, nil
}

func (i installation) data() string { return filepath.Join(i.dir, "data") }

// server returns what serves i on port, under the watchdog script, and how to run it.
func (i installation) server(port, script string, flags []string) (*server, *exec.Cmd) {
	args := append([]string{
		filepath.Join(i.bin, "postgres"), "-D", i.data(), "-p", port, "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=",
	}, flags...)
	s := &server{url: localURL(port), name: filepath.Base(i.dir), log: filepath.Join(i.dir, "log")}
	args = append(args, "-c", "cluster_name="+s.name)
	command := exec.Command("sh", append([]string{"-c", script, "watchdog"}, args...)...) //nolint:gosec,noctx // see findBinaries; stop ends it
	command.Dir, command.SysProcAttr = i.dir, i.user
	return s, command
}

func startDocker() (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	log, err := os.CreateTemp("", "dbtest-*.log")
	if err != nil {
		return nil, fmt.Errorf("making a log for the server: %w", err)
	}
	if err := log.Close(); err != nil {
		return nil, err
	}
	name := "dbtest-" + randomName()
	args := append([]string{
		"docker", "run", "--rm", "--name", name, "-p", "127.0.0.1:" + port + ":5432",
		"-e", "POSTGRES_HOST_AUTH_METHOD=trust", image, "-c", "cluster_name=" + name,
	}, serverFlags...)
	script := fmt.Sprintf(watchdog, "docker rm -f "+name+" >/dev/null", "rm -f '"+log.Name()+"'")
	s := &server{url: localURL(port), name: name, log: log.Name()}
	command := exec.Command("sh", append([]string{"-c", script, "watchdog"}, args...)...) //nolint:gosec,noctx // built here; stop ends it
	command.SysProcAttr = ownGroup()
	return started(s, command)
}

func started(s *server, command *exec.Cmd) (*server, error) {
	if err := s.run(command); err != nil {
		return nil, err
	}
	return s, nil
}

// run starts command and returns when the server answers.
func (s *server) run(command *exec.Cmd) error {
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening the server's log: %w", err)
	}
	// Files, not pipes through this process: go test waits for whoever holds its own output.
	command.Stdout, command.Stderr = log, log
	if s.leash, err = command.StdinPipe(); err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return fmt.Errorf("starting the server: %w", err)
	}
	s.process, s.exited = command, make(chan struct{})
	go func() {
		defer close(s.exited)
		_ = command.Wait() // its exit status says nothing that the log does not
		_ = log.Close()
	}()
	if err := s.awaitAnswer(); err != nil {
		err = fmt.Errorf("%w\n%s", err, s.logs())
		s.stop()
		return err
	}
	return nil
}

func (s *server) awaitAnswer() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		err := s.probe(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.exited:
			return errors.New("the server ended before it answered")
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// probe connects, and makes sure that it is our server which answers and not one that took the port before it.
func (s *server) probe(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.url.String())
	if err != nil {
		return err
	}
	var name string
	err = conn.QueryRow(ctx, "SHOW cluster_name").Scan(&name)
	if err == nil && name != s.name {
		err = errors.New("another server has the port")
	}
	return errors.Join(err, conn.Close(ctx))
}

// stop ends a server that was started here and waits until it is gone.
func (s *server) stop() {
	if s.process == nil {
		return
	}
	_ = s.leash.Close() // closed already if the process ended
	<-s.exited
}

// logs returns the end of the server's log, for the message of a failing test.
func (s *server) logs() string {
	if s.log == "" {
		return "see the log of the server that " + serverVariable + " names"
	}
	text, err := os.ReadFile(s.log)
	if err != nil {
		return "the server's log cannot be read: " + err.Error()
	}
	const tail = 4096
	return "end of the server's log:\n" + string(text[max(0, len(text)-tail):])
}

func localURL(port string) *url.URL {
	return &url.URL{
		Scheme: "postgres", User: url.User("postgres"), Host: net.JoinHostPort("127.0.0.1", port), Path: "/postgres",
		RawQuery: "sslmode=disable",
	}
}

func freePort() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a local port, given back at once
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	return port, errors.Join(err, listener.Close())
}
