package node

import (
	"context"
	"errors"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/dataplane"
	"github.com/spectron-hq/spectron/services/keymanager"
	"github.com/spectron-hq/spectron/services/spectrond/internal/migration"
	"github.com/spectron-hq/spectron/services/spectrond/internal/secret"
)

// authorityURL is where the data plane believes the key manager to be. No network ever sees it.
const authorityURL = "http://keymanager"

// planes are both services, open on one store.
type planes struct {
	control   *keymanager.Service
	data      *dataplane.Service
	transport *Transport // from data to control
}

// openPlanes migrates the store and opens both services on it.
func openPlanes(ctx context.Context, cfg Config, dir *dataDir, metrics *prometheus.Registry) (*planes, error) {
	p, config, err := openControl(ctx, cfg, dir, metrics)
	if err != nil {
		return nil, err
	}
	if p.data, err = dataplane.Open(ctx, config); err != nil {
		return nil, errors.Join(err, p.control.Close())
	}
	p.control.Deliver()
	return p, nil
}

// withOwn returns cfg with what the data directory has of that which is not given, and whether the pepper has just been made.
func withOwn(cfg Config, dir *dataDir) (_ Config, made bool, err error) {
	if cfg.Pepper == "" {
		if cfg.Pepper, made, err = dir.pepper(); err != nil {
			return cfg, false, err
		}
	}
	if cfg.ConnectionString == "" {
		cfg.ConnectionString = dir.storeURL()
	}
	if cfg.Doors.On() && cfg.Spl.SealSecret == "" {
		cfg.Spl.SealSecret, err = dir.sealSecret()
	}
	return cfg, made, err
}

// openControl migrates the store and opens the key manager on it. It returns the configuration of the data plane beside it.
func openControl(ctx context.Context, cfg Config, dir *dataDir, metrics *prometheus.Registry) (*planes, dataplane.Config, error) {
	cfg, made, err := withOwn(cfg, dir)
	if err != nil {
		return nil, dataplane.Config{}, err
	}
	store := cfg.ConnectionString
	target := migration.Target{ConnectionString: store.Reveal(), Planes: migration.Planes(), Log: cfg.Log}
	err = target.Up(ctx, func(p migration.Plane, applied int) error {
		if p == migration.Control && applied == 0 && made {
			cfg.Log.WarnContext(ctx, "the store is older than the pepper just made: keys stored with another pepper are refused",
				slog.String("data_dir", dir.path))
		}
		return nil
	})
	if err != nil {
		return nil, dataplane.Config{}, err
	}
	// Only the two halves of this process need it, and only while it runs.
	serviceSecret := settings.Secret(secret.New())
	p := &planes{}
	p.control, err = keymanager.Open(ctx, keymanager.Config{
		ConnectionString: store,
		Pepper:           cfg.Pepper,
		RetiredPeppers:   cfg.RetiredPeppers,
		ServiceSecret:    serviceSecret,
		Log:              cfg.Log,
		Metrics:          metrics,
		Tracing:          cfg.Tracing,

		CORSAllowedOrigins: cfg.ManagementCORSAllowedOrigins,
		Webhooks:           cfg.Webhooks,
		AuthenticationOff:  cfg.Spl.AuthenticationOff,
		TrustedProxies:     []string{inProcess}, // nothing else reaches it
	})
	if err != nil {
		return nil, dataplane.Config{}, err
	}
	if cfg.Prepare != nil {
		if err := cfg.Prepare(ctx, p.control); err != nil {
			return nil, dataplane.Config{}, errors.Join(err, p.control.Close())
		}
	}
	p.transport = NewTransport(p.control.Handler())
	return p, dataplane.Config{
		ConnectionString: store,
		ManagementURL:    authorityURL,
		ServiceSecret:    serviceSecret,
		Log:              cfg.Log,
		Metrics:          metrics,
		Tracing:          cfg.Tracing,
		Version:          cfg.Version,
		Authority:        p.transport,
		Limits:           cfg.Limits,
		Spl:              cfg.Spl,
		Doors:            cfg.Doors,

		CORSAllowedOrigins: cfg.CORSAllowedOrigins,
		TrustedProxies:     cfg.TrustedProxies,
	}, nil
}

// Ready reports whether both planes can do their work.
func (p *planes) Ready(ctx context.Context) error {
	return errors.Join(p.control.Ready(ctx), p.data.Ready(ctx))
}

// Close closes both planes, the one that asks first.
func (p *planes) Close() error {
	err := p.data.Close()
	p.transport.Wait()
	return errors.Join(err, p.control.Close())
}
