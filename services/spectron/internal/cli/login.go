package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/spectron/internal/settings"
	"github.com/spectron-hq/spectron/services/spectron/table"
)

func (a *app) login() *cobra.Command {
	var noVerify bool
	cmd := &cobra.Command{
		Use:   "login",
		Short: "Store a server, an API key and a context as a profile",
		Long: `Store a server, an API key and a context as a profile, for the other commands to use.

What is given neither by flag nor in the environment is asked for; the key is not shown as it is typed. Where standard
input is not a terminal, the key is its first line. The key is tried before anything is stored.

Profiles are kept in ~/.config/spectron/config.toml, which only its owner can read.`,
		Example: `  spectron login
  spectron login --url https://spectron.example.com --context-id acme --profile work
  spectron login --context-id acme < key.txt
  spectron whoami --profile work`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.load(true)
			if err != nil {
				return err
			}
			if err := a.askForCredentials(cmd.Context(), s); err != nil {
				return err
			}
			return a.storeLogin(cmd.Context(), s, noVerify)
		},
	}
	cmd.Flags().BoolVar(&noVerify, "no-verify", false, "store without trying the key")
	return cmd
}

// askForCredentials completes s. What the profile holds already is offered again, except for the key: it is to be
// replaced.
func (a *app) askForCredentials(ctx context.Context, s *settings.Settings) (err error) {
	_, interactive := a.terminal()
	if interactive && s.Explicit.URL == "" {
		if s.URL, err = a.ask(ctx, "URL", s.URL); err != nil {
			return err
		}
	}
	if s.Explicit.APIKey == "" {
		key, err := a.askSecret(ctx, "API key")
		if err != nil {
			return err
		}
		s.APIKey, s.APIKeyOrigin = client.APIKey(key), "from standard input"
	}
	if interactive && s.Explicit.ContextID == "" {
		if s.ContextID, err = a.ask(ctx, "Context id", s.ContextID); err != nil {
			return err
		}
	}
	switch {
	case s.APIKey == "":
		return usagef("login needs an API key: type it, set SPECTRON_API_KEY, or give it on standard input")
	case s.ContextID == "":
		return usagef("login needs the id of the context that the key opens: say --context-id or set SPECTRON_CONTEXT_ID")
	default:
		return nil
	}
}

// loggedIn is the result of login.
type loggedIn struct {
	Profile   string `json:"profile"`
	Path      string `json:"path"`
	URL       string `json:"url"`
	ContextID string `json:"context_id"`
	// Principal is who the key acts as; empty when that was not verified.
	Principal string `json:"principal,omitempty"`
}

// storeLogin tries the credentials, unless told not to, and stores them.
func (a *app) storeLogin(ctx context.Context, s *settings.Settings, noVerify bool) error {
	c, err := client.New(s.Config)
	if err != nil {
		return asUsage(err)
	}
	result := loggedIn{Profile: s.Profile, Path: s.File.Path, URL: s.URL, ContextID: s.ContextID}
	if !noVerify {
		me, err := c.Me(ctx)
		if err != nil {
			return err
		}
		result.Principal = me.DisplayName
	}
	s.File.Profiles[s.Profile] = settings.Profile{URL: s.URL, APIKey: s.APIKey, ContextID: s.ContextID}
	if err := s.File.Save(); err != nil {
		return err
	}
	fields := table.New()
	fields.Field("PROFILE", result.Profile)
	fields.Field("SERVER", result.URL)
	fields.Field("CONTEXT", result.ContextID)
	fields.Field("PRINCIPAL", result.Principal)
	fields.Field("STORED IN", result.Path)
	return a.print(result, fields)
}
