package command

import (
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/chassis/telemetry"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
)

// logSettings are shared by the commands that keep a log.
type logSettings struct {
	Level  string `env:"SPECTRON_LOG_LEVEL" envDefault:"info" flag:"log-level" usage:"least level that is logged: debug, info, warn or error"`
	Format string `env:"SPECTRON_LOG_FORMAT" flag:"log-format" usage:"text or json; empty is text on a terminal, else json"`
}

// openLog returns the log of cmd on standard error, and makes it what code without a log of its own writes to. Secrets of
// keys are taken out of everything that is logged, should one ever get there.
func openLog(cmd *cobra.Command, environ settings.Environ) (*slog.Logger, error) {
	var cfg logSettings
	if err := cli.Load(cmd, environ, &cfg); err != nil {
		return nil, err
	}
	log, err := telemetry.NewLogger(cmd.ErrOrStderr(), cfg.Level, cfg.Format, apikey.Redact)
	if err != nil {
		return nil, cli.Usage(cmd, err)
	}
	slog.SetDefault(log)
	return log, nil
}
