package command

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
)

// healthTimeout is below what orchestrators grant a health check by default, so that the reason is printed before they
// give up.
const healthTimeout = 2 * time.Second

type healthSettings struct {
	BindAddress string `env:"SPECTRON_BIND_ADDRESS" envDefault:"0.0.0.0:9090" usage:"address the service listens on; the health check asks its port on this machine"`
}

func newHealthcheck(environ settings.Environ) *cobra.Command {
	var url string
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask a service whether it serves",
		Long: `Ask the service on this machine for its health and exit with 0 when it serves, else with 1. The port is the one of
SPECTRON_BIND_ADDRESS, or 9090. Made for images that have neither shell nor curl.`,
		Example: `  spectrond healthcheck
  spectrond healthcheck --url http://127.0.0.1:9091/health`,
		Args: cli.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if url == "" {
				var cfg healthSettings
				if err := cli.Load(cmd, environ, &cfg); err != nil {
					return err
				}
				_, port, err := net.SplitHostPort(cfg.BindAddress)
				if err != nil {
					return cli.Usage(cmd, fmt.Errorf("SPECTRON_BIND_ADDRESS: %w", err))
				}
				url = "http://127.0.0.1:" + port + "/health"
			}
			return healthy(cmd.Context(), url)
		},
	}
	cmd.Flags().StringVar(&url, "url", "", "address to ask instead")
	return cmd
}

func healthy(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("asking for health: %w", err)
	}
	// No proxy: the question is about this machine.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("asking for health: %w", err)
	}
	if err := answer.Body.Close(); err != nil {
		return fmt.Errorf("asking for health: %w", err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("unhealthy: %s answered %s", url, answer.Status)
	}
	return nil
}
