package splcommand

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/spectron/table"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
	"github.com/spectron-hq/spectron/services/spectrond/internal/remote"
	"github.com/spectron-hq/spectron/services/spectrond/internal/splclient"
)

func (a *app) tokens() *cobra.Command {
	return cli.Group(&cobra.Command{
		Use:     "token",
		Aliases: []string{"tokens"},
		Short:   "Save the token that commands send; mint, rotate, revoke and list tokens",
		Long: `A token opens the daemon for who holds it. It reads spl_<env>_<sa_id>_<secret> and belongs to a service account. It is shown
once, when it is minted; the daemon keeps a digest of it.

Commands send the first of these that there is:
  1. --token <value>         for one command
  2. SPL_TOKEN               for scripts and CI
  3. ~/.syncro/token         kept by 'spl token save', mode 0600

Which revocation to use:
  as a routine, by the calendar              spl token rotate <sa_id>
  one phone lost, other devices trusted      spl token revoke --sa <sa_id> --token-id <token_id>
  laptop stolen, or an identity retires      spl service-account revoke <sa_id>`,
		Example: `  spl token save spl_prod_sa_...
  spl token show-source
  spl token list
  spl token rotate <sa_id> | spl token save -`,
	}, a.saveToken(), a.unsetToken(), a.showSource(), a.tokenInfo(), a.mintToken(), a.rotateTokens(), a.revokeToken(), a.listTokens())
}

func (a *app) mintToken() *cobra.Command {
	var account, env string
	cmd := &cobra.Command{
		Use:     "mint --sa <sa_id>",
		Aliases: []string{"create"},
		Short:   "Mint another token of a service account",
		Long: `Mint a token with the scopes that the account has now, and print it alone on standard output, this once. Tokens that there are
go on working.`,
		Example: `  spl token mint --sa <sa_id>
  spl token mint --sa <sa_id> --env-tag staging`,
		Args: cli.Arguments(),
	}
	addAccount(cmd, &account, "service account that the token is to be of (required)")
	addEnvTag(cmd, &env)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := errors.Join(needAccount(account), checkEnv(env)); err != nil {
			return cli.Usage(cmd, err)
		}
		return a.asking(func(cmd *cobra.Command, s *session, _ []string) error {
			minted, err := remote.Read[splclient.MintedToken](s.MintToken(cmd.Context(), account, nil, splclient.NewToken{EnvTag: &env}))
			if err != nil {
				return err
			}
			if err := a.showToken(cmd, minted); err != nil {
				return unshown(account, err)
			}
			if a.output.forPrograms() {
				a.tell(cmd, "the token is not shown with -o json; to be rid of it: spl token revoke --sa %s --token-id %s", account, minted.TokenID)
			}
			return nil
		})(cmd, args)
	}
	return cmd
}

// showToken prints a token alone on standard output, so that $(…) holds it, and what it is on standard error. For programs it
// prints everything but the token.
func (a *app) showToken(cmd *cobra.Command, minted splclient.MintedToken) error {
	known := splclient.Token{
		TokenID: minted.TokenID, SaID: minted.SaID, ServiceAccountID: minted.ServiceAccountID, ServiceAccountName: minted.ServiceAccountName,
		EnvTag: minted.EnvTag, Prefix: minted.Prefix, Scopes: minted.Scopes, Status: splclient.TokenStatus(minted.Status), CreatedAt: minted.CreatedAt,
	}
	if a.output.forPrograms() {
		return a.encode(cmd, known)
	}
	if _, err := fmt.Fprintln(cmd.OutOrStdout(), minted.Token); err != nil {
		return err
	}
	a.tell(cmd, "token %s of %s (%s), scopes %s; it is shown this once and stored nowhere", known.TokenID, known.ServiceAccountID,
		table.Clean(known.ServiceAccountName), joinScopes(known.Scopes))
	return nil
}

