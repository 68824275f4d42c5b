package splcommand

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/fault"
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
says ([identity] actor, display_name; [store] url; [server] host, port, cors_origins)
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

// options puts together what flags, variables, the last run and config.toml say, in this order.
func (a *app) options(
	cmd *cobra.Command, dir statedir.Dir, f serveFlags, before statedir.Arguments, storeBefore settings.Secret,
) (daemon.Options, error) {
	var said serveSettings
	if err := cli.Load(cmd, a.environ, &said); err != nil {
		return daemon.Options{}, err
	}
	config, err := dir.ReadConfig()
	if err != nil {
		return daemon.Options{}, cli.Usage(cmd, err)
	}
	for _, name := range config.Unknown {
		a.tell(cmd, "spl: %s: %s means nothing here", dir.ConfigFile(), name)
	}
	operator, err := config.Operator(a.environ)
	if err != nil {
		return daemon.Options{}, err
	}
	arguments := before
	if said.Host != "" {
		arguments.Host = &said.Host
	}
	if said.Port != "" {
		port, err := strconv.Atoi(said.Port)
		if err != nil {
			return daemon.Options{}, cli.Usage(cmd, errors.New("--port (SPL_PORT): want a number"))
		}
		arguments.Port = &port
	}
	if cmd.Flags().Changed("insecure-localhost") {
		arguments.Insecure = f.insecure
	}
	if cmd.Flags().Changed("memory") {
		arguments.Memory = f.memory
	}
	if cmd.Flags().Changed("discover") {
		arguments.Discover = f.discover
	}
	if len(said.Origins) > 0 {
		arguments.Origins = said.Origins
	}
	options := daemon.Options{
		Host: first(arguments.Host, config.Host, defaultHost), Port: defaultPort,
		Insecure: arguments.Insecure, Memory: arguments.Memory, Discover: arguments.Discover,
		Origins: config.Origins,
		Chosen:  said.Chosen, Operator: operator, DisplayName: config.DisplayName, LogLevel: said.LogLevel, Version: a.version,
	}
	switch {
	case arguments.Port != nil:
		options.Port = *arguments.Port
	case config.Port != nil:
		options.Port = *config.Port
	}
	if len(arguments.Origins) > 0 {
		options.Origins = arguments.Origins
	}
	if options.Store, err = chooseStore(&arguments, said.Store, storeBefore, config.StoreURL); err != nil {
		return daemon.Options{}, cli.Usage(cmd, err)
	}
	options.Arguments = arguments
	return options, check(cmd, options)
}

func first(said *string, texts ...string) string {
	if said != nil {
		return *said
	}
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// chooseStore returns the URL of the store to use, and notes how it is to be found again when the daemon is restarted.
func chooseStore(arguments *statedir.Arguments, said, before, configured settings.Secret) (settings.Secret, error) {
	if said == "" {
		said = before
	}
	arguments.Store, arguments.StoreKept = "", false
	if said == "" {
		return absolute(configured)
	}
	chosen, err := absolute(said)
	if err != nil {
		return "", err
	}
	if daemon.HasPassword(chosen) {
		arguments.StoreKept = true
	} else {
		arguments.Store = chosen.Reveal()
	}
	return chosen, nil
}

// absolute makes the path of a SQLite store absolute: a daemon runs elsewhere.
func absolute(store settings.Secret) (settings.Secret, error) {
	if store == "" {
		return "", nil
	}
	u, err := url.Parse(store.Reveal())
	if err != nil || u.Scheme != "sqlite" && u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return "", errors.New("--store (SPL_STORE, or url in config.toml): want sqlite:///path or postgres://user@host/name")
	}
	if u.Opaque == "" {
		return store, nil
	}
	path, err := filepath.Abs(u.Opaque)
	if err != nil {
		return "", fmt.Errorf("finding the store: %w", err)
	}
	return settings.Secret((&url.URL{Scheme: "sqlite", Path: filepath.ToSlash(path)}).String()), nil
}

