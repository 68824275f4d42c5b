package dataplane

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/spectron-hq/spectron/services/chassis/network"
	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// noAdmin as the admin address turns that listener off.
const noAdmin = "off"

// maxDrainDelay is longer than any proxy takes to notice.
const maxDrainDelay = 5 * time.Minute

// Config is the configuration of a data plane.
type Config struct {
	ConnectionString   settings.Secret `env:"SPECTRON_CONNECTION_STRING" flag:"connection-string" usage:"database, as postgres://user:password@host/name or sqlite:///path; required, because no default could be safe"`
	BindAddress        string          `env:"SPECTRON_BIND_ADDRESS" envDefault:"0.0.0.0:9090" flag:"bind-address" usage:"address of the API; every interface by default, because a container is reached from outside"`
	ManagementURL      string          `env:"SPECTRON_MANAGEMENT_URL" envDefault:"http://127.0.0.1:9091" flag:"management-url" usage:"where the key manager is; by default on this machine"`
	ServiceSecret      settings.Secret `env:"SPECTRON_SERVICE_SECRET" usage:"secret shared with the key manager, 32 bytes or more; required"`
	HideManagement     bool            `env:"SPECTRON_HIDE_MANAGEMENT" envDefault:"false" flag:"hide-management" usage:"serve no management routes here; they are passed on to the key manager by default, because published clients know one address for both planes"`
	AdminAddress       string          `env:"SPECTRON_ADMIN_ADDRESS" envDefault:"127.0.0.1:0" flag:"admin-address" usage:"address of metrics, readiness and profiles, or off; loopback by default, because it asks for no credentials"`
	DrainDelay         time.Duration   `env:"SPECTRON_DRAIN_DELAY" envDefault:"0s" flag:"drain-delay" usage:"how long to go on serving after being told to end, no longer ready, so that a proxy in front sends requests elsewhere in time; 0s by default, because one replica alone has no elsewhere"`
	CORSAllowedOrigins []string        `env:"SPECTRON_CORS_ALLOWED_ORIGINS" flag:"cors-allowed-origins" usage:"pages that may call the API from a browser, by commas, such as https://app.example.com,https://*.example.org; none by default, and never all"`
	TrustedProxies     []string        `env:"SPECTRON_TRUSTED_PROXIES" flag:"trusted-proxies" usage:"networks of the proxies whose X-Forwarded-For is believed about the address of a client, by commas, such as 10.0.0.0/8,2001:db8::7; none by default, because whoever is believed can name any address"`

	// Limits are how much one request may ask for; its zero value is the most.
	Limits Limits
	// Spl is how /v1 is served.
	Spl Spl
	// Doors is how other software asks about keys.
	Doors Doors
	// Version is what health tells.
	Version string
	// Log receives the log; nil means slog.Default().
	Log *slog.Logger
	// Metrics is where the service's metrics go; nil means a registry of its own, or none for one that is only opened.
	Metrics *prometheus.Registry
	// Tracing makes spans; nil means none.
	Tracing trace.TracerProvider
	// Authority carries requests to the key manager; nil means the network. One process that holds both planes passes what
	// calls the other plane's handler.
	Authority http.RoundTripper
}

// Verify reports everything that keeps a server with this configuration from running.
func (c Config) Verify() error {
	var errs []error
	if c.ConnectionString == "" {
		errs = append(errs, errors.New("SPECTRON_CONNECTION_STRING (--connection-string) is required: postgres://user:password@host/name"))
	}
	if c.BindAddress == "" {
		errs = append(errs, errors.New("SPECTRON_BIND_ADDRESS (--bind-address) is required, such as 0.0.0.0:9090"))
	}
	if len(c.ServiceSecret.Reveal()) < introspection.MinServiceSecret {
		errs = append(errs, fmt.Errorf("SPECTRON_SERVICE_SECRET or SPECTRON_SERVICE_SECRET_FILE is required: the key manager's, at least %d bytes",
			introspection.MinServiceSecret))
	}
	if c.Doors.On() && c.Spl.SealSecret == "" {
		errs = append(errs, errors.New("SPECTRON_SPL_SEAL_SECRET or SPECTRON_SPL_SEAL_SECRET_FILE is required with assertions: it seals the keys that sign them"))
	}
	if c.DrainDelay < 0 || c.DrainDelay > maxDrainDelay {
		errs = append(errs, fmt.Errorf("SPECTRON_DRAIN_DELAY (--drain-delay) must be from 0s to %s", maxDrainDelay))
	}
	_, err := c.managementURL()
	_, corsErr := c.origins()
	_, proxiesErr := c.proxies()
	return errors.Join(append(errs, err, corsErr, proxiesErr, c.Limits.Verify(), c.Spl.Verify(), c.Doors.Verify())...)
}

func (c Config) managementURL() (*url.URL, error) {
	u, err := url.Parse(c.ManagementURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, errors.New("SPECTRON_MANAGEMENT_URL (--management-url) must be of the form http://host:port")
	}
	return u, nil
}

// transport carries requests to the key manager.
func (c Config) transport() http.RoundTripper {
	if c.Authority != nil {
		return c.Authority
	}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		MaxIdleConnsPerHost: 16,              // as many management requests as people and scripts send at once
		IdleConnTimeout:     3 * time.Second, // shorter than a key manager drains: none is used at the moment it is closed
		TLSHandshakeTimeout: 5 * time.Second,
		// The slowest answer of a key manager waits for leases, which are at most a minute.
		ResponseHeaderTimeout: 90 * time.Second,
		ForceAttemptHTTP2:     true,
	}
}

func (c Config) origins() (web.Origins, error) {
	pages := c.CORSAllowedOrigins
	if c.Spl.AuthenticationOff {
		pages = slices.Concat(pages, ownPages)
	}
	origins, err := web.ParseOrigins(pages)
	if err != nil {
		return nil, fmt.Errorf("SPECTRON_CORS_ALLOWED_ORIGINS (--cors-allowed-origins): %w", err)
	}
	return origins, nil
}

func (c Config) proxies() ([]netip.Prefix, error) {
	proxies, err := network.ParseAll(c.TrustedProxies)
	if err != nil {
		return nil, fmt.Errorf("SPECTRON_TRUSTED_PROXIES (--trusted-proxies): %w", err)
	}
	return proxies, nil
}

// clock is the clock of this process.
func (Config) clock() func() time.Time {
	return time.Now //nolint:forbidigo // the one place where this service takes the clock
}

func (c Config) log() *slog.Logger {
	if c.Log == nil {
		return slog.Default()
	}
	return c.Log
}

// adminAddress is empty where there is to be no admin listener.
func (c Config) adminAddress() string {
	if c.AdminAddress == noAdmin {
		return ""
	}
	return c.AdminAddress
}

func (c Config) drain() web.Drain { return web.Drain{Delay: c.DrainDelay} }
