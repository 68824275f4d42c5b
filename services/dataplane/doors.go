package dataplane

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spectron-hq/spectron/services/dataplane/internal/assertion"
	"github.com/spectron-hq/spectron/services/dataplane/internal/httpapi/door"
	"github.com/spectron-hq/spectron/services/dataplane/internal/seal"
	"github.com/spectron-hq/spectron/services/dataplane/internal/store"
)

const (
	assertionsOn  = "on"
	assertionsOff = "off"

	defaultAssertionTTL = 30 * time.Second
	defaultKeyLifetime  = 30 * 24 * time.Hour
	minKeyLifetime      = time.Hour
)

// Doors are how other software asks about keys: introspection and forward authentication. With its zero value nothing is signed.
type Doors struct {
	Issuer      string        `env:"SPECTRON_ISSUER" envDefault:"spectron" flag:"issuer" usage:"who answers introspections and signs assertions, their iss; a URL of yours where somebody trusts several deployments"`
	Assertions  string        `env:"SPECTRON_ASSERTIONS" envDefault:"off" flag:"assertions" usage:"on or off: whether forward authentication hands on a signed assertion (EdDSA JWT) of what it found; its keys are sealed by SPECTRON_SPL_SEAL_SECRET"`
	Audience    []string      `env:"SPECTRON_ASSERTION_AUDIENCE" flag:"assertion-audience" usage:"whom assertions are for, by commas; the first unless the proxy asks for another; required when they are on, so that what one service gets is no use at another"`
	TTL         time.Duration `env:"SPECTRON_ASSERTION_TTL" envDefault:"30s" flag:"assertion-ttl" usage:"how long an assertion is good for, 1s to 60s; short, because it cannot be revoked"`
	KeyLifetime time.Duration `env:"SPECTRON_ASSERTION_KEY_LIFETIME" envDefault:"720h" flag:"assertion-key-lifetime" usage:"how long a key signs assertions before the next one does; 1h or more"`
}

// On reports whether assertions are signed. Then Spl needs a SealSecret.
func (d Doors) On() bool { return d.Assertions == assertionsOn }

// Verify refuses what cannot be served.
func (d Doors) Verify() error {
	var errs []error
	if d.Assertions != "" && d.Assertions != assertionsOff && !d.On() {
		errs = append(errs, fmt.Errorf("SPECTRON_ASSERTIONS (--assertions): want %s or %s", assertionsOn, assertionsOff))
	}
	if !d.On() {
		return errors.Join(errs...)
	}
	if d.Issuer == "" {
		errs = append(errs, errors.New("SPECTRON_ISSUER (--issuer) is required with assertions"))
	}
	if len(d.Audience) == 0 || slices.Contains(d.Audience, "") {
		errs = append(errs, errors.New("SPECTRON_ASSERTION_AUDIENCE (--assertion-audience) is required with assertions: the services that they are for"))
	}
	if d.TTL != 0 && (d.TTL < time.Second || d.TTL > assertion.MaxTTL) {
		errs = append(errs, fmt.Errorf("SPECTRON_ASSERTION_TTL (--assertion-ttl): want 1s to %s", assertion.MaxTTL))
	}
	if d.KeyLifetime != 0 && d.KeyLifetime < minKeyLifetime {
		errs = append(errs, fmt.Errorf("SPECTRON_ASSERTION_KEY_LIFETIME (--assertion-key-lifetime): want %s or more", minKeyLifetime))
	}
	return errors.Join(errs...)
}

// doors returns what the doors are made of, and what goes on behind them.
func (c Config) doors(ctx context.Context, rows *store.Store) (parts door.Parts, background []func(context.Context), err error) {
	parts = door.Parts{Issuer: c.Doors.Issuer, Now: c.clock()}
	if !c.Doors.On() {
		return parts, nil, nil
	}
	sealer, err := seal.New(c.Spl.SealSecret, "key of assertions")
	if err != nil {
		return parts, nil, fmt.Errorf("SPECTRON_SPL_SEAL_SECRET, which assertions need: %w", err)
	}
	parts.Signer, err = assertion.New(ctx, assertion.Config{
		Store: rows, Sealer: sealer, Issuer: c.Doors.Issuer, Audiences: c.Doors.Audience,
		TTL: cmp.Or(c.Doors.TTL, defaultAssertionTTL), Lifetime: cmp.Or(c.Doors.KeyLifetime, defaultKeyLifetime), Now: c.clock(), Log: c.log(),
	})
	if err != nil {
		return parts, nil, err
	}
	return parts, []func(context.Context){parts.Signer.Run}, nil
}
