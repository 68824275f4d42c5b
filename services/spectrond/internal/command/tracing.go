package command

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/trace"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/chassis/tracing"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
)

// openTracing returns what makes the spans of a server, nil unless variables ask for it, and what sends the last of them.
func openTracing(
	cmd *cobra.Command, environ settings.Environ, service, version string, log *slog.Logger,
) (trace.TracerProvider, func(context.Context), error) {
	var cfg tracing.Settings
	if err := cli.Load(cmd, environ, &cfg); err != nil {
		return nil, nil, err
	}
	return tracing.Open(cmd.Context(), cfg, service, version, log)
}
