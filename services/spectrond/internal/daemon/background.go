package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
	"github.com/spectron-hq/spectron/services/spectrond/internal/privatefile"
	"github.com/spectron-hq/spectron/services/spectrond/internal/statedir"
)

// A daemon in the background is this program again, in a session of its own, with nothing open but two pipes: it reads what it
// is to do from one, so that no secret is among its arguments, and tells how its start goes on the other.
const (
	orderFD  = 3
	reportFD = 4
)

// order is what the child is told. The secrets are plain strings here, because a [settings.Secret] encodes as REDACTED.
type order struct {
	Options Options
	Store   string
	Chosen  string
}

// message is one thing that the child tells.
type message struct {
	Banner string        `json:",omitempty"`
	Note   string        `json:",omitempty"`
	Ready  *statedir.Run `json:",omitempty"`
	// Failed is why the start came to nothing, and Status what the command is to exit with.
	Failed string `json:",omitempty"`
	Status int    `json:",omitempty"`
}

// forgotten are the variables that a daemon has no use for, and that hold secrets.
var forgotten = []string{"SPL_TOKEN", "SPL_BOOTSTRAP_TOKEN", "SPL_STORE"}

// Start starts the daemon in the background and returns when it answers. program is what to call this program in the list of
// processes, arguments are those that make it call [Detached]. When ctx ends before that, so does the daemon.
func Start(
	ctx context.Context, dir statedir.Dir, options Options, audience Audience, environ settings.Environ, arguments ...string,
) (run statedir.Run, err error) {
	mended, err := dir.Prepare()
	note(audience, mended...)
	if err != nil {
		return run, err
	}
	if err := refuseRunning(dir); err != nil {
		return run, err
	}
	child, err := spawn(dir, environ, arguments)
	if err != nil {
		return run, err
	}
	if err = child.tell(options); err == nil {
		run, err = child.listen(ctx, audience)
	}
	if err == nil {
		err = answers(ctx, run.URL)
	}
	if err != nil {
		return run, errors.Join(err, child.end())
	}
	return run, child.process.Release()
}

// child is a daemon that is starting.
type child struct {
	process *os.Process
	orders  *os.File
	reports *os.File
	dir     statedir.Dir
}

func spawn(dir statedir.Dir, environ settings.Environ, arguments []string) (*child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	orderReader, orderWriter, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("starting the daemon: %w", err)
	}
	reportReader, reportWriter, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the daemon: %w", err), orderReader.Close(), orderWriter.Close())
	}
	crashes, err := os.OpenFile(dir.CrashLog(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, privatefile.Mode)
	if err == nil {
		// Not with a context: the daemon outlives this command.
		cmd := exec.Command(program, arguments...) //nolint:gosec,noctx // this program itself
		cmd.Args[0] = os.Args[0]
		cmd.Dir = dir.Path()
		cmd.Env = environment(dir, environ)
		cmd.Stderr = crashes // what the runtime says when it dies
		cmd.ExtraFiles = []*os.File{orderReader, reportWriter}
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		err = errors.Join(cmd.Start(), crashes.Close())
		if cmd.Process != nil && err == nil {
			return &child{process: cmd.Process, orders: orderWriter, reports: reportReader, dir: dir},
				errors.Join(orderReader.Close(), reportWriter.Close())
		}
	}
	return nil, errors.Join(fmt.Errorf("starting the daemon: %w", err),
		orderReader.Close(), orderWriter.Close(), reportReader.Close(), reportWriter.Close())
}

// environment is that of the daemon: this one's, without secrets, and with the same state directory wherever it runs.
func environment(dir statedir.Dir, environ settings.Environ) []string {
	list := make([]string, 0, len(environ))
	for name, value := range environ {
		secret := false
		for _, one := range forgotten {
			secret = secret || name == one
		}
		if name == statedir.HomeVariable && value != "" {
			value = dir.Path()
		}
		if !secret {
			list = append(list, name+"="+value)
		}
	}
	return list
}

