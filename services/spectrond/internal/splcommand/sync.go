package splcommand

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/spectron/table"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
	"github.com/spectron-hq/spectron/services/spectrond/internal/remote"
	"github.com/spectron-hq/spectron/services/spectrond/internal/splclient"
)

func (a *app) sync() *cobra.Command {
	act := func(use, short, long string, action splclient.ActOnPairParamsAction, done string) *cobra.Command {
		return &cobra.Command{
			Use: use + " <pair_id>", Short: short, Long: long + " The scope is federation:manage.", Example: "  spl sync " + use + " <pair_id>",
			Args: idArguments("pair_id"),
			RunE: a.asking(func(cmd *cobra.Command, s *session, args []string) error {
				pair, err := remote.Read[splclient.Pair](s.ActOnPair(cmd.Context(), args[0], action, nil))
				if err != nil {
					return err
				}
				return a.answer(cmd, pair, done+" "+args[0]+": "+string(pair.State))
			}),
		}
	}
	return cli.Group(&cobra.Command{
		Use:   "sync",
		Short: "Pull threads from other daemons",
		Long: `A pair pulls one thread from one other daemon, as long as it lasts. For both ways, make a pair on either side. Each needs a token
of the other daemon with the scope federation:manage.`,
		Example: `  spl sync pair --peer-did did:key:z6Mk... --peer-url http://192.168.1.20:9100 --thread th_notes --peer-token -
  spl sync list`,
	},
		a.makePair(), a.listPairs(),
		act("pause", "Stop pulling for a while", "Stop pulling until 'spl sync resume'.", splclient.Pause, "paused"),
		act("resume", "Go on pulling", "Go on pulling after a pause.", splclient.Resume, "resumed"),
		act("kick", "Pull now", "Pull now, without waiting for the next turn.", splclient.Kick, "kicked"),
		a.removePair(), a.syncStatus(),
	)
}

func (a *app) makePair() *cobra.Command {
	var pair splclient.NewPair
	var token, actor string
	cmd := &cobra.Command{
		Use:   "pair --peer-did <did> --peer-url <url> --thread <thread>",
		Short: "Begin to pull a thread from another daemon",
		Long: `Begin to pull a thread from another daemon. The peer's DID is what 'spl identity' shows there; the token is one of the peer's, with
the scope federation:manage, and is read from standard input or a file, so that it is in no list of processes.`,
		Example: `  spl sync pair --peer-did did:key:z6Mk... --peer-url http://192.168.1.20:9100 --thread th_notes --peer-token - < token-of-the-peer`,
		Args:    cli.Arguments(),
	}
	flags := cmd.Flags()
	flags.StringVar(&pair.PeerDid, "peer-did", "", "the other daemon's identity (required)")
	flags.StringVar(&pair.PeerURL, "peer-url", "", "where this daemon reaches it (required)")
	flags.StringVar(&pair.ThreadID, "thread", "", "the thread to pull (required)")
	flags.StringVar(&token, "peer-token", "", "file with a token of the peer, or - for standard input")
	flags.StringVar(&actor, "peer-actor", "", "identity to claim there")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if pair.PeerDid == "" || pair.PeerURL == "" || pair.ThreadID == "" {
			return cli.Usage(cmd, errors.New("--peer-did, --peer-url and --thread are required"))
		}
		secret, err := peerToken(cmd, token)
		if err != nil {
			return cli.Usage(cmd, err)
		}
		pair.PeerToken, pair.PeerActor = given(secret), given(actor)
		return a.asking(func(cmd *cobra.Command, s *session, _ []string) error {
			made, err := remote.Read[splclient.Pair](s.CreatePair(cmd.Context(), nil, pair))
			if err != nil {
				return err
			}
			if warning := deref(made.Warning); warning != "" {
				a.tell(cmd, "warning: %s", table.Clean(warning))
			}
			return a.answer(cmd, made, made.PairID)
		})(cmd, args)
	}
	return cmd
}

