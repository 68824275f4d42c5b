package command

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/spectron/client"
)

func newKeys(environ settings.Environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Mint, rotate, list and delete the keys of a context",
		Long: `Work on the keys of a running deployment. A key has a name, unique in its context, and acts as one principal. These
commands speak to the management API and need a management key.`,
		Example: `  spectrond keys generate-key default planner --expires-in 3600
  spectrond keys rotate default planner`,
	}
	out := addFormat(cmd)
	settings.Flags(cmd.PersistentFlags(), &operatorSettings{})
	return group(cmd,
		newKeysGenerate(environ, out),
		newKeysRotate(environ, out),
		newKeysList(environ, out),
		newKeysDelete(environ),
	)
}

func newKeysGenerate(environ settings.Environ, out *format) *cobra.Command {
	var principal string
	var floor, grants []string
	var ttl lifetime
	cmd := &cobra.Command{
		Use:     "generate-key <context_id> <name>",
		Aliases: []string{"create"},
		Short:   "Mint a key",
		Long: `Mint a key and print it on standard output, this once: it is stored nowhere.

By default the key is an agent's: it reads, writes and forgets in its region, which is everything unless --scope-floor
narrows it. A supervisor reads its region and writes nothing. With --grant the key may do exactly what is listed: a verb
over a pattern, which is a node (org/acme), a node and everything below it (org/acme/*), or everything (/*).`,
		Example: `  spectrond keys generate-key default planner --scope-floor org=acme,agent=planner --expires-in 86400
  spectrond keys generate-key default auditor --principal supervisor
  spectrond keys generate-key default reader --grant 'memory:read=org/acme/*' --grant 'scope:read=org/acme/*'`,
		Args: arguments("context_id", "name"),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) error {
			if len(floor) > 0 && len(grants) > 0 {
				return usage(cmd, errors.New("--scope-floor and --grant exclude each other"))
			}
			opts := client.MintOptions{Kind: caller.Kind(principal), TTL: ttl.duration()}
			var err error
			if opts.ScopeFloor, err = parseFloor(floor); err != nil {
				return usage(cmd, err)
			}
			if opts.Grants, err = parseGrants(grants); err != nil {
				return usage(cmd, err)
			}
			minted, err := m.MintKey(cmd.Context(), args[0], args[1], opts)
			if err != nil {
				return err
			}
			return out.writeSecret(cmd, "minted", minted)
		}),
	}
	cmd.Flags().StringVar(&principal, "principal", "", "agent or supervisor (default agent)")
	cmd.Flags().StringSliceVar(&floor, "scope-floor", nil, "region of the key, such as org=acme,agent=planner; dimensions are org, team or agent, user")
	cmd.Flags().StringArrayVar(&grants, "grant", nil, "verb=pattern that the key may do; repeat for more")
	cmd.Flags().Var(&ttl, "expires-in", "seconds until the key ends (default never, or the context's cap)")
	return cmd
}

func newKeysRotate(environ settings.Environ, out *format) *cobra.Command {
	var ttl lifetime
	cmd := &cobra.Command{
		Use:   "rotate <context_id> <name>",
		Short: "Replace the secret of a key",
		Long: `Replace the secret of a key and print the new key on standard output, this once. The key keeps its id, its
principal and its grants. When this command succeeds the previous secret is dead: the next request with it is refused.
Without --expires-in the key keeps its end; with it, it ends that long from now.`,
		Example: `  spectrond keys rotate default planner
  spectrond keys rotate default planner --expires-in 86400`,
		Args: arguments("context_id", "name"),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) error {
			rotated, err := m.RotateKey(cmd.Context(), args[0], args[1], client.RotateOptions{TTL: ttl.duration()})
			if err != nil {
				return err
			}
			return out.writeSecret(cmd, "rotated", rotated)
		}),
	}
	cmd.Flags().Var(&ttl, "expires-in", "seconds until the key ends (default as before)")
	return cmd
}

func newKeysList(environ settings.Environ, out *format) *cobra.Command {
	return &cobra.Command{
		Use:     "list <context_id>",
		Short:   "List the keys of a context",
		Long:    "List every key of a context, ordered by name. Secrets are not among what is shown: nobody has them any more.",
		Example: "  spectrond keys list default -o json",
		Args:    arguments("context_id"),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) error {
			list, err := m.ListKeys(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			rows := [][]string{{"NAME", "ID", "PRINCIPAL", "ACTS AS", "ENDS", "CREATED"}}
			for _, k := range list {
				rows = append(rows, []string{
					k.Name, k.ID, string(k.Principal), k.PrincipalID, moment(k.ValidUntil), moment(&k.CreatedAt),
				})
			}
			return out.write(cmd.OutOrStdout(), list, rows...)
		}),
	}
}

func newKeysDelete(environ settings.Environ) *cobra.Command {
	return &cobra.Command{
		Use:     "delete <context_id> <name>",
		Short:   "Delete a key",
		Long:    "Delete a key. It is refused from the next request on.",
		Example: "  spectrond keys delete default planner",
		Args:    arguments("context_id", "name"),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) error {
			return m.DeleteKey(cmd.Context(), args[0], args[1])
		}),
	}
}

// mintedKey is the answer of mint and rotate for programs. Key is its text: here, and only here, it is the answer.
type mintedKey struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	Key         string     `json:"key"`
	PrincipalID string     `json:"principalId"`
	ValidUntil  *time.Time `json:"validUntil,omitempty"`
	Revision    int64      `json:"revision"`
}

// writeSecret prints the key alone on standard output, so that $(…) holds it, and the rest on standard error.
func (f *format) writeSecret(cmd *cobra.Command, done string, k client.MintedKey) error {
	err := f.write(cmd.OutOrStdout(), mintedKey{
		ID: k.ID, Name: k.Name, Key: k.Key.Reveal(), PrincipalID: k.PrincipalID, ValidUntil: k.ValidUntil, Revision: k.Revision,
	}, []string{k.Key.Reveal()})
	if err != nil {
		return fmt.Errorf("key %q is %s, but could not be shown (rotate it to get another secret): %w", k.Name, done, err)
	}
	cmd.PrintErrf("%s key %q, id %s, ends %s; it is shown this once and stored nowhere\n", done, k.Name, k.ID, moment(k.ValidUntil))
	return nil
}

// parseFloor reads dimension=name pairs.
func parseFloor(pairs []string) (client.ScopeFloor, error) {
	var floor client.ScopeFloor
	dimensions := map[string]*string{"org": &floor.Org, "team": &floor.Team, "agent": &floor.Agent, "user": &floor.User}
	for _, pair := range pairs {
		dimension, name, ok := strings.Cut(pair, "=")
		target := dimensions[dimension]
		if !ok || name == "" || target == nil {
			return floor, fmt.Errorf("--scope-floor: %q is not org=, team=, agent= or user= with a name", pair)
		}
		if *target != "" {
			return floor, fmt.Errorf("--scope-floor: %s is given twice", dimension)
		}
		*target = name
	}
	return floor, nil
}

// parseGrants reads verb=pattern pairs; nil for none. What a verb or a pattern is, the server knows.
func parseGrants(pairs []string) (client.Grants, error) {
	var grants client.Grants
	for _, pair := range pairs {
		verb, pattern, ok := strings.Cut(pair, "=")
		if !ok || verb == "" || pattern == "" {
			return nil, fmt.Errorf("--grant: %q is not verb=pattern, such as memory:read=org/acme/*", pair)
		}
		if grants == nil {
			grants = client.Grants{}
		}
		grants[verb] = append(grants[verb], pattern)
	}
	return grants, nil
}
