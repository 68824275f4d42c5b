package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/spectron/internal/settings"
	"github.com/spectron-hq/spectron/services/spectron/table"
)

// hidden stands for a key that is there.
const hidden = "<hidden>"

// The names of what a profile holds.
const (
	urlKey       = "url"
	apiKeyKey    = "api_key"
	contextIDKey = "context_id"
)

var profileKeys = []string{urlKey, apiKeyKey, contextIDKey}

func (a *app) config() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Look at and change stored profiles",
		Long: `Look at and change the profiles that spectron login stores, whatever flags and environment say.

A profile holds url, api_key and context_id. --profile picks the profile, "default" without it.`,
		Example: `  spectron config list
  spectron config set url https://spectron.example.com --profile work
  spectron config set api_key < key.txt
  spectron config get context_id`,
	}
	return group(cmd, a.configSet(), a.configGet(), a.configList(), a.configPath())
}

func (a *app) configSet() *cobra.Command {
	return &cobra.Command{
		Use:   "set <name> [<value>]",
		Short: "Change what a profile holds",
		Long: `Change what a profile holds: url, api_key or context_id. An empty value removes it.

Without a value it is asked for, without echo when it is the key. Where standard input is not a terminal, the value is
its first line. Give keys this way: every user of the machine can see arguments in ps.`,
		Example: `  spectron config set context_id acme
  spectron config set api_key`,
		Args:      cobra.RangeArgs(1, 2),
		ValidArgs: profileKeys,
		RunE: func(cmd *cobra.Command, args []string) error {
			name := args[0]
			if err := checkProfileKey(name); err != nil {
				return err
			}
			s, err := a.load(true)
			if err != nil {
				return err
			}
			value, err := a.newValue(cmd.Context(), name, args[1:])
			if err != nil {
				return err
			}
			if err := setProfile(s, name, value); err != nil {
				return err
			}
			if err := s.File.Save(); err != nil {
				return err
			}
			return a.printText(map[string]string{"profile": s.Profile, "set": name}, fmt.Sprintf("set %s in profile %s", name, s.Profile))
		},
	}
}

// newValue returns the value of the command line, or asks for it.
func (a *app) newValue(ctx context.Context, name string, args []string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	if _, ok := a.terminal(); ok && name != apiKeyKey {
		return a.ask(ctx, name, "")
	}
	return a.askSecret(ctx, name)
}

// setProfile changes the profile of s, after a check that a client would take the value.
func setProfile(s *settings.Settings, name, value string) error {
	profile := s.File.Profiles[s.Profile]
	switch name {
	case urlKey:
		profile.URL = value
	case apiKeyKey:
		profile.APIKey = client.APIKey(value)
	default:
		profile.ContextID = value
	}
	if _, err := client.NewManagement(client.Config{URL: profile.URL, APIKey: profile.APIKey}); err != nil {
		return asUsage(err)
	}
	s.File.Profiles[s.Profile] = profile
	return nil
}

func (a *app) configGet() *cobra.Command {
	var reveal bool
	cmd := &cobra.Command{
		Use:   "get <name>",
		Short: "Show what a profile holds",
		Long:  "Show what a profile holds: url, api_key or context_id. A key is shown as " + hidden + ", unless with --reveal.",
		Example: `  spectron config get url
  SPECTRON_API_KEY=$(spectron config get api_key --reveal) make demo`,
		Args:      cobra.ExactArgs(1),
		ValidArgs: profileKeys,
		RunE: func(_ *cobra.Command, args []string) error {
			name := args[0]
			if err := checkProfileKey(name); err != nil {
				return err
			}
			s, err := a.load(false)
			if err != nil {
				return err
			}
			value := stored(s.File.Profiles[s.Profile], reveal)[name]
			if value == "" {
				return fmt.Errorf("%s is not set in profile %s; spectron config set %s sets it", name, s.Profile, name)
			}
			return a.printText(map[string]string{name: value}, value)
		},
	}
	cmd.Flags().BoolVar(&reveal, "reveal", false, "show the API key")
	return cmd
}

func (a *app) configList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Show all profiles, without their keys",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			s, err := a.load(false)
			if err != nil {
				return err
			}
			all := make(map[string]map[string]string, len(s.File.Profiles))
			for name, profile := range s.File.Profiles {
				all[name] = stored(profile, false)
			}
			rows := table.New("PROFILE", "URL", "CONTEXT", "KEY")
			for _, name := range slices.Sorted(maps.Keys(all)) {
				rows.Row(name, all[name][urlKey], all[name][contextIDKey], all[name][apiKeyKey])
			}
			return a.printList(all, rows, "there are no profiles; spectron login makes one")
		},
	}
}

func (a *app) configPath() *cobra.Command {
	return &cobra.Command{
		Use:   "path",
		Short: "Show where profiles are kept",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			path, err := settings.Path(a.Environment)
			if err != nil {
				return err
			}
			return a.printText(map[string]string{"path": path}, path)
		},
	}
}

func checkProfileKey(name string) error {
	if !slices.Contains(profileKeys, name) {
		return usagef("%s: want one of %s", name, strings.Join(profileKeys, ", "))
	}
	return nil
}

// stored returns what a profile holds, by name, without what is not set.
func stored(profile settings.Profile, reveal bool) map[string]string {
	key := profile.APIKey.Reveal()
	if key != "" && !reveal {
		key = hidden
	}
	all := map[string]string{urlKey: profile.URL, apiKeyKey: key, contextIDKey: profile.ContextID}
	maps.DeleteFunc(all, func(_, value string) bool { return value == "" })
	return all
}