func (a *app) revokeToken() *cobra.Command {
	var account, id, reason string
	cmd := &cobra.Command{
		Use:   "revoke --sa <sa_id> --token-id <token_id>",
		Short: "Revoke one token",
		Long: `Revoke one token: its next request is refused. The service account and its other tokens go on. It is what to do when one phone
was lost. 'spl token list' tells the ids.`,
		Example: `  spl token revoke --sa <sa_id> --token-id <token_id> --reason "phone lost"`,
		Args:    cli.Arguments(),
	}
	addAccount(cmd, &account, "service account that the token is of (required)")
	cmd.Flags().StringVar(&id, "token-id", "", "id of the token, as 'spl token list' tells it (required)")
	addReason(cmd, &reason)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := needAccount(account); err != nil {
			return cli.Usage(cmd, err)
		}
		if id == "" {
			return cli.Usage(cmd, errors.New("--token-id is required; 'spl token list' tells it"))
		}
		if err := notAToken(id); err != nil {
			return cli.Usage(cmd, err)
		}
		return a.asking(func(cmd *cobra.Command, s *session, _ []string) error {
			done, err := s.revoke(cmd, account, id, reason)
			if err != nil {
				return err
			}
			if s.tokenID() == id {
				a.tell(cmd, "it was the token of the %s", a.sourceName(s.dir, s.source))
			}
			return a.answer(cmd, done, "revoked token "+id)
		})(cmd, args)
	}
	return cmd
}

// revoke revokes one token.
func (s *session) revoke(cmd *cobra.Command, account, id, reason string) (splclient.Revoked, error) {
	params := &splclient.RevokeTokenParams{Reason: given(reason)}
	return remote.Read[splclient.Revoked](s.RevokeToken(cmd.Context(), account, id, params))
}

func (a *app) listTokens() *cobra.Command {
	var account string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show every token, whose it is and when it was minted",
		Long: `Show every token that was ever issued, revoked ones too: the service account that it belongs to, its beginning without the
secret, when it was minted and when it was last used.`,
		Example: `  spl token list
  spl token list --sa <sa_id> -o json`,
		Args: cli.Arguments(),
	}
	addAccount(cmd, &account, "only tokens of this service account")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := notAToken(account); err != nil {
			return cli.Usage(cmd, err)
		}
		return a.asking(func(cmd *cobra.Command, s *session, _ []string) error {
			list, err := s.listTokens(cmd, account)
			if err != nil {
				return err
			}
			rows := table.New("TOKEN", "ACCOUNT", "STATUS", "SCOPES", "CREATED", "LAST USED", "TOKEN ID")
			for _, one := range list {
				rows.Row(one.Prefix, one.ServiceAccountName, tokenStatus(one), joinScopes(one.Scopes), moment(&one.CreatedAt),
					orNever(moment(one.LastUsedAt)), one.TokenID)
			}
			if rows.Empty() {
				a.tell(cmd, "no token yet: spl token mint --sa <sa_id>")
			}
			return a.answerTable(cmd, list, rows)
		})(cmd, args)
	}
	return cmd
}

// listTokens returns the tokens of an account, or all, the oldest first.
func (s *session) listTokens(cmd *cobra.Command, account string) ([]splclient.Token, error) {
	if account == "" {
		return remote.Read[[]splclient.Token](s.ListTokens(cmd.Context(), nil))
	}
	return remote.Read[[]splclient.Token](s.ListAccountTokens(cmd.Context(), account, nil))
}

func tokenStatus(one splclient.Token) string {
	if one.Status == splclient.TokenStatusRevoked {
		return "REVOKED"
	}
	return "active"
}

func orNever(text string) string {
	if text == "" {
		return "never"
	}
	return text
}

// addAccount gives cmd the flag that names a service account.
func addAccount(cmd *cobra.Command, account *string, usage string) {
	cmd.Flags().StringVar(account, "sa", "", usage)
}

// needAccount refuses a --sa that was not given, or that is a token.
func needAccount(account string) error {
	if account == "" {
		return errors.New("--sa is required; 'spl service-account list' tells the ids")
	}
	return notAToken(account)
}

func checkEnv(env string) error {
	if err := apikey.CheckEnv(env); err != nil {
		return fmt.Errorf("--env-tag %w", err)
	}
	return nil
}
