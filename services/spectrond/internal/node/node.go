// Package node runs both planes in one process, on one address and one store, wired as they are when deployed: the data
// plane asks the key manager over HTTP, only that no network carries it. It promises that what it keeps on disk is readable
// by its owner alone, and that no other node serves the same data directory.
package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/spectron-hq/spectron/services/chassis/network"
	"github.com/spectron-hq/spectron/services/chassis/process"
	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/chassis/telemetry"
	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/dataplane"
	"github.com/spectron-hq/spectron/services/keymanager"
	"github.com/spectron-hq/spectron/services/spectrond/internal/bootstrap"
)

// adminOff is the admin address that means none.
const adminOff = "off"

// Config says what a node serves, and where.
type Config struct {
	BindAddress                  string          `env:"SPECTRON_BIND_ADDRESS" envDefault:"127.0.0.1:9090" flag:"bind-address" usage:"address for both planes; this machine only by default, because a node is made for trying and for one user"`
	DataDir                      string          `env:"SPECTRON_DATA_DIR" envDefault:".spectron" flag:"data-dir" usage:"folder for the store, the pepper and the lock; made if it is missing"`
	ConnectionString             settings.Secret `env:"SPECTRON_CONNECTION_STRING" flag:"connection-string" usage:"store to use, postgres://… or sqlite:///path, instead of the SQLite store in the data directory"`
	Pepper                       settings.Secret `env:"SPECTRON_PEPPER" usage:"pepper of the stored keys, instead of the one kept in the data directory"`
	RetiredPeppers               []string        `env:"SPECTRON_RETIRED_PEPPERS" flag:"retired-peppers" usage:"versions of the pepper, by commas, that are gone for good, with the keys still sealed under them"`
	AdminAddress                 string          `env:"SPECTRON_ADMIN_ADDRESS" envDefault:"off" flag:"admin-address" usage:"address for metrics, readiness and profiles; off by default"`
	CORSAllowedOrigins           []string        `env:"SPECTRON_CORS_ALLOWED_ORIGINS" flag:"cors-allowed-origins" usage:"pages that may call the API from a browser, by commas; none by default, and never all"`
	ManagementCORSAllowedOrigins []string        `env:"SPECTRON_MANAGEMENT_CORS_ALLOWED_ORIGINS" flag:"management-cors-allowed-origins" usage:"pages that may call the management API from a browser, by commas; none by default, and never all"`
	TrustedProxies               []string        `env:"SPECTRON_TRUSTED_PROXIES" flag:"trusted-proxies" usage:"networks of the proxies whose X-Forwarded-For is believed about the address of a client, by commas, such as 10.0.0.0/8,2001:db8::7; none by default, because whoever is believed can name any address"`

	// Webhooks are those of the key manager.
	Webhooks keymanager.Webhooks
	// Layout says where in the data directory things lie.
	Layout Layout
	// Spl is how the spl face is served. With authentication off there, it is off in the key manager, too.
	Spl dataplane.Spl
	// Prepare, when it is not nil, is called with the key manager before the data plane asks it anything.
	Prepare func(context.Context, *keymanager.Service) error
	// Doors are how other software asks about keys. The keys of assertions are sealed by a secret in the data directory, unless Spl has one.
	Doors dataplane.Doors
	// Limits are those of the data plane.
	Limits dataplane.Limits
	// Tracing makes spans; nil means none.
	Tracing trace.TracerProvider
	// Version is what health tells.
	Version string
	// Bootstrap, when it is not nil, is enrolled in a store that has not been bootstrapped.
	Bootstrap *bootstrap.Credentials
	// Credentials is where they are printed then.
	Credentials io.Writer
	Log         *slog.Logger
}

