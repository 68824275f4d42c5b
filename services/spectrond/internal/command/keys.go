package command

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/spectron/table"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
)

func newKeys(environ settings.Environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Mint, rotate, list, limit and delete the keys of a context",
		Long: `Work on the keys of a running deployment. A key has a name, unique in its context, and acts as one principal. These
commands speak to the management API and need a management key.`,
		Example: `  spectrond keys generate-key default planner --expires-in 3600
  spectrond keys rotate default planner`,
	}
	out := addOutput(cmd, environ)
	settings.Flags(cmd.PersistentFlags(), &operatorSettings{})
	return cli.Group(cmd,
		newKeysGenerate(environ, out),
		newKeysRotate(environ, out),
		newKeysList(environ, out),
		newKeysDelete(environ, out),
		newKeysEnable(environ, out),
		newKeysDisable(environ, out),
		newKeysLimit(environ, out),
		newKeysAllow(environ, out),
		newKeysExpiring(environ, out),
		newKeysLeaked(environ, out),
		newKeysImport(environ, out),
	)
}

// mintFlags are the flags of generate-key.
type mintFlags struct {
	principal     string
	floor, grants []string
	ttl           lifetime
}

func newKeysGenerate(environ settings.Environ, out *output) *cobra.Command {
	var f mintFlags
	cmd := &cobra.Command{
		Use:     "generate-key <context_id> <name>",
		Aliases: []string{"create"},
		Short:   "Mint a key",
		Long: `Mint a key and print it on standard output, this once: it is stored nowhere.

By default the key is an agent's: it reads, writes and forgets in its region, which is everything unless --scope-floor
narrows it. A supervisor reads its region and writes nothing. Both get a principal of their own. With --grant the key may do
exactly what is listed: a verb over a pattern, which is a node (org/acme), a node and everything below it (org/acme/*), or
everything (/*).

With --principal and the id of a principal that there is, the key is one of that principal: it may do what that one may, or
what of it is listed with --grant.`,
		Example: `  spectrond keys generate-key default planner --scope-floor org=acme,agent=planner --expires-in 86400
  spectrond keys generate-key default auditor --principal supervisor
  spectrond keys generate-key default reader --grant 'memory:read=org/acme/*' --grant 'scope:read=org/acme/*'
  spectrond keys create default laptop --principal admin --expires-in 86400`,
		Args: cli.Arguments("context_id", "name"),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) error {
			minted, err := f.mint(cmd, m, args[0], args[1])
			if err != nil {
				return err
			}
			return out.writeSecret(cmd, "minted", minted)
		}),
	}
	cmd.Flags().StringVar(&f.principal, "principal", "", "agent or supervisor, or the id of a principal (default agent)")
	cmd.Flags().StringSliceVar(&f.floor, "scope-floor", nil, "region of the key, such as org=acme,agent=planner; dimensions are org, team or agent, user")
	cmd.Flags().StringArrayVar(&f.grants, "grant", nil, "verb=pattern that the key may do; repeat for more")
	cmd.Flags().Var(&f.ttl, "expires-in", "seconds until the key ends (default never, or the context's cap)")
	return cmd
}

// mint mints a key of a principal of its own, or of one that there is.
func (f *mintFlags) mint(cmd *cobra.Command, m *client.Management, contextID, name string) (client.MintedKey, error) {
	if len(f.floor) > 0 && len(f.grants) > 0 {
		return client.MintedKey{}, cli.Usage(cmd, errors.New("--scope-floor and --grant exclude each other"))
	}
	floor, err := parseFloor(f.floor)
	if err != nil {
		return client.MintedKey{}, cli.Usage(cmd, err)
	}
	grants, err := parseGrants(f.grants)
	if err != nil {
		return client.MintedKey{}, cli.Usage(cmd, err)
	}
	if kind := caller.Kind(f.principal); kind == "" || kind == caller.Agent || kind == caller.Supervisor {
		opts := client.MintOptions{Kind: kind, ScopeFloor: floor, Grants: grants, TTL: f.ttl.duration()}
		return m.MintKey(cmd.Context(), contextID, name, opts)
	}
	if len(f.floor) > 0 {
		return client.MintedKey{}, cli.Usage(cmd, errors.New("--scope-floor is for agent and supervisor; narrow the key of a principal with --grant"))
	}
	opts := client.PrincipalKeyOptions{Grants: grants, TTL: f.ttl.duration()}
	return m.MintPrincipalKey(cmd.Context(), contextID, f.principal, name, opts)
}

