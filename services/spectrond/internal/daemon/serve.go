package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/spectron-hq/spectron/services/chassis/database"
	"github.com/spectron-hq/spectron/services/chassis/process"
	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/chassis/telemetry"
	"github.com/spectron-hq/spectron/services/chassis/tracing"
	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/dataplane"
	"github.com/spectron-hq/spectron/services/dataplane/identity"
	"github.com/spectron-hq/spectron/services/keymanager"
	"github.com/spectron-hq/spectron/services/spectrond/internal/node"
	"github.com/spectron-hq/spectron/services/spectrond/internal/privatefile"
	"github.com/spectron-hq/spectron/services/spectrond/internal/secret"
	"github.com/spectron-hq/spectron/services/spectrond/internal/statedir"
)

// Namespace is the context that a local daemon serves.
const Namespace = "default"

// Loopback is the only address that a daemon without authentication listens on.
const Loopback = "127.0.0.1"

// Options say how a daemon is to serve.
type Options struct {
	Host string
	Port int
	// Insecure turns authentication off, and listens to this machine only, whatever Host says.
	Insecure bool
	// Memory keeps nothing when the daemon ends.
	Memory bool
	// Discover listens for other daemons on the local network and, where they can reach this one, tells them of it.
	Discover bool
	// Origins are the pages that may call from a browser.
	Origins []string
	// TrustedProxies are the networks of the proxies whose word about a client's address is taken.
	TrustedProxies []string
	// Store is the URL of the store; empty for the one in the state directory.
	Store settings.Secret
	// Chosen, the secret of a first token that somebody has chosen, is enrolled where there is no account yet.
	Chosen settings.Secret
	// Operator is whom the user acts as, DisplayName the name to go with it.
	Operator, DisplayName string
	LogLevel              string
	// Tracing says whether spans are made, and where they go.
	Tracing tracing.Settings
	Version string
	// Arguments are what the user said of all this.
	Arguments statedir.Arguments
}

// Audience is whom a starting daemon talks to.
type Audience struct {
	// Banner gets what there is to know about a daemon that serves, Notes what its user should know besides.
	Banner, Notes io.Writer
	// Log gets the log, besides the file; nil for none.
	Log io.Writer
	// Ready is called when the daemon answers.
	Ready func(statedir.Run)
}

// clock tells the time.
type clock func() time.Time

// Serve runs the daemon of a state directory until ctx ends. Errors: fault.AlreadyDone when one runs, and an [AccountsError] when
// nobody could pass its authentication.
func Serve(ctx context.Context, dir statedir.Dir, options Options, audience Audience) error {
	return serve(ctx, dir, options, audience, time.Now) //nolint:forbidigo // the one place where the daemon takes the clock
}

func serve(ctx context.Context, dir statedir.Dir, options Options, audience Audience, now clock) (err error) {
	// Whatever is made from here on is for its owner alone.
	syscall.Umask(int(^privatefile.DirMode & fs.ModePerm))
	mended, err := dir.Prepare()
	note(audience, mended...)
	if err != nil {
		return err
	}
	if err := dir.CheckToken(); err != nil {
		note(audience, err.Error())
	}
	claimed, stale, err := take(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, claimed.release()) }()
	if stale != "" {
		note(audience, stale)
	}
	file := openLog(dir)
	defer func() { err = errors.Join(err, file.Close()) }()
	log, err := newLog(file, options.LogLevel, audience.Log)
	if err != nil {
		return err
	}
	spans, flush, err := tracing.Open(ctx, options.Tracing, "spl", options.Version, log)
	if err != nil {
		return err
	}
	defer flush(ctx)
	d := &starting{dir: dir, options: options, audience: audience, log: log, spans: spans, now: now}
	err = d.run(ctx)
	if err != nil {
		log.ErrorContext(ctx, "the daemon ends", slog.Any("error", err))
	}
	return err
}

// newLog returns the log into file, and into also.
func newLog(file io.Writer, level string, also io.Writer) (*slog.Logger, error) {
	log, err := telemetry.NewLogger(file, level, "json", apikey.Redact)
	if err == nil && also != nil {
		var second *slog.Logger
		if second, err = telemetry.NewLogger(also, level, "", apikey.Redact); err == nil {
			log = slog.New(slog.NewMultiHandler(log.Handler(), second.Handler()))
		}
	}
	if err != nil {
		return nil, err
	}
	slog.SetDefault(log)
	return log, nil
}