// peerToken reads the token of a peer from a file or standard input.
func peerToken(cmd *cobra.Command, from string) (string, error) {
	if from == "" {
		return "", nil
	}
	if err := notAToken(from); err != nil {
		return "", errors.New("--peer-token takes a file, or -: arguments are seen by every user of the machine")
	}
	var text string
	var err error
	if from == "-" {
		text, err = secretInput(cmd, "Token of the peer", maxTokenInput)
	} else {
		var content []byte
		content, err = os.ReadFile(from) //nolint:gosec // the user names the file
		text = string(content)
	}
	if err != nil {
		return "", err
	}
	token, err := onlyToken(text)
	return strings.TrimSpace(token.Reveal()), err
}

func (a *app) listPairs() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "Show what is pulled from where",
		Long:    "Show every pair and how it is. The scope is federation:manage.",
		Example: "  spl sync list",
		Args:    cli.Arguments(),
		RunE: a.asking(func(cmd *cobra.Command, s *session, _ []string) error {
			list, err := remote.Read[splclient.PairList](s.ListPairs(cmd.Context(), nil))
			if err != nil {
				return err
			}
			if a.output == outputStream {
				return a.encode(cmd, list.Data)
			}
			rows := table.New("PAIR", "THREAD", "PEER", "URL", "STATE", "LAST PULL", "ERROR")
			for _, one := range list.Data {
				rows.Row(one.PairID, one.ThreadID, one.PeerDid, one.PeerURL, string(one.State), orNever(moment(one.LastPulledAt)), deref(one.LastError))
			}
			if rows.Empty() {
				a.tell(cmd, "nothing is pulled from anywhere")
			}
			return a.answerTable(cmd, list, rows)
		}),
	}
}

func (a *app) removePair() *cobra.Command {
	return &cobra.Command{
		Use:     "remove <pair_id>",
		Aliases: []string{"delete"},
		Short:   "End a pair and forget the peer's token",
		Long:    "End a pair and forget the peer's token. What was pulled stays. The scope is federation:manage.",
		Example: "  spl sync remove <pair_id>",
		Args:    idArguments("pair_id"),
		RunE: a.asking(func(cmd *cobra.Command, s *session, args []string) error {
			done, err := remote.Read[splclient.Deleted](s.DeletePair(cmd.Context(), args[0], nil))
			if err != nil {
				return err
			}
			return a.answer(cmd, done, "removed "+args[0])
		}),
	}
}

func (a *app) syncStatus() *cobra.Command {
	return &cobra.Command{
		Use:     "status [pair_id]",
		Short:   "Show how the pairs are, or what one has pulled",
		Long:    "Show how the pairs are, or what one of them has pulled. The scope is federation:manage.",
		Example: "  spl sync status",
		Args:    optional("pair_id"),
		RunE: a.asking(func(cmd *cobra.Command, s *session, args []string) error {
			fields := table.New()
			if len(args) == 1 {
				stats, err := remote.Read[splclient.PairStats](s.GetPairStats(cmd.Context(), args[0], nil))
				if err != nil {
					return err
				}
				fields.Field("PAIR", stats.PairID)
				fields.Field("PULLED", strconv.FormatInt(stats.Pulled, 10))
				fields.Field("KNOWN", strconv.FormatInt(stats.Known, 10))
				fields.Field("REFUSED", strconv.FormatInt(stats.Refused, 10))
				fields.Field("PULLS", strconv.FormatInt(stats.Pulls, 10))
				fields.Field("FAILURES", strconv.FormatInt(stats.Failures, 10))
				return a.answerTable(cmd, stats, fields)
			}
			health, err := remote.Read[splclient.SyncHealth](s.GetSyncHealth(cmd.Context(), nil))
			if err != nil {
				return err
			}
			fields.Field("STATUS", string(health.Status))
			fields.Field("PAIRS", strconv.Itoa(health.PairsTotal))
			for _, state := range []string{"active", "paused", "failing"} {
				fields.Field(strings.ToUpper(state), strconv.Itoa(health.PairsByState[state]))
			}
			return a.answerTable(cmd, health, fields)
		}),
	}
}
