package command

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/spectron/table"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
)

func newKeysEnable(environ settings.Environ, out *output) *cobra.Command {
	return &cobra.Command{
		Use:     "enable <context_id> <name>",
		Short:   "Enable a key that was disabled",
		Long:    "Enable a key that was disabled. It opens what it opened before, from the next request on.",
		Example: "  spectrond keys enable default planner",
		Args:    cli.Arguments("context_id", "name"),
		RunE:    patchKey(environ, out, "enabled", client.KeyPatch{Enabled: new(true)}),
	}
}

func newKeysDisable(environ settings.Environ, out *output) *cobra.Command {
	return &cobra.Command{
		Use:   "disable <context_id> <name>",
		Short: "Disable a key until it is enabled again",
		Long: `Disable a key. It is refused from the next request on, as any bad key is: nobody can tell that it was disabled. Its secret,
its grants and its settings stay, and a rotation does not enable it.`,
		Example: "  spectrond keys disable default planner",
		Args:    cli.Arguments("context_id", "name"),
		RunE:    patchKey(environ, out, "disabled", client.KeyPatch{Enabled: new(false)}),
	}
}

func patchKey(environ settings.Environ, out *output, done string, patch client.KeyPatch) func(*cobra.Command, []string) error {
	return operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) error {
		if _, err := m.PatchKey(cmd.Context(), args[0], args[1], patch); err != nil {
			return err
		}
		return out.writeDone(cmd, done, "key", args[1])
	})
}

func newKeysLimit(environ settings.Environ, out *output) *cobra.Command {
	var requests, burst int64
	var per time.Duration
	var none bool
	cmd := &cobra.Command{
		Use:   "limit <context_id> <name>",
		Short: "Limit how often a key may be used",
		Long: `Limit how often a key may be used: --requests in --per, evenly spread, of which --burst at once. Beyond that the answer is
429 with Retry-After; the RateLimit headers of every answer tell how the key stands. --none takes the limit away. Each data plane
counts for itself, in memory, so three of them let three times as much pass.`,
		Example: `  spectrond keys limit default planner --requests 100 --per 1m --burst 20
  spectrond keys limit default planner --none`,
		Args: cli.Arguments("context_id", "name"),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) error {
			if none == (requests != 0) {
				return cli.Usage(cmd, errors.New("want --requests and --per, or --none"))
			}
			var limit *client.RateLimit
			done := "unlimited"
			if !none {
				if per < time.Second || per%time.Second != 0 {
					return cli.Usage(cmd, errors.New("--per: want whole seconds, such as 1s, 1m or 24h"))
				}
				limit = &client.RateLimit{Requests: requests, PerSeconds: int64(per / time.Second), Burst: burst}
				done = "limited"
			}
			if _, err := m.PatchKey(cmd.Context(), args[0], args[1], client.KeyPatch{RateLimit: &limit}); err != nil {
				return err
			}
			return out.writeDone(cmd, done, "key", args[1])
		}),
	}
	cmd.Flags().Int64Var(&requests, "requests", 0, "requests that pass in --per")
	cmd.Flags().DurationVar(&per, "per", time.Second, "the time in which --requests pass")
	cmd.Flags().Int64Var(&burst, "burst", 0, "requests that pass at once (default as many as --requests)")
	cmd.Flags().BoolVar(&none, "none", false, "take the limit away")
	return cmd
}

func newKeysAllow(environ settings.Environ, out *output) *cobra.Command {
	var everywhere bool
	cmd := &cobra.Command{
		Use:   "allow <context_id> <name> [network…]",
		Short: "Say which networks a key may be used from",
		Long: `Say which networks, or addresses, a key may be used from, instead of those that it could be before. From elsewhere the answer
is 403, which tells the address that was seen. --everywhere lifts that. Behind a proxy the data plane sees the client's address only
when the proxy is one of SPECTRON_TRUSTED_PROXIES; otherwise it sees the proxy's.`,
		Example: `  spectrond keys allow default planner 10.0.0.0/8 2001:db8::7
  spectrond keys allow default planner --everywhere`,
		Args: cli.ArgumentsAndMore("context_id", "name"),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) error {
			networks := args[2:]
			if everywhere == (len(networks) > 0) {
				return cli.Usage(cmd, errors.New("want networks, or --everywhere"))
			}
			if _, err := m.PatchKey(cmd.Context(), args[0], args[1], client.KeyPatch{AllowedCIDRs: &networks}); err != nil {
				return err
			}
			return out.writeDone(cmd, "allowed", "key", args[1])
		}),
	}
	cmd.Flags().BoolVar(&everywhere, "everywhere", false, "let the key be used from everywhere")
	return cmd
}

func newKeysExpiring(environ settings.Environ, out *output) *cobra.Command {
	var within time.Duration
	cmd := &cobra.Command{
		Use:     "expiring",
		Short:   "List the keys of all contexts that end soon",
		Long:    "List the keys of all contexts that end within a time and have not yet, soonest first.",
		Example: "  spectrond keys expiring --within 720h",
		Args:    cli.Arguments(),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, _ []string) error {
			if within <= 0 {
				return cli.Usage(cmd, errors.New("--within: want a time, such as 720h"))
			}
			list := []client.ExpiringKey{}
			rows := table.New("ENDS", "CONTEXT", "NAME", "ID", "STATUS", "LAST USED")
			for k, err := range m.ExpiringKeys(cmd.Context(), within) {
				if err != nil {
					return err
				}
				list = append(list, k)
				rows.Row(moment(k.ValidUntil), k.ContextID, k.Name, k.ID, status(k.Key), moment(k.LastUsedAt))
			}
			return out.write(cmd, list, rows)
		}),
	}
	cmd.Flags().DurationVar(&within, "within", 30*24*time.Hour, "in how much time at most")
	return cmd
}

// status is what holds a key back, in one cell.
func status(k client.Key) string {
	words := []string{"enabled"}
	if k.Enabled != nil && !*k.Enabled {
		words[0] = "disabled"
	}
	if limit := k.RateLimit; limit != nil {
		words = append(words, fmt.Sprintf("%d in %s", limit.Requests, span(time.Duration(limit.PerSeconds)*time.Second)))
	}
	if n := len(k.AllowedCIDRs); n == 1 {
		words = append(words, "from "+k.AllowedCIDRs[0])
	} else if n > 1 {
		words = append(words, fmt.Sprintf("from %d networks", n))
	}
	return strings.Join(words, ", ")
}