// starting is a daemon on its way to serve.
type starting struct {
	dir      statedir.Dir
	options  Options
	audience Audience
	log      *slog.Logger
	spans    trace.TracerProvider // nil for none
	now      clock
}

// run opens the store, makes sure that the daemon may serve, and serves.
func (d *starting) run(ctx context.Context) (err error) {
	backup := d.backUp(ctx)
	store, shown, err := d.store()
	if err != nil {
		return err
	}
	if d.options.Memory {
		defer func() { err = errors.Join(err, os.RemoveAll(d.dir.Memory())) }()
	}
	config, err := d.node(store)
	if err != nil {
		return err
	}
	var standing Standing
	config.Prepare = func(ctx context.Context, keys *keymanager.Service) (err error) {
		standing, err = d.admit(ctx, keys)
		return err
	}
	opened, err := node.Open(ctx, config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	listener, err := listen(ctx, d.bind())
	if err != nil {
		return err
	}
	run := statedir.Run{
		URL:       "http://" + node.Reachable(listener.Addr()),
		PID:       os.Getpid(),
		Mode:      d.mode(),
		Version:   d.options.Version,
		StartedAt: d.now().UTC(),
		Bind:      listener.Addr().String(),
		Store:     shown,
		Backup:    backup,
		Accounts:  standing.Active,
		Arguments: d.options.Arguments,
	}
	if err := d.record(run); err != nil {
		return errors.Join(err, listener.Close())
	}
	return process.Group(ctx,
		func(ctx context.Context) error { return web.Serve(ctx, listener, opened.Handler(), web.Drain{}, d.log) },
		func(ctx context.Context) error {
			d.announce(ctx, run, standing)
			<-ctx.Done()
			return nil
		})
}

// record tells others of the daemon, and keeps for a restart what cannot be told.
func (d *starting) record(run statedir.Run) error {
	if run.Arguments.StoreKept {
		if err := privatefile.Replace(d.dir.ChosenStore(), []byte(d.options.Store.Reveal()+"\n")); err != nil {
			return fmt.Errorf("keeping the URL of the store: %w", err)
		}
	}
	return d.dir.WriteRun(run)
}

// node returns the configuration of the node behind the daemon.
func (d *starting) node(store settings.Secret) (node.Config, error) {
	seal, err := d.sealSecret()
	if err != nil {
		return node.Config{}, err
	}
	own, err := identity.Open(d.dir.IdentityKey())
	if err != nil {
		return node.Config{}, err
	}
	return node.Config{
		DataDir:          d.dir.Path(),
		Layout:           node.Layout{Store: relative(d.dir, d.dir.Store()), Pepper: relative(d.dir, d.dir.Pepper()), Claimed: true},
		ConnectionString: store,
		Version:          d.options.Version,
		Log:              d.log,
		Tracing:          d.spans,

		CORSAllowedOrigins: d.options.Origins,
		TrustedProxies:     d.options.TrustedProxies,

		Spl: dataplane.Spl{
			Context:           Namespace,
			SealSecret:        seal,
			AuthenticationOff: d.options.Insecure,
			Actor:             d.options.Operator,
			DisplayName:       d.options.DisplayName,
			Identity:          own,
			Discovery:         d.discovery(),
		},
	}, nil
}

// discovery tells the local network of this daemon only where others can reach it.
func (d *starting) discovery() dataplane.Discovery {
	found := dataplane.Discovery{Enabled: d.options.Discover}
	if !d.onlyHere() {
		found.Port = d.options.Port
	}
	return found
}

// onlyHere reports whether the daemon listens to this machine only.
func (d *starting) onlyHere() bool {
	ip := net.ParseIP(d.options.Host)
	return d.options.Insecure || ip != nil && ip.IsLoopback() || d.options.Host == "localhost"
}

func relative(dir statedir.Dir, path string) string {
	return strings.TrimPrefix(path, dir.Path()+string(filepath.Separator))
}

// sealSecret returns the secret that seals the tokens of peers, and makes one the first time. The tokens sealed with one that
// was lost cannot be read any more: their pairs must be made anew.
func (d *starting) sealSecret() (settings.Secret, error) {
	content, err := os.ReadFile(d.dir.SealSecret())
	if err == nil {
		return settings.Secret(strings.TrimSpace(string(content))), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("reading the sealing secret: %w", err)
	}
	text := secret.New()
	if err := privatefile.Replace(d.dir.SealSecret(), []byte(text+"\n")); err != nil {
		return "", fmt.Errorf("keeping the sealing secret: %w", err)
	}
	return settings.Secret(text), nil
}

func (d *starting) mode() statedir.Mode {
	if d.options.Insecure {
		return statedir.Insecure
	}
	return statedir.Secure
}

// bind returns the address to listen on. Without authentication it is this machine's own, whatever else was said.
func (d *starting) bind() string {
	host := d.options.Host
	if d.options.Insecure {
		host = Loopback
	}
	return net.JoinHostPort(host, strconv.Itoa(d.options.Port))
}

// store returns the URL of the store, and how to show it.
func (d *starting) store() (chosen settings.Secret, shown string, err error) {
	switch {
	case d.options.Memory:
		// What an earlier daemon of this kind left when it was killed.
		if err := os.RemoveAll(d.dir.Memory()); err != nil {
			return "", "", fmt.Errorf("removing an earlier ephemeral store: %w", err)
		}
		return settings.Secret(database.FileURL(filepath.Join(d.dir.Memory(), "hub.db"))), "in memory: nothing is kept when the daemon ends", nil
	case d.options.Store != "":
		return d.options.Store, ShownStore(d.options.Store), nil
	default:
		own := database.FileURL(d.dir.Store())
		return settings.Secret(own), own, nil
	}
}

// ShownStore returns the URL of a store without its password.
func ShownStore(store settings.Secret) string {
	u, err := url.Parse(store.Reveal())
	if err != nil {
		return "(not a URL)"
	}
	u.RawQuery = "" // a password may be there, too
	return u.Redacted()
}

// HasPassword reports whether the URL of a store may hold a password.
func HasPassword(store settings.Secret) bool {
	u, err := url.Parse(store.Reveal())
	if err != nil {
		return true
	}
	_, has := u.User.Password()
	return has || u.RawQuery != ""
}

// backUp copies the store of the state directory, as it was left, and returns where to. A copy that cannot be made keeps nobody
// from starting: the one before is still there.
func (d *starting) backUp(ctx context.Context) string {
	if d.options.Memory || d.options.Store != "" {
		return ""
	}
	info, err := os.Stat(d.dir.Store())
	if err != nil || info.Size() == 0 {
		return "" // nothing to copy yet
	}
	if err := database.Copy(ctx, d.dir.Store(), d.dir.Backup()); err != nil {
		d.log.WarnContext(ctx, "the store could not be backed up", slog.Any("error", err))
		note(d.audience, fmt.Sprintf("the store could not be backed up: %v", err))
		return ""
	}
	return d.dir.Backup()
}

// listen listens on address, and says what to do where that cannot be.
func listen(ctx context.Context, address string) (net.Listener, error) {
	listener, err := node.Listen(ctx, address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use by another program: stop that, or choose another port with --port", address)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("this user may not listen on %s: choose a port above 1023 with --port", address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s is no address of this machine: choose another with --host", address)
	default:
		return listener, err
	}
}

