package splcommand

import (
	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/spectron/table"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
	"github.com/spectron-hq/spectron/services/spectrond/internal/remote"
	"github.com/spectron-hq/spectron/services/spectrond/internal/splclient"
)

func (a *app) identity() *cobra.Command {
	return &cobra.Command{
		Use:     "identity",
		Aliases: []string{"whoami"},
		Short:   "Show who you are to the daemon, and who it is",
		Long:    "Show whom the daemon takes you for, what your token may do, and the daemon's own identity. Any token will do.",
		Example: `  spl identity
  SPL_ACTOR=did:sync:svc:grafana SPL_TOKEN=... spl identity -o json`,
		Args: cli.Arguments(),
		RunE: a.asking(func(cmd *cobra.Command, s *session, _ []string) error {
			who, err := remote.Read[splclient.Identity](s.GetIdentity(cmd.Context(), nil))
			if err != nil {
				return err
			}
			authenticated := "yes"
			if !who.IsAuthenticated {
				authenticated = "no: the daemon asks nobody who they are"
			}
			fields := table.New()
			fields.Field("ACTOR", who.Actor)
			fields.Field("NAME", who.DisplayName)
			fields.Field("AUTHENTICATED", authenticated)
			fields.Field("SERVICE ACCOUNT", deref(who.ServiceAccountID))
			fields.Field("SCOPES", joinScopes(who.Scopes))
			fields.Field("DAEMON", deref(who.Did))
			fields.Field("FINGERPRINT", deref(who.KeyFingerprint))
			fields.Field("KEY", deref(who.KeyPath))
			fields.Field("URL", s.url)
			return a.answerTable(cmd, who, fields)
		}),
	}
}
