package torture_test

import (
	"context"
	"flag"
	"io"
	"log/slog"
	"os"
	"testing"

	"github.com/spectron-hq/spectron/services/chassis/process"
	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/dataplane"
	"github.com/spectron-hq/spectron/services/keymanager"
)

// roleVariable makes this program one of the processes under test instead of the test.
const roleVariable = "SPECTRON_TORTURE_ROLE"

// The roles.
const (
	keymanagerRole = "keymanager"
	dataplaneRole  = "dataplane"
)

// seed is for repeating a round: the same seed makes the same faults and the same choices of the clients. How they fall
// together is up to the machine.
var seed = flag.Uint64("seed", 0, "seed of the faults and of the clients' choices; 0 draws one")

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(play(role))
	}
	os.Exit(m.Run())
}

// play serves until it is told to end, or the test process is gone.
func play(role string) int {
	ctx, stop := process.Context()
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1) // nobody holds the other end any more
	}()
	if err := serve(ctx, role); err != nil {
		slog.ErrorContext(ctx, "ended", slog.Any("error", err))
		return 1
	}
	return 0
}

func serve(ctx context.Context, role string) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	slog.SetDefault(log)
	if role == keymanagerRole {
		var cfg keymanager.Config
		if err := settings.Load(&cfg, settings.OS(), nil); err != nil {
			return err
		}
		return keymanager.Run(ctx, cfg)
	}
	var cfg dataplane.Config
	if err := settings.Load(&cfg, settings.OS(), nil); err != nil {
		return err
	}
	return dataplane.Run(ctx, cfg)
}
