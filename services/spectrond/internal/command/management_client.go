package command

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
)

// operatorSettings are shared by the commands that speak to a running deployment as its operator.
type operatorSettings struct {
	URL    string          `env:"SPECTRON_MANAGEMENT_URL" envDefault:"http://127.0.0.1:9091" flag:"url" usage:"where the key manager, or a data plane in front of it, answers"`
	APIKey settings.Secret `env:"SPECTRON_MANAGEMENT_API_KEY,required" flag:"api-key" usage:"management key; a flag is seen by every user of the machine, so prefer the variable or SPECTRON_MANAGEMENT_API_KEY_FILE"`
}

// operator runs act with a client of the management API made from the flags of cmd and the environment.
func operator(environ settings.Environ, act func(cmd *cobra.Command, m *client.Management, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		var cfg operatorSettings
		if err := cli.Load(cmd, environ, &cfg); err != nil {
			return err
		}
		m, err := client.NewManagement(client.Config{URL: cfg.URL, APIKey: client.APIKey(cfg.APIKey)})
		if err != nil {
			return cli.Usage(cmd, err)
		}
		err = act(cmd, m, args)
		if errors.Is(err, fault.Unauthenticated) {
			return fault.New(fault.Unauthenticated, "%s refused the management key: check SPECTRON_MANAGEMENT_API_KEY (--api-key)", cfg.URL)
		}
		return err
	}
}