// tell sends the child what it is to do.
func (c *child) tell(options Options) error {
	err := json.NewEncoder(c.orders).Encode(order{Options: options, Store: options.Store.Reveal(), Chosen: options.Chosen.Reveal()})
	if err = errors.Join(err, c.orders.Close()); err != nil {
		return fmt.Errorf("starting the daemon: %w", err)
	}
	return nil
}

// listen passes on what the child tells until it serves.
func (c *child) listen(ctx context.Context, audience Audience) (statedir.Run, error) {
	defer context.AfterFunc(ctx, func() { _ = c.reports.SetReadDeadline(time.Unix(1, 0)) })() // it ends the reading
	defer func() { _ = c.reports.Close() }()                                                  // it was only read
	for decoder := json.NewDecoder(c.reports); ; {
		var m message
		err := decoder.Decode(&m)
		switch {
		case ctx.Err() != nil:
			return statedir.Run{}, fmt.Errorf("the daemon was not waited for: %w", ctx.Err())
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return statedir.Run{}, fmt.Errorf("the daemon ended while it started: see %s and %s", c.dir.Log(), c.dir.CrashLog())
		case err != nil:
			return statedir.Run{}, fmt.Errorf("listening to the daemon: %w", err)
		case m.Failed != "" && m.Status == cli.ExitAlreadyDone:
			return statedir.Run{}, fault.New(fault.AlreadyDone, "%s", m.Failed)
		case m.Failed != "":
			return statedir.Run{}, errors.New(m.Failed)
		case m.Ready != nil:
			return *m.Ready, nil
		case m.Banner != "":
			_, _ = fmt.Fprint(audience.Banner, m.Banner) // as in announce
		default:
			note(audience, m.Note)
		}
	}
}

// end ends a child whose start came to nothing, and waits for it.
func (c *child) end() error {
	if err := signal(c.process, syscall.SIGTERM); err != nil {
		return err
	}
	_, err := c.process.Wait()
	return err
}

// The daemon serves already when it says so, so the first answer comes at once, unless its machine is busy.
const healthPatience = 30 * time.Second

// answers returns when the daemon at url does.
func answers(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, healthPatience)
	defer cancel()
	for {
		err := Healthy(ctx, url)
		if err == nil || ctx.Err() != nil {
			return err
		}
		time.Sleep(probePause)
	}
}

// Detached is the other side of [Start]: it serves as it is told on the pipe that [Start] has left open. Its errors are a
// [cli.ReportedError].
func Detached(ctx context.Context, dir statedir.Dir) error {
	orders, reports := os.NewFile(orderFD, "orders"), os.NewFile(reportFD, "reports")
	syscall.CloseOnExec(orderFD)
	syscall.CloseOnExec(reportFD)
	var o order
	if err := json.NewDecoder(orders).Decode(&o); err != nil {
		return errors.New("only spl itself starts this: use spl serve --daemon")
	}
	if err := orders.Close(); err != nil {
		return err
	}
	options := o.Options
	options.Store, options.Chosen = settings.Secret(o.Store), settings.Secret(o.Chosen)
	encoder := json.NewEncoder(reports)
	// Whoever listened may have gone: then there is nobody to tell.
	report := func(m message) { _ = encoder.Encode(m) }
	err := Serve(ctx, dir, options, Audience{
		Banner: telling(func(text string) { report(message{Banner: text}) }),
		Notes:  telling(func(text string) { report(message{Note: text}) }),
		Ready: func(run statedir.Run) {
			report(message{Ready: &run})
			_ = reports.Close() // and nothing more is told
		},
	})
	if err == nil {
		return nil
	}
	report(message{Failed: cli.Describe(err), Status: cli.Status(err)})
	return &cli.ReportedError{Err: err}
}

// telling is a writer that tells what is written.
type telling func(text string)

func (t telling) Write(p []byte) (int, error) {
	t(string(p))
	return len(p), nil
}