// Verify refuses addresses that cannot be listened on.
func (c *Config) Verify() error {
	if _, _, err := net.SplitHostPort(c.BindAddress); err != nil {
		return fmt.Errorf("SPECTRON_BIND_ADDRESS (--bind-address): want host:port: %w", err)
	}
	if _, _, err := net.SplitHostPort(c.AdminAddress); c.AdminAddress != adminOff && c.AdminAddress != "" && err != nil {
		return fmt.Errorf("SPECTRON_ADMIN_ADDRESS (--admin-address): want host:port or %s: %w", adminOff, err)
	}
	if _, err := network.ParseAll(c.TrustedProxies); err != nil {
		return fmt.Errorf("SPECTRON_TRUSTED_PROXIES (--trusted-proxies): %w", err)
	}
	return errors.Join(c.Limits.Verify(), c.Doors.Verify(), c.Webhooks.Verify())
}

// Node is both planes, open on one store. It is not safe for concurrent use.
type Node struct {
	cfg     Config
	dir     *dataDir
	metrics *prometheus.Registry
	planes  *planes
}

// Open claims the data directory, migrates the store and opens both planes, without listening.
func Open(ctx context.Context, cfg Config) (*Node, error) {
	dir, err := openDataDir(cfg.DataDir, cfg.Layout)
	if err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, dir: dir, metrics: telemetry.NewRegistry("spectron", cfg.Version)}
	if n.planes, err = openPlanes(ctx, cfg, dir, n.metrics); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return n, nil
}

// Handler serves both planes.
func (n *Node) Handler() http.Handler { return n.planes.data.Handler() }

// Metrics is where the metrics of both planes are.
func (n *Node) Metrics() *prometheus.Registry { return n.metrics }

// Close closes both planes and gives the data directory up. Call it when no request is being served any more.
func (n *Node) Close() error { return errors.Join(n.planes.Close(), n.dir.Close()) }

// Run serves until ctx ends. It migrates the store first.
func Run(ctx context.Context, cfg Config) (err error) {
	n, err := Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	// Before bootstrap: when the address is taken no keys must have been made.
	listener, err := Listen(ctx, cfg.BindAddress)
	if err != nil {
		return err
	}
	tasks := []func(context.Context) error{
		func(ctx context.Context) error { return web.Serve(ctx, listener, n.Handler(), web.Drain{}, cfg.Log) },
		func(ctx context.Context) error {
			url := "http://" + Reachable(listener.Addr())
			cfg.Log.InfoContext(ctx, "serving both planes", slog.String("url", url), slog.String("data_dir", n.dir.path))
			if err := seed(ctx, cfg, n.planes, url); err != nil {
				return err
			}
			<-ctx.Done()
			return nil
		},
	}
	if cfg.AdminAddress != "" && cfg.AdminAddress != adminOff {
		serveAdmin, err := admin(ctx, cfg, n.planes, n.metrics)
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		tasks = append(tasks, serveAdmin)
	}
	return process.Group(ctx, tasks...)
}

// seed bootstraps an empty store, if that was asked for, and prints the credentials.
func seed(ctx context.Context, cfg Config, planes *planes, url string) error {
	if cfg.Bootstrap == nil {
		return nil
	}
	err := cfg.Bootstrap.Enrol(ctx, planes.control.Bootstrap)
	if errors.Is(err, fault.AlreadyDone) {
		cfg.Log.InfoContext(ctx, "bootstrapped before, so nothing is done and no key is shown")
		return nil
	}
	if err != nil {
		return fmt.Errorf("bootstrapping: %w", err)
	}
	// The address accepts connections already, so whoever reads these lines may use them.
	return cfg.Bootstrap.Print(cfg.Credentials, url, url)
}

func admin(ctx context.Context, cfg Config, planes *planes, metrics *prometheus.Registry) (func(context.Context) error, error) {
	listener, err := Listen(ctx, cfg.AdminAddress)
	if err != nil {
		return nil, err
	}
	cfg.Log.InfoContext(ctx, "serving metrics, readiness and profiles", slog.String("url", "http://"+Reachable(listener.Addr())))
	return func(ctx context.Context) error {
		return web.Serve(ctx, listener, telemetry.Admin(metrics, planes.Ready), web.Drain{}, cfg.Log)
	}, nil
}

// Listen listens on address, host:port.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	return listener, nil
}

// Reachable returns the address by which this machine reaches a listener: one on every interface has the loopback's.
func Reachable(bound net.Addr) string {
	host, port, err := net.SplitHostPort(bound.String())
	if err != nil {
		return bound.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
