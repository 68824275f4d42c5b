package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
	"github.com/spectron-hq/spectron/services/spectrond/internal/secret"
	"github.com/spectron-hq/spectron/services/verifier/authority"
)

type bootstrapSettings struct {
	ManagementURL       string          `env:"SPECTRON_MANAGEMENT_URL" envDefault:"http://127.0.0.1:9091" flag:"management-url" usage:"where the key manager answers"`
	ServiceSecret       settings.Secret `env:"SPECTRON_SERVICE_SECRET" usage:"secret shared with the key manager"`
	Pepper              settings.Secret `env:"SPECTRON_PEPPER" usage:"pepper of the key manager; only with --connection-string"`
	PublicURL           string          `env:"SPECTRON_PUBLIC_URL" envDefault:"http://127.0.0.1:9090" flag:"public-url" usage:"address of the data plane to print, as clients see it"`
	PublicManagementURL string          `env:"SPECTRON_PUBLIC_MANAGEMENT_URL" envDefault:"http://127.0.0.1:9091" flag:"public-management-url" usage:"address of the key manager to print, as operators see it"`
}

// Verify refuses addresses that could not stand in an env file, or that no client would take.
func (s *bootstrapSettings) Verify() error {
	for name, text := range map[string]string{
		"SPECTRON_PUBLIC_URL (--public-url)":                       s.PublicURL,
		"SPECTRON_PUBLIC_MANAGEMENT_URL (--public-management-url)": s.PublicManagementURL,
	} {
		u, err := url.Parse(text)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			return fmt.Errorf("%s: want http://host:port or https://host", name)
		}
	}
	return nil
}

func newBootstrap(environ settings.Environ) *cobra.Command {
	var connection string
	cmd := &cobra.Command{
		Use:   "bootstrap",
		Short: "Make the first context and its keys, once",
		Long: `Make the first context of a deployment, the management key and the first key of that context, and print five
NAME=value lines, an env file, on standard output. The keys are shown this once. A deployment is bootstrapped once: every
further attempt, and every one that loses a race, changes nothing and exits with status 3.

It asks the key manager at SPECTRON_MANAGEMENT_URL, as a service that knows SPECTRON_SERVICE_SECRET (or
SPECTRON_SERVICE_SECRET_FILE). With the flag --connection-string it works on the database itself, which must be
migrated, and needs SPECTRON_PEPPER (or SPECTRON_PEPPER_FILE) instead; the variable SPECTRON_CONNECTION_STRING does not
count here.

The keys' text never leaves this process but for standard output: the deployment gets their digests. Pin keys of your
own with SPECTRON_API_KEY and SPECTRON_MANAGEMENT_API_KEY, or their _FILE.`,
		Example: `  docker compose exec spectron spectrond bootstrap > first.env
  SPECTRON_PEPPER_FILE=pepper spectrond bootstrap --connection-string postgres://spectron_keymanager@db/spectron`,
		Args: cli.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var cfg bootstrapSettings
			if err := cli.Load(cmd, environ, &cfg); err != nil {
				return err
			}
			credentials, err := firstCredentials(cmd, environ)
			if err != nil {
				return err
			}
			log, err := openLog(cmd, environ)
			if err != nil {
				return err
			}
			enrol := cfg.remotely
			if cmd.Flags().Changed("connection-string") {
				enrol = func(ctx context.Context, cmd *cobra.Command, e enroller) error {
					return cfg.directly(ctx, cmd, connection, log, e)
				}
			}
			if err := enrol(cmd.Context(), cmd, credentials.Enrol); err != nil {
				return err
			}
			return credentials.Print(cmd.OutOrStdout(), cfg.PublicURL, cfg.PublicManagementURL)
		},
	}
	cli.AddSettings(cmd, &firstKeys{}, &bootstrapSettings{}, &logSettings{})
	cmd.Flags().StringVar(&connection, "connection-string", "", "work on this database, postgres://… or sqlite:///path, instead of asking the key manager; keep its password in a PGPASSFILE")
	return cmd
}

// enroller sends an enrolment by way of send.
type enroller func(ctx context.Context, send func(context.Context, introspection.Enrolment) error) error

// remotely has the key manager take the enrolment.
func (s *bootstrapSettings) remotely(ctx context.Context, cmd *cobra.Command, enrol enroller) error {
	if s.ServiceSecret == "" {
		return cli.Usage(cmd, errors.New("SPECTRON_SERVICE_SECRET or SPECTRON_SERVICE_SECRET_FILE is required to ask the key manager; "+
			"or work on the database itself, with the flag --connection-string"))
	}
	c, err := authority.New(authority.Config{
		URL:           s.ManagementURL,
		ServiceSecret: []byte(s.ServiceSecret.Reveal()),
		Subject:       "spectrond bootstrap",
	})
	if err != nil {
		return cli.Usage(cmd, err)
	}
	return explained(enrol(ctx, c.Bootstrap))
}

// directly writes the enrolment into the database.
func (s *bootstrapSettings) directly(ctx context.Context, cmd *cobra.Command, connection string, log *slog.Logger, enrol enroller) error {
	return onDatabase(ctx, cmd, connection, s.Pepper, log, func(service *keymanager.Service) error {
		return explained(enrol(ctx, service.Bootstrap))
	})
}

// onDatabase opens a key manager that serves nobody, and has it do something.
func onDatabase(
	ctx context.Context, cmd *cobra.Command, connection string, pepper settings.Secret, log *slog.Logger, do func(*keymanager.Service) error,
) (err error) {
	if err := checkScheme(connection); err != nil {
		return cli.Usage(cmd, err)
	}
	if pepper == "" {
		return cli.Usage(cmd, errors.New("SPECTRON_PEPPER or SPECTRON_PEPPER_FILE is required with --connection-string: the pepper of the key manager that will use this database"))
	}
	service, err := keymanager.Open(ctx, keymanager.Config{
		ConnectionString: settings.Secret(connection),
		Pepper:           pepper,
		ServiceSecret:    settings.Secret(secret.New()), // nobody asks this key manager anything over the network
		Log:              log,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, service.Close()) }()
	return do(service)
}

// explained makes the refusal of a second bootstrap say what follows from it.
func explained(err error) error {
	if errors.Is(err, fault.AlreadyDone) {
		return fault.New(fault.AlreadyDone, "this deployment has been bootstrapped before, so nothing was changed; its keys were shown then and cannot be shown again")
	}
	return err
}

// checkScheme refuses connection strings of other systems, whose form is not always that of a URL.
func checkScheme(connection string) error {
	scheme, _, found := strings.Cut(connection, ":")
	switch scheme {
	case "postgres", "postgresql", "sqlite":
		if found {
			return nil
		}
	}
	return errors.New("--connection-string: want postgres://user@host/database or sqlite:///path, or leave it out to ask the key manager")
}
