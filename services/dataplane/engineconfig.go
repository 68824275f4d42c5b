package dataplane

import (
	"context"
	"fmt"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/dataplane/internal/engineconfig"
	"github.com/spectron-hq/spectron/services/dataplane/internal/httpapi/spl"
	"github.com/spectron-hq/spectron/services/dataplane/internal/record"
	"github.com/spectron-hq/spectron/services/dataplane/internal/store"
)

// engineConfig is the configuration that users may change, among all records, and guards its thread.
func (c Config) engineConfig(records *record.Service) *engineconfig.Service {
	config := engineconfig.New(c.engineConfigOptions(records))
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

// UnlockPermissions turns the permission rules of the spl face off, as actor, for an operator whom they keep out: whoever opens the
// store needs no leave. The rules stay as they are. Errors: fault.AlreadyDone when they are off.
func (s *Service) UnlockPermissions(ctx context.Context, actor string) error {
	standing, err := s.keymanager.Standing(ctx, s.cfg.Spl.contextID())
	if err != nil {
		return fmt.Errorf("finding the context of the rules: %w", err)
	}
	// Not the records of the face, whose guard asks who calls.
	records := record.New(store.New(s.db), s.cfg.clock(), s.cfg.Spl.contextID())
	records.Protect(engineconfig.Thread, func(context.Context, string, record.Content) error { return nil })
	config := engineconfig.New(s.cfg.engineConfigOptions(records))
	current, err := config.Current(ctx, standing.Incarnation)
	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	if !current.PermissionsEnabled {
		return fault.New(fault.AlreadyDone, "the permission rules are off")
	}
	_, err = config.Switch(ctx, standing.Incarnation, actor, false)
	return err
}
