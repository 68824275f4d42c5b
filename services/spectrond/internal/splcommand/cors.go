package splcommand

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
	"github.com/spectron-hq/spectron/services/spectrond/internal/remote"
	"github.com/spectron-hq/spectron/services/spectrond/internal/splclient"
)

func (a *app) setOrigins() *cobra.Command {
	var listed []string
	cmd := &cobra.Command{
		Use:   "auth-set-cors-origins <origin>...",
		Short: "Say which pages may call from a browser",
		Long: `Say which pages may call the daemon from a browser, with a token: from the next request on, and in place of those that were said
before. '' is for none. In an origin * stands for any characters, as in https://*.example.com; * alone is refused.

They come on top of those that the daemon was started with (--cors-origins). While authentication is off these are not heeded:
pages of this machine may call then, and those the daemon was started with. The scope is config:write.`,
		Example: `  spl config auth-set-cors-origins https://syncropel.com
  spl config auth-set-cors-origins https://app.example.com,https://*.example.org
  spl config auth-set-cors-origins ''`,
		Args: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("origins") == (len(args) > 0) {
				return cli.Usage(cmd, errors.New("want origins, as arguments or in --origins; '' is for none"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			origins := originsOf(append(args, listed...))
			if _, err := web.ParseOrigins(origins); err != nil {
				return cli.Usage(cmd, err)
			}
			return a.asking(func(cmd *cobra.Command, s *session, _ []string) error {
				config, err := remote.Read[splclient.EngineConfig](
					s.SetCORSOrigins(cmd.Context(), nil, splclient.SetCORSOriginsJSONRequestBody{Origins: origins}))
				if err != nil {
					return err
				}
				return a.answer(cmd, config, fmt.Sprintf("pages that may call: %s", pages(config)))
			})(cmd, args)
		},
	}
	cmd.Flags().StringSliceVar(&listed, "origins", nil, "the same as the arguments")
	return cmd
}

// originsOf reads origins that are separated by commas, or come one by one.
func originsOf(texts []string) []string {
	origins := []string{}
	for _, text := range texts {
		for origin := range strings.SplitSeq(text, ",") {
			if origin = strings.TrimSpace(origin); origin != "" {
				origins = append(origins, origin)
			}
		}
	}
	return origins
}

// pages are those that the configuration lets call.
func pages(config splclient.EngineConfig) string {
	if len(config.AuthCorsOrigins) == 0 {
		return "none"
	}
	return strings.Join(config.AuthCorsOrigins, ",")
}
