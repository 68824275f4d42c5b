package keymanager

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/spectron-hq/spectron/services/chassis/network"
	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
)

// noAdmin as the admin address turns that listener off.
const noAdmin = "off"

// maxDrainDelay is longer than any proxy takes to notice.
const maxDrainDelay = 5 * time.Minute

// The shortest and the longest lease. Below, renewals are most of the traffic; beyond, a lost verifier holds every change up.
const (
	minLease     = 250 * time.Millisecond
	defaultLease = 2 * time.Second
	maxLease     = time.Minute
)

// minHeadInterval is how often the head of the audit log may be published.
const minHeadInterval = time.Second

// Config is the configuration of a key manager.
type Config struct {
	ConnectionString   settings.Secret `env:"SPECTRON_CONNECTION_STRING" flag:"connection-string" usage:"database, as postgres://user:password@host/name or sqlite:///path; required, because no default could be safe"`
	BindAddress        string          `env:"SPECTRON_BIND_ADDRESS" envDefault:"0.0.0.0:9091" flag:"bind-address" usage:"address of the management API; every interface by default, because a container is reached from outside"`
	Pepper             settings.Secret `env:"SPECTRON_PEPPER" usage:"secret under which keys are stored, 32 characters or more; several as VERSION:SECRET, by commas or lines, of which the first one is current; required"`
	RetiredPeppers     []string        `env:"SPECTRON_RETIRED_PEPPERS" flag:"retired-peppers" usage:"versions of the pepper, by commas, that are gone for good: keys that are still sealed under one are given up, where starting is refused otherwise"`
	ServiceSecret      settings.Secret `env:"SPECTRON_SERVICE_SECRET" usage:"secret shared with the data planes, 32 bytes or more; required"`
	LeaseTTL           time.Duration   `env:"SPECTRON_LEASE_TTL" envDefault:"2s" flag:"lease-ttl" usage:"how long a verifier may answer from memory without hearing from us, and so how long a revocation waits for one that is gone; 250ms to 60s, 2s because a cut link must not hold an operator up"`
	AdminAddress       string          `env:"SPECTRON_ADMIN_ADDRESS" envDefault:"127.0.0.1:0" flag:"admin-address" usage:"address of metrics, readiness and profiles, or off; loopback by default, because it asks for no credentials"`
	DrainDelay         time.Duration   `env:"SPECTRON_DRAIN_DELAY" envDefault:"0s" flag:"drain-delay" usage:"how long to go on serving after being told to end, no longer ready, so that a proxy in front sends requests elsewhere in time; 0s by default, because one replica alone has no elsewhere"`
	CORSAllowedOrigins []string        `env:"SPECTRON_MANAGEMENT_CORS_ALLOWED_ORIGINS" flag:"cors-allowed-origins" usage:"pages that may call the management API from a browser, by commas, such as https://ops.example.com,https://*.example.org; none by default, and never all"`
	AuditHeadURL       settings.Secret `env:"SPECTRON_AUDIT_HEAD_URL" flag:"audit-head-url" usage:"where the head of the audit log's chain is posted as JSON, so that a table that somebody rewrites is noticed; nowhere by default"`
	AuditHeadInterval  time.Duration   `env:"SPECTRON_AUDIT_HEAD_INTERVAL" envDefault:"5m" flag:"audit-head-interval" usage:"how often it is posted, 1s or more; what was rewritten since the last time is not noticed"`
	TrustedProxies     []string        `env:"SPECTRON_TRUSTED_PROXIES" flag:"trusted-proxies" usage:"networks of the proxies, and of the data planes, whose X-Forwarded-For is believed about the address of a client, by commas, such as 10.0.0.0/8,2001:db8::7; none by default, because whoever is believed can name any address"`

	// Webhooks is how endpoints of operators are told what becomes of keys.
	Webhooks Webhooks

	// AuthenticationOff believes whoever asks on behalf of the local operator: it may manage service accounts without a token, and make
	// a first one where none is active. No variable sets it: it is for a node that serves its own machine only.
	AuthenticationOff bool

	// Log receives the log; nil means slog.Default().
	Log *slog.Logger
	// Version is what metrics tell.
	Version string
	// Tracing makes spans; nil means none.
	Tracing trace.TracerProvider
	// Metrics is where the service's metrics go; nil means a registry of its own, or none for one that is only opened.
	Metrics *prometheus.Registry
}

