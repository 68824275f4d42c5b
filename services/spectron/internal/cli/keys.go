package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/spectron/client"
	"github.com/spectron-hq/spectron/services/spectron/table"
)

func (a *app) keys() *cobra.Command {
	return group(&cobra.Command{
		Use:   "keys",
		Short: "Mint, rotate and delete the keys that are yours to manage",
		Long: `Mint, rotate and delete keys. A key manages itself; one with grant:manage over / manages all keys of the context. The
context may forbid it.`,
		Example: `  spectron keys create ci --grant 'memory:read=/*' --expires-in 86400
  spectron keys rotate ci`,
	}, a.keysList(), a.keysCreate(), a.keysRotate(), a.keysDelete())
}

func (a *app) keysList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the keys",
		Long:    "List the keys that are yours to manage, by name. Secrets are not among what is shown: nobody has them any more.",
		Example: "  spectron keys list -o json",
		Args:    arguments(),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			list, err := c.ListKeys(cmd.Context())
			if err != nil {
				return err
			}
			rows := table.New("NAME", "ID", "ACTS AS", "ENDS", "USED", "CREATED", "GRANTS")
			for _, k := range list {
				rows.Row(k.Name, k.ID, k.PrincipalID, moment(k.ValidUntil, "never"), moment(k.LastUsedAt, "never"),
					moment(&k.CreatedAt, ""), grantsLine(k.Grants))
			}
			return a.printList(list, rows, "there are no keys")
		}),
	}
}

func (a *app) keysCreate() *cobra.Command {
	var grants []string
	var seconds int64
	cmd := &cobra.Command{
		Use:   "create [<name>]",
		Short: "Mint a key of your own principal",
		Long: `Mint a key of your own principal and print it on standard output, this once: it is stored nowhere. With --grant it may do
what is listed, which must lie within what you may do; without, what the key in use may. Without a name one is made up.`,
		Example: `  spectron keys create ci --grant 'memory:read=org/acme/*' --expires-in 86400
  KEY=$(spectron keys create)`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return arguments("name")(cmd, args)
		},
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, args []string) (err error) {
			opts := client.CreateKeyOptions{Name: strings.Join(args, "")}
			if opts.Grants, err = parseGrants(grants); err != nil {
				return err
			}
			if opts.TTL, err = checkLifetime(cmd, seconds); err != nil {
				return err
			}
			minted, err := c.CreateKey(cmd.Context(), opts)
			if err != nil {
				return err
			}
			return a.printSecret("minted", minted)
		}),
	}
	grantFlag(cmd, &grants)
	cmd.Flags().Int64Var(&seconds, "expires-in", 0, "`seconds` until the key ends (default never, or the context's cap)")
	return cmd
}

func (a *app) keysRotate() *cobra.Command {
	var seconds int64
	var save bool
	cmd := &cobra.Command{
		Use:   "rotate <name>",
		Short: "Replace the secret of a key",
		Long: `Replace the secret of a key and print the new key on standard output, this once. When this command succeeds the previous
secret is dead. Without --expires-in the key keeps its end; with it, it ends that long from now.

With --save, a profile that holds the key gets the new one, and nothing is printed.`,
		Example: `  spectron keys rotate ci
  spectron keys rotate laptop --save --profile work`,
		Args: arguments("name"),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
			ttl, err := checkLifetime(cmd, seconds)
			if err != nil {
				return err
			}
			rotated, err := c.RotateKey(cmd.Context(), args[0], client.RotateOptions{TTL: ttl})
			if err != nil {
				return err
			}
			switch held := a.holds(rotated); {
			case save && held:
				return a.saveKey(rotated)
			case held:
				a.complain("profile %s holds the secret that is dead now: spectron config set api_key", a.settings.Profile)
			case save:
				a.complain("profile %s does not hold this key, so it was not changed", a.settings.Profile)
			}
			return a.printSecret("rotated", rotated)
		}),
	}
	cmd.Flags().Int64Var(&seconds, "expires-in", 0, "`seconds` until the key ends (default as before)")
	cmd.Flags().BoolVar(&save, "save", false, "put the new key into the profile that holds the old one")
	return cmd
}

// holds reports whether the profile in use holds a secret of this key.
func (a *app) holds(k client.MintedKey) bool {
	stored := a.settings.File.Profiles[a.settings.Profile].APIKey.Reveal()
	return k.ID != "" && strings.HasPrefix(stored, "sp-"+k.ID+"-")
}

// saveKey puts a rotated key into the profile. A key that cannot be saved is printed: nobody else has it.
func (a *app) saveKey(k client.MintedKey) error {
	s := a.settings
	profile := s.File.Profiles[s.Profile]
	profile.APIKey = client.APIKey(k.Key.Reveal())
	s.File.Profiles[s.Profile] = profile
	if err := s.File.Save(); err != nil {
		a.complain("spectron: %v; here is the key", err)
		return a.printSecret("rotated", k)
	}
	return a.printDone("saved", "the new secret of key", k.Name)
}

func (a *app) keysDelete() *cobra.Command {
	return &cobra.Command{
		Use:     "delete <name>",
		Short:   "Delete a key",
		Long:    "Delete a key. It is refused from the next request on.",
		Example: "  spectron keys delete ci",
		Args:    arguments("name"),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if err := c.DeleteKey(cmd.Context(), args[0]); err != nil {
				return err
			}
			return a.printDone("deleted", "key", args[0])
		}),
	}
}

// mintedKey is the answer of mint and rotate for programs. Key is its text: here, and only here, it is the answer.
type mintedKey struct {
	ID          string     `json:"id"`
	Name        string     `json:"name,omitempty"`
	Key         string     `json:"key"`
	PrincipalID string     `json:"principalId,omitempty"`
	ValidUntil  *time.Time `json:"validUntil,omitempty"`
}

// printSecret prints the key alone on standard output, so that $(…) holds it, and the rest on standard error.
func (a *app) printSecret(done string, k client.MintedKey) error {
	err := a.printText(mintedKey{
		ID: k.ID, Name: k.Name, Key: k.Key.Reveal(), PrincipalID: k.PrincipalID, ValidUntil: k.ValidUntil,
	}, k.Key.Reveal())
	if err != nil {
		return fmt.Errorf("key %q is %s, but could not be shown (rotate it to get another secret): %w", k.Name, done, err)
	}
	a.complain("%s key %q, id %s, ends %s; it is shown this once and stored nowhere", done, k.Name, k.ID, moment(k.ValidUntil, "never"))
	return nil
}
