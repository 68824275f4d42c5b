package splcommand

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
	"github.com/spectron-hq/spectron/services/spectrond/internal/daemon"
	"github.com/spectron-hq/spectron/services/spectrond/internal/statedir"
)

// Where the daemon serves when nothing is said.
const (
	defaultHost = daemon.Loopback
	defaultPort = 9100
)

// serveSettings are what the daemon is told by flags and variables. What is empty here config.toml may say.
type serveSettings struct {
	Host     string          `env:"SPL_HOST" flag:"host" usage:"address to listen on; 127.0.0.1 unless config.toml says otherwise, because what listens beyond this machine is a decision"`
	Port     string          `env:"SPL_PORT" flag:"port" usage:"port to listen on; 9100 unless config.toml says otherwise"`
	Store    settings.Secret `env:"SPL_STORE" flag:"store" usage:"store to use, sqlite:///path or postgres://…, instead of hub.db in the state directory; prefer the variable, or config.toml, for one with a password"`
	Origins  []string        `env:"SPL_CORS_ORIGINS" flag:"cors-origins" usage:"pages that may call the daemon from a browser, by commas, such as https://syncropel.com for spl pair; none unless config.toml says otherwise, and never all"`
	Proxies  []string        `env:"SPL_TRUSTED_PROXIES" flag:"trusted-proxies" usage:"networks of the proxies whose X-Forwarded-For is believed about the address of a client, by commas, such as 10.0.0.0/8; none unless config.toml says otherwise"`
	Chosen   settings.Secret `env:"SPL_BOOTSTRAP_TOKEN" usage:"secret of the first token, when there is no account yet"`
	LogLevel string          `env:"SPL_LOG_LEVEL" envDefault:"info" flag:"log-level" usage:"least level that is logged: debug, info, warn or error"`
}

// serveFlags are the other flags of serve.
type serveFlags struct {
	background, foreground, stop, restart, status, logs bool

	insecure, memory, discover, noFollow, detached bool
	lines                                          int
}

func (a *app) serve() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon, and look after it",
		Long: `Run the daemon on 127.0.0.1:9100, attached to this terminal; with --daemon in the background, and return once it answers.

It asks everybody for a token. While there is no service account it refuses to start, because nobody could be let in, and
says which four commands lead out of that. With --insecure-localhost it asks nobody, listens to this machine only, and
stays so until it is stopped: to make the first account, or to recover.

SPL_BOOTSTRAP_TOKEN (16 to 256 printable characters, no space) makes the first account as the daemon starts, without an
insecure moment: its token is spl_prod_sa-bootstrap-env_ and that value, its only actor is you.

Its state is in ~/.syncro, or where SYNCROPEL_HOME says: hub.db, logs/spl.log, run/spl.pid, config.toml. Whatever config.toml
says ([identity] actor, display_name; [store] url; [server] host, port, cors_origins, trusted_proxies)
a variable overrules, and a flag that.

At each start hub.db is copied to ~/.local/share/syncropel/backups/hub.db.bak (or backups/hub.db.bak in SYNCROPEL_HOME).

Exit status: 3 when it is already running, or, for --stop, when nothing is.`,
		Example: `  spl serve --daemon --insecure-localhost
  spl serve --daemon
  spl serve --logs -n 20
  spl serve --stop`,
		Args: cli.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runServe(cmd, f) },
	}
	cli.AddSettings(cmd, &serveSettings{})
	flags := cmd.Flags()
	flags.BoolVar(&f.background, "daemon", false, "run in the background")
	flags.BoolVar(&f.foreground, "foreground", false, "run attached to this terminal, as without --daemon")
	flags.BoolVar(&f.stop, "stop", false, "stop the daemon: it may finish its requests, and is killed when it does not end")
	flags.BoolVar(&f.restart, "restart", false, "stop the daemon, and start it in the background with the same arguments, and those given now")
	flags.BoolVar(&f.status, "status", false, "say how the daemon is, and start nothing")
	flags.BoolVar(&f.logs, "logs", false, "show the log, and what comes to it until interrupted")
	flags.IntVarP(&f.lines, "lines", "n", 100, "lines of the log to begin with")
	flags.BoolVar(&f.noFollow, "no-follow", false, "show the log as it is, and end")
	flags.BoolVar(&f.insecure, "insecure-localhost", false, "ask nobody for a token, and listen on 127.0.0.1 only, whatever --host says")
	flags.BoolVar(&f.memory, "memory", false, "keep nothing when the daemon ends")
	flags.BoolVar(&f.discover, "discover", false, "listen for other daemons on the local network (multicast DNS) and, with --host, tell them of this one")
	flags.BoolVar(&f.detached, "detached", false, "")
	if err := flags.MarkHidden("detached"); err != nil {
		panic(err) // the flag is right above
	}
	return cmd
}

// runServe does the one thing that was asked for.
func (a *app) runServe(cmd *cobra.Command, f serveFlags) error {
	asked := 0
	for _, act := range []bool{f.background, f.foreground, f.stop, f.restart, f.status, f.logs} {
		if act {
			asked++
		}
	}
	if asked > 1 {
		return cli.Usage(cmd, errors.New("--daemon, --foreground, --stop, --restart, --status and --logs exclude each other"))
	}
	switch {
	case f.detached:
		return a.serveDetached(cmd)
	case f.stop:
		return a.runStop(cmd)
	case f.restart:
		return a.runRestart(cmd, f)
	case f.status:
		return a.runStatus(cmd)
	case f.logs:
		return a.runLogs(cmd, f)
	default:
		return a.start(cmd, f, statedir.Arguments{}, "")
	}
}

func (a *app) serveDetached(cmd *cobra.Command) error {
	dir, err := a.home()
	if err != nil {
		return err
	}
	return daemon.Detached(cmd.Context(), dir)
}

// start starts the daemon with what is said now, or else was said before.
func (a *app) start(cmd *cobra.Command, f serveFlags, before statedir.Arguments, storeBefore settings.Secret) error {
	dir, err := a.home()
	if err != nil {
		return err
	}
	options, err := a.options(cmd, dir, f, before, storeBefore)
	if err != nil {
		return err
	}
	audience := daemon.Audience{Banner: cmd.OutOrStdout(), Notes: cmd.ErrOrStderr(), Ready: func(statedir.Run) {}}
	if a.output.forPrograms() {
		audience.Banner = io.Discard
	}
	if !f.background && !f.restart {
		audience.Log = cmd.ErrOrStderr()
		if a.output.forPrograms() {
			audience.Ready = func(run statedir.Run) {
				if err := a.encode(cmd, run); err != nil {
					a.tell(cmd, "spl: %v", err)
				}
			}
		}
		return daemon.Serve(cmd.Context(), dir, options, audience)
	}
	run, err := daemon.Start(cmd.Context(), dir, options, audience, a.environ, "serve", "--detached")
	if err != nil || !a.output.forPrograms() {
		return err
	}
	return a.encode(cmd, run)
}

func (a *app) runLogs(cmd *cobra.Command, f serveFlags) error {
	dir, err := a.home()
	if err != nil {
		return err
	}
	if f.lines < 0 {
		return cli.Usage(cmd, errors.New("-n: want a number of lines"))
	}
	err = daemon.Tail(cmd.Context(), dir, f.lines, !f.noFollow, cmd.OutOrStdout())
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("there is no log yet: %s", dir.Log())
	}
	return err
}