func check(cmd *cobra.Command, options daemon.Options) error {
	if options.Port < 0 || options.Port > 65535 {
		return cli.Usage(cmd, fmt.Errorf("port %d: want 1 to 65535, or 0 for any that is free", options.Port))
	}
	if strings.ContainsAny(options.Host, " /") || strings.Contains(options.Host, ":") && net.ParseIP(options.Host) == nil {
		return cli.Usage(cmd, fmt.Errorf("host %q: want a name or an address, without a port", options.Host))
	}
	if _, err := web.ParseOrigins(options.Origins); err != nil {
		return cli.Usage(cmd, fmt.Errorf("--cors-origins (SPL_CORS_ORIGINS): %w", err))
	}
	if options.Memory && options.Store != "" && options.Arguments.Store+boolText(options.Arguments.StoreKept) != "" {
		return cli.Usage(cmd, errors.New("--memory and --store exclude each other"))
	}
	return nil
}

func boolText(b bool) string {
	if b {
		return "kept"
	}
	return ""
}

func (a *app) stop() *cobra.Command {
	return &cobra.Command{
		Use:     "stop",
		Short:   "Stop the daemon, as 'spl serve --stop' does",
		Long:    "Stop the daemon: it may finish its requests, and is killed when it does not end. Exit status 3 when none runs.",
		Example: "  spl stop",
		Args:    cli.Arguments(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.runStop(cmd) },
	}
}

func (a *app) runStop(cmd *cobra.Command) error {
	dir, err := a.home()
	if err != nil {
		return err
	}
	stopped, err := daemon.Stop(cmd.Context(), dir, daemon.Grace)
	if errors.Is(err, statedir.ErrNotRunning) {
		return fault.New(fault.AlreadyDone, "not running")
	}
	if err != nil {
		return err
	}
	line := fmt.Sprintf("stopped (pid %d)", stopped.PID)
	if stopped.Killed {
		line = fmt.Sprintf("killed (pid %d): it did not end within %v", stopped.PID, daemon.Grace)
	}
	return a.answer(cmd, map[string]any{"status": "stopped", "pid": stopped.PID, "killed": stopped.Killed}, line)
}

func (a *app) restart() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "restart",
		Short:   "Stop the daemon and start it again, as 'spl serve --restart' does",
		Long:    "Stop the daemon and start it in the background with the same arguments. 'spl serve --restart' takes others besides.",
		Example: "  spl restart",
		Args:    cli.Arguments(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.runRestart(cmd, serveFlags{restart: true}) },
	}
	return cmd
}

// runRestart stops the daemon, if one runs, and starts one as the last one was started, but for what is said now.
func (a *app) runRestart(cmd *cobra.Command, f serveFlags) error {
	dir, err := a.home()
	if err != nil {
		return err
	}
	last, err := dir.ReadRun()
	if err != nil && !errors.Is(err, statedir.ErrNotRunning) {
		return err
	}
	var store settings.Secret
	if last.Arguments.StoreKept {
		content, err := os.ReadFile(dir.ChosenStore())
		if err != nil {
			return fmt.Errorf("finding the store of the last daemon: %w", err)
		}
		store = settings.Secret(strings.TrimSpace(string(content)))
	} else {
		store = settings.Secret(last.Arguments.Store)
	}
	// Before anything is stopped: what is said now must make sense.
	if _, err := a.options(cmd, dir, f, last.Arguments, store); err != nil {
		return err
	}
	switch stopped, err := daemon.Stop(cmd.Context(), dir, daemon.Grace); {
	case errors.Is(err, statedir.ErrNotRunning):
		a.tell(cmd, "not running: starting it")
	case err != nil:
		return err
	default:
		a.tell(cmd, "stopped (pid %d)", stopped.PID)
	}
	if words := spoken(last.Arguments); words != "" {
		a.tell(cmd, "starting as before, with %s", words)
	}
	return a.start(cmd, f, last.Arguments, store)
}

// spoken returns arguments as they are typed.
func spoken(arguments statedir.Arguments) string {
	var words []string
	if arguments.Insecure {
		words = append(words, "--insecure-localhost")
	}
	if arguments.Memory {
		words = append(words, "--memory")
	}
	if arguments.Discover {
		words = append(words, "--discover")
	}
	if len(arguments.Origins) > 0 {
		words = append(words, "--cors-origins "+strings.Join(arguments.Origins, ","))
	}
	if arguments.Host != nil {
		words = append(words, "--host "+*arguments.Host)
	}
	if arguments.Port != nil {
		words = append(words, "--port "+strconv.Itoa(*arguments.Port))
	}
	switch {
	case arguments.StoreKept:
		words = append(words, "--store (as it was)")
	case arguments.Store != "":
		words = append(words, "--store "+arguments.Store)
	}
	return strings.Join(words, " ")
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
