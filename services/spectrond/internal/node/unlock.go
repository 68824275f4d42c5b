package node

import (
	"context"
	"errors"

	"github.com/spectron-hq/spectron/services/chassis/telemetry"
	"github.com/spectron-hq/spectron/services/dataplane"
)

// UnlockPermissions turns the permission rules of the spl face off in the store of a node that is not running, as cfg.Spl.Actor. Errors:
// fault.AlreadyDone when they are off.
func UnlockPermissions(ctx context.Context, cfg Config) (err error) {
	dir, err := openDataDir(cfg.DataDir, cfg.Layout)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	p, config, err := openControl(ctx, cfg, dir, telemetry.NewRegistry("spectron", cfg.Version))
	if err != nil {
		return err
	}
	err = dataplane.UnlockPermissions(ctx, config)
	p.transport.Wait()
	return errors.Join(err, p.control.Close())
}
