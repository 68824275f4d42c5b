package node

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/dataplane"
	"github.com/spectron-hq/spectron/services/keymanager"
	"github.com/spectron-hq/spectron/services/spectron/client"
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
	pepper, made, store := cfg.Pepper, false, cfg.ConnectionString
	var err error
	if pepper == "" {
		if pepper, made, err = dir.pepper(); err != nil {
			return nil, err
		}
	}
	if store == "" {
		store = dir.storeURL()
	}
	target := migration.Target{ConnectionString: store.Reveal(), Planes: migration.Planes(), Log: cfg.Log}
	err = target.Up(ctx, func(p migration.Plane, applied int) error {
		if p == migration.Control && applied == 0 && made {
			cfg.Log.WarnContext(ctx, "the store is older than the pepper just made: keys stored with another pepper are refused",
				slog.String("data_dir", dir.path))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	// Only the two halves of this process need it, and only while it runs.
	serviceSecret := settings.Secret(secret.New())
	p := &planes{}
	p.control, err = keymanager.Open(ctx, keymanager.Config{
		ConnectionString: store,
		Pepper:           pepper,
		ServiceSecret:    serviceSecret,
		Log:              cfg.Log,
		Metrics:          metrics,
	})
	if err != nil {
		return nil, err
	}
	p.transport = NewTransport(p.control.Handler())
	p.data, err = dataplane.Open(ctx, dataplane.Config{
		ConnectionString: store,
		ManagementURL:    authorityURL,
		ServiceSecret:    serviceSecret,
		Log:              cfg.Log,
		Metrics:          metrics,
		Authority:        p.transport,
	})
	if err != nil {
		return nil, errors.Join(err, p.control.Close())
	}
	return p, nil
}

// opens reports whether management is a management key of this store already.
func (p *planes) opens(ctx context.Context, management apikey.Key) (bool, error) {
	m, err := client.NewManagement(client.Config{
		URL:        authorityURL,
		APIKey:     client.APIKey(management.Reveal()), // to the other half of this process
		HTTPClient: &http.Client{Transport: p.transport},
	})
	if err != nil {
		return false, err
	}
	_, err = m.ListVerbs(ctx)
	if errors.Is(err, fault.Unauthenticated) {
		return false, nil
	}
	return err == nil, err
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
