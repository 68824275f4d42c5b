package dataplane

import (
	"context"
	"errors"
	"fmt"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/dataplane/internal/engineconfig"
	"github.com/spectron-hq/spectron/services/dataplane/internal/httpapi/spl"
	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
	"github.com/spectron-hq/spectron/services/dataplane/internal/store"
	"github.com/spectron-hq/spectron/services/verifier/authority"
)

// engineConfig is the configuration that users may change, among all records, and guards its thread.
func (c Config) engineConfig(records *record.Service, keymanager *authority.Client) *engineconfig.Service {
	options := c.engineConfigOptions(records)
	options.Space = func(ctx context.Context) (string, error) {
		standing, err := keymanager.Standing(ctx, c.Spl.contextID())
		return standing.Incarnation, err
	}
	config := engineconfig.New(options)
	records.Protect(engineconfig.Thread, spl.GuardConfig(config))
	records.Follow(engineconfig.Thread, config.Changed)
	return config
}

func (c Config) engineConfigOptions(records *record.Service) engineconfig.Options {
	return engineconfig.Options{
		Log: engineconfig.On(records), Now: c.clock(), Namespace: c.Spl.contextID(), Version: c.Version,
		AuthenticationOff: c.Spl.AuthenticationOff, TraceID: web.TraceID, Logger: c.log(),
	}
}

// UnlockPermissions turns the permission rules of the spl face off, as cfg.Spl.Actor, for an operator whom they keep out: whoever
// opens the store needs no leave. The rules stay as they are. A data plane that serves the store heeds it within a second. Errors:
// fault.AlreadyDone when they are off.
func UnlockPermissions(ctx context.Context, cfg Config) (err error) {
	management, err := cfg.managementURL()
	if err != nil {
		return fmt.Errorf("unlocking the permissions: %w", err)
	}
	keymanager, db, err := cfg.connect(ctx, management)
	if err != nil {
		return fmt.Errorf("unlocking the permissions: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := requireMigrated(ctx, db); err != nil {
		return err
	}
	standing, err := keymanager.Standing(ctx, cfg.Spl.contextID())
	if err != nil {
		return fmt.Errorf("finding the context of the permission rules: %w", err)
	}
	records := record.New(store.New(db), cfg.clock(), cfg.Spl.contextID())
	records.Protect(engineconfig.Thread, func(context.Context, string, record.Content) error { return nil }) // nobody calls
	config := engineconfig.New(cfg.engineConfigOptions(records))
	current, err := config.Current(ctx, standing.Incarnation)
	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	if !current.PermissionsEnabled {
		return fault.New(fault.AlreadyDone, "the permission rules are off already")
	}
	_, err = config.Switch(ctx, standing.Incarnation, cfg.Spl.Actor, false)
	return err
}