// Verify reports everything that keeps a server with this configuration from running.
func (c Config) Verify() error {
	var errs []error
	if c.ConnectionString == "" {
		errs = append(errs, errors.New("SPECTRON_CONNECTION_STRING (--connection-string) is required: postgres://user:password@host/name"))
	}
	if c.BindAddress == "" {
		errs = append(errs, errors.New("SPECTRON_BIND_ADDRESS (--bind-address) is required, such as 0.0.0.0:9091"))
	}
	if ttl := c.leaseTTL(); ttl < minLease || ttl > maxLease {
		errs = append(errs, fmt.Errorf("SPECTRON_LEASE_TTL (--lease-ttl) must be from %s to %s", minLease, maxLease))
	}
	if err := c.verifyHead(); err != nil {
		errs = append(errs, err)
	}
	if c.DrainDelay < 0 || c.DrainDelay > maxDrainDelay {
		errs = append(errs, fmt.Errorf("SPECTRON_DRAIN_DELAY (--drain-delay) must be from 0s to %s", maxDrainDelay))
	}
	_, _, err := c.secrets()
	_, corsErr := c.origins()
	_, proxiesErr := c.proxies()
	return errors.Join(append(errs, err, corsErr, proxiesErr, c.Webhooks.Verify())...)
}

// verifyHead does not quote the URL, which may hold a token.
func (c Config) verifyHead() error {
	if c.AuditHeadURL == "" {
		return nil
	}
	u, err := url.Parse(c.AuditHeadURL.Reveal())
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return errors.New("SPECTRON_AUDIT_HEAD_URL (--audit-head-url): want http://host/path or https://host/path")
	}
	if c.AuditHeadInterval < minHeadInterval {
		return fmt.Errorf("SPECTRON_AUDIT_HEAD_INTERVAL (--audit-head-interval) must be at least %s", minHeadInterval)
	}
	return nil
}

func (c Config) origins() (web.Origins, error) {
	origins, err := web.ParseOrigins(c.CORSAllowedOrigins)
	if err != nil {
		return nil, fmt.Errorf("SPECTRON_MANAGEMENT_CORS_ALLOWED_ORIGINS (--cors-allowed-origins): %w", err)
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

// secrets reads what keys are sealed with and what service tokens are signed with. Errors quote neither.
func (c Config) secrets() (*secret.Keyring, *secret.ServiceTokens, error) {
	ring, err := secret.ParseKeyring(c.Pepper.Reveal())
	if err != nil {
		err = fmt.Errorf("SPECTRON_PEPPER or SPECTRON_PEPPER_FILE is required: %w (`spectrond generate-secret` makes one)", err)
	}
	services, tokenErr := secret.NewServiceTokens([]byte(c.ServiceSecret.Reveal()), c.clock())
	if tokenErr != nil {
		tokenErr = fmt.Errorf("SPECTRON_SERVICE_SECRET or SPECTRON_SERVICE_SECRET_FILE is required: %w", tokenErr)
	}
	return ring, services, errors.Join(err, tokenErr)
}

// retired reports whether a version of the pepper has been given up.
func (c Config) retired(version uint16) bool {
	return slices.Contains(c.RetiredPeppers, strconv.Itoa(int(version)))
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

// leaseTTL is the length of leases; the default where none is given.
func (c Config) leaseTTL() time.Duration {
	if c.LeaseTTL == 0 {
		return defaultLease
	}
	return c.LeaseTTL
}

// adminAddress is empty where there is to be no admin listener.
func (c Config) adminAddress() string {
	if c.AdminAddress == noAdmin {
		return ""
	}
	return c.AdminAddress
}

// drain waits at its end for any change that is being answered: those wait for leases.
func (c Config) drain() web.Drain {
	return web.Drain{Delay: c.DrainDelay, Grace: max(10*time.Second, 2*c.leaseTTL())}
}
