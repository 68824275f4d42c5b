package dataplane

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/dataplane/identity"
	"github.com/spectron-hq/spectron/services/dataplane/internal/httpapi/spl"
	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
	"github.com/spectron-hq/spectron/services/dataplane/internal/store"
	"github.com/spectron-hq/spectron/services/dataplane/internal/thread"
	"github.com/spectron-hq/spectron/services/verifier"
	"github.com/spectron-hq/spectron/services/verifier/authority"
)

const (
	defaultSplContext = "default"

	bootstrapOpen   = "open"
	bootstrapClosed = "off"
)

// Spl is how the spl face is served. Its zero value is the default.
type Spl struct {
	Context    string          `env:"SPECTRON_SPL_CONTEXT" envDefault:"default" flag:"spl-context" usage:"context that /v1 is of, which its users call the namespace"`
	Bootstrap  string          `env:"SPECTRON_SPL_BOOTSTRAP" envDefault:"open" flag:"spl-bootstrap" usage:"open or off: whether the first service account may be made without a credential, while there is none; open by default, because there is no other way to begin with spl"`
	SealSecret settings.Secret `env:"SPECTRON_SPL_SEAL_SECRET" usage:"secret that seals the tokens of federation peers in the store, 32 bytes or more; without it no pair may have one"`

	// AuthenticationOff lets every request to /v1 pass as the local operator. The key manager must have been opened with the same.
	AuthenticationOff bool
	// Identity is who this server is to others; nil where it is nobody, and then it signs nothing.
	Identity *identity.Identity
	// Discovery is how it is found on the local network; without an Identity it is not.
	Discovery Discovery
	// Actor and DisplayName are the operator's, where authentication is off.
	Actor, DisplayName string
}

// Verify refuses what cannot be served.
func (s Spl) Verify() error {
	var errs []error
	if s.Bootstrap != "" && s.Bootstrap != bootstrapOpen && s.Bootstrap != bootstrapClosed {
		errs = append(errs, fmt.Errorf("SPECTRON_SPL_BOOTSTRAP (--spl-bootstrap): want %s or %s", bootstrapOpen, bootstrapClosed))
	}
	if n := len(s.SealSecret.Reveal()); n > 0 && n < introspection.MinServiceSecret {
		errs = append(errs, fmt.Errorf("SPECTRON_SPL_SEAL_SECRET: want at least %d bytes", introspection.MinServiceSecret))
	}
	return errors.Join(errs...)
}

// contextID is the context that the face is of.
func (s Spl) contextID() string { return cmp.Or(s.Context, defaultSplContext) }

// ownPages are those of this machine, which may call while authentication is off.
var ownPages = []string{
	"http://localhost", "http://localhost:*", "http://127.0.0.1", "http://127.0.0.1:*", "http://[::1]", "http://[::1]:*",
}

// face returns what the spl face is made of, and what goes on behind it.
func (c Config) face(
	rows *store.Store, keymanager *authority.Client, verify *verifier.Verifier, origins web.Origins,
) (parts spl.Parts, background []func(context.Context), err error) {
	now := c.clock()
	records := record.New(rows, now, c.Spl.contextID())
	parts = c.Spl.parts()
	parts.Verifier, parts.Accounts = verify, keymanager
	parts.Records, parts.Threads = records, thread.New(rows, records, now)
	config := c.engineConfig(records, keymanager)
	parts.Rules, parts.Config = config, config
	parts.Version, parts.Now, parts.Log, parts.Origins = c.Version, now, c.log(), origins
	background, err = c.federates(&parts, rows, records)
	return parts, append(background, func(ctx context.Context) { records.Watch(ctx, c.log()) }), err
}

// parts are what the face is made of, as far as that is configured.
func (s Spl) parts() spl.Parts {
	return spl.Parts{
		Context:           s.contextID(),
		AuthenticationOff: s.AuthenticationOff,
		Identity:          s.Identity,
		Actor:             s.Actor,
		DisplayName:       s.DisplayName,
		BootstrapClosed:   s.Bootstrap == bootstrapClosed,
	}
}

// The waits between questions whether the bootstrap is open, while there is no answer.
const (
	firstStandingWait = time.Second
	maxStandingWait   = time.Minute
)

// warnOpen warns, as soon as that can be known, where anybody who reaches this server may make themselves its first service account.
func (s *Service) warnOpen(ctx context.Context, cfg Config) {
	if cfg.Spl.Bootstrap == bootstrapClosed || cfg.Spl.AuthenticationOff {
		return
	}
	for wait := firstStandingWait; ; wait = min(2*wait, maxStandingWait) {
		standing, err := s.keymanager.Standing(ctx, cfg.Spl.contextID())
		if err == nil {
			if standing.Open {
				cfg.log().WarnContext(ctx, "the first service account can be made without a credential: make one, or set SPECTRON_SPL_BOOTSTRAP=off",
					slog.String("context_id", standing.Context))
			}
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}