// announce tells whoever started the daemon how it serves, and where they are on their way.
func (d *starting) announce(ctx context.Context, run statedir.Run, standing Standing) {
	d.log.InfoContext(ctx, "serving", slog.String("url", run.URL), slog.String("mode", string(run.Mode)),
		slog.String("store", run.Store), slog.Int("service_accounts", standing.Active), slog.String("version", run.Version))
	if d.options.Insecure {
		d.log.WarnContext(ctx, "authentication is off: every program on this machine is an administrator here, until the daemon is stopped")
		if host := d.options.Arguments.Host; host != nil && *host != Loopback {
			note(d.audience, fmt.Sprintf("--host %s is ignored: --insecure-localhost listens on %s only", *host, Loopback))
		}
	}
	if !d.onlyHere() {
		d.log.WarnContext(ctx, "serving beyond this machine in plain HTTP: put TLS before it", slog.String("bind", run.Bind))
		note(d.audience, "others can reach this address, and it speaks plain HTTP: put TLS before it")
	}
	for _, line := range Banner(run, standing) {
		_, _ = fmt.Fprintln(d.audience.Banner, line) // a terminal that is gone stops no daemon
	}
	for _, warning := range Warnings(run.Mode, standing, d.options.Operator) {
		d.log.WarnContext(ctx, "service accounts", slog.String("warning", warning))
	}
	note(d.audience, Guidance(run.Mode, standing, d.options.Operator)...)
	d.audience.Ready(run)
}

func note(audience Audience, lines ...string) {
	for _, line := range lines {
		_, _ = fmt.Fprintln(audience.Notes, strings.TrimRight(line, "\n")) // a terminal that is gone stops no daemon
	}
}
