package daemon

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/spectrond/internal/node"
	"github.com/spectron-hq/spectron/services/spectrond/internal/statedir"
)

// UnlockPermissions turns the permission rules off, as operator, in the store of a state directory whose daemon is stopped: the given
// store, or the directory's own where that is empty. No daemon starts meanwhile. Errors: fault.Conflict while one runs,
// fault.NotFound where there is no store, fault.AlreadyDone when the rules are off.
func UnlockPermissions(ctx context.Context, dir statedir.Dir, store settings.Secret, operator, version string) (err error) {
	if _, err := os.Stat(dir.Store()); store == "" && errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.NotFound, "there is no store yet, so there are no rules")
	}
	if _, err := dir.Prepare(); err != nil {
		return err
	}
	claimed, _, err := take(dir)
	if errors.Is(err, fault.AlreadyDone) {
		return fault.New(fault.Conflict, "the daemon runs: stop it first")
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, claimed.release()) }()
	file := openLog(dir)
	defer func() { err = errors.Join(err, file.Close()) }()
	log, err := newLog(file, "info", nil)
	if err != nil {
		return err
	}
	d := &starting{
		dir: dir, options: Options{Store: store, Operator: operator, Version: version}, log: log, now: time.Now, //nolint:forbidigo // as in Serve
		audience: Audience{Banner: io.Discard, Notes: io.Discard},
	}
	url, shown, err := d.store()
	if err != nil {
		return err
	}
	config, err := d.node(url)
	if err != nil {
		return err
	}
	if err := node.UnlockPermissions(ctx, config); err != nil {
		return err
	}
	log.WarnContext(ctx, "the permission rules were turned off while no daemon ran", slog.String("actor", operator), slog.String("store", shown))
	return nil
}