func newKeysRotate(environ settings.Environ, out *output) *cobra.Command {
	var ttl lifetime
	var principal string
	cmd := &cobra.Command{
		Use:   "rotate <context_id> <name>",
		Short: "Replace the secret of a key",
		Long: `Replace the secret of a key and print the new key on standard output, this once. The key keeps its id, its
principal and its grants. When this command succeeds the previous secret is dead: the next request with it is refused.
Without --expires-in the key keeps its end; with it, it ends that long from now.`,
		Example: `  spectrond keys rotate default planner
  spectrond keys rotate default planner --expires-in 86400`,
		Args: cli.Arguments("context_id", "name"),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) error {
			rotate, opts := m.RotateKey, client.RotateOptions{TTL: ttl.duration()}
			if principal != "" {
				rotate = func(ctx context.Context, contextID, name string, opts client.RotateOptions) (client.MintedKey, error) {
					return m.RotatePrincipalKey(ctx, contextID, principal, name, opts)
				}
			}
			rotated, err := rotate(cmd.Context(), args[0], args[1], opts)
			if err != nil {
				return err
			}
			return out.writeSecret(cmd, "rotated", rotated)
		}),
	}
	cmd.Flags().Var(&ttl, "expires-in", "seconds until the key ends (default as before)")
	addPrincipal(cmd, &principal)
	return cmd
}

func newKeysList(environ settings.Environ, out *output) *cobra.Command {
	var principal string
	cmd := &cobra.Command{
		Use:   "list <context_id>",
		Short: "List the keys of a context",
		Long: "List every key of a context, ordered by name. Secrets are not among what is shown: nobody has them any more. " +
			"When a key was used last is to the minute; how often is about right, and a minute or so behind.",
		Example: `  spectrond keys list default -o json
  spectrond keys list default --principal admin`,
		Args: cli.Arguments("context_id"),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) error {
			keys := m.Keys(cmd.Context(), args[0])
			if principal != "" {
				keys = m.PrincipalKeys(cmd.Context(), args[0], principal)
			}
			list := []client.Key{}
			rows := table.New("NAME", "ID", "PRINCIPAL", "ACTS AS", "STATUS", "ENDS", "CREATED", "LAST USED", "USES")
			for k, err := range keys {
				if err != nil {
					return err
				}
				list = append(list, k)
				rows.Row(k.Name, k.ID, string(k.Principal), k.PrincipalID, status(k), moment(k.ValidUntil), moment(&k.CreatedAt),
					moment(k.LastUsedAt), strconv.FormatInt(k.UseCount, 10))
			}
			return out.write(cmd, list, rows)
		}),
	}
	addPrincipal(cmd, &principal)
	return cmd
}

func newKeysDelete(environ settings.Environ, out *output) *cobra.Command {
	var principal string
	cmd := &cobra.Command{
		Use:     "delete <context_id> <name>",
		Short:   "Delete a key",
		Long:    "Delete a key. It is refused from the next request on.",
		Example: "  spectrond keys delete default planner",
		Args:    cli.Arguments("context_id", "name"),
		RunE: operator(environ, func(cmd *cobra.Command, m *client.Management, args []string) (err error) {
			if principal == "" {
				err = m.DeleteKey(cmd.Context(), args[0], args[1])
			} else {
				err = m.DeletePrincipalKey(cmd.Context(), args[0], principal, args[1])
			}
			if err != nil {
				return err
			}
			return out.writeDone(cmd, "deleted", "key", args[1])
		}),
	}
	addPrincipal(cmd, &principal)
	return cmd
}

// addPrincipal gives cmd the flag that narrows it to the keys of one principal.
func addPrincipal(cmd *cobra.Command, principal *string) {
	cmd.Flags().StringVar(principal, "principal", "", "only keys of the principal of this id; another's is not found")
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
func (o *output) writeSecret(cmd *cobra.Command, done string, k client.MintedKey) error {
	err := o.writeLine(cmd, mintedKey{
		ID: k.ID, Name: k.Name, Key: k.Key.Reveal(), PrincipalID: k.PrincipalID, ValidUntil: k.ValidUntil, Revision: k.Revision,
	}, k.Key.Reveal())
	if err != nil {
		return fmt.Errorf("key %q is %s, but could not be shown (rotate it to get another secret): %w", k.Name, done, err)
	}
	cmd.PrintErrf("%s key %q, id %s, ends %s; it is shown this once and stored nowhere\n", done, k.Name, k.ID, moment(k.ValidUntil))
	return nil
}
