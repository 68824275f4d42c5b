package dataplane_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/dataplane"
	"github.com/spectron-hq/spectron/services/dataplane/internal/authoritytest"
)

// warnings passes on what a service warns of.
type warnings chan string

func (w warnings) Write(line []byte) (int, error) {
	var entry struct{ Level, Msg string }
	if err := json.Unmarshal(line, &entry); err == nil && entry.Level == slog.LevelWarn.String() {
		w <- entry.Msg
	}
	return len(line), nil
}

// A data plane of which anybody may make the first account says so, unless it is closed or there is an account.
func TestAnOpenBootstrapIsWarnedOf(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change   func(*dataplane.Config)
		accounts bool
		warned   bool
	}{
		"open":       {func(*dataplane.Config) {}, false, true},
		"closed":     {func(c *dataplane.Config) { c.Spl.Bootstrap = "off" }, false, false},
		"an account": {func(*dataplane.Config) {}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, authority := dbtest.SQLite(t), authoritytest.New()
			migrate(t, url)
			if test.accounts {
				authority.Token(t, authority.Account("default", "default-1", "admin", "did:a"), grant.Admin)
			}
			cfg := config(url, authority)
			cfg.BindAddress, cfg.AdminAddress = "127.0.0.1:0", "off"
			test.change(&cfg)
			heard := make(warnings, 8)
			cfg.Log = slog.New(slog.NewJSONHandler(heard, nil))
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			if !test.warned { // long enough for the question, which is asked at once
				ctx, stop = context.WithTimeout(ctx, time.Second)
				defer stop()
			}
			ended := make(chan error, 1)
			go func() { ended <- dataplane.Run(ctx, cfg) }()
			select {
			case said := <-heard:
				if !test.warned {
					t.Errorf("warned: %s", said)
				}
				stop()
			case <-time.After(30 * time.Second):
				t.Error("nothing was said")
				stop()
			case <-ctx.Done():
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}
