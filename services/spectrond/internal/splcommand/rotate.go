package splcommand

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
	"github.com/spectron-hq/spectron/services/spectrond/internal/remote"
	"github.com/spectron-hq/spectron/services/spectrond/internal/splclient"
)

// rotation are the flags of rotate.
type rotation struct{ account, env, reason string }

func (a *app) rotateTokens() *cobra.Command {
	var f rotation
	cmd := &cobra.Command{
		Use:   "rotate <sa_id>",
		Short: "Mint a new token, then revoke every earlier one of the account",
		Long: `Mint a new token of a service account, print it alone on standard output, and then revoke every earlier one of the account.

It never locks you out: the new token is there before anything is revoked, and the one that this command itself uses goes
last. If some earlier token could not be revoked, both are live: this command then exits with 1, and lists what to type.

The saved token is left as it is: save the new one with 'spl token save'.`,
		Example: `  spl token rotate <sa_id>
  spl token rotate <sa_id> --reason "every quarter" | spl token save -`,
		Args: idArguments("sa_id"),
	}
	addEnvTag(cmd, &f.env)
	addReason(cmd, &f.reason)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkEnv(f.env); err != nil {
			return cli.Usage(cmd, err)
		}
		f.account = args[0]
		return a.asking(func(cmd *cobra.Command, s *session, _ []string) error { return a.runRotate(cmd, s, f) })(cmd, args)
	}
	return cmd
}

func (a *app) runRotate(cmd *cobra.Command, s *session, f rotation) error {
	if a.output.forPrograms() && s.account() == f.account {
		return cli.Usage(cmd, errors.New("the new token is not shown with -o json, and the one in use here would be revoked: rotate in text"))
	}
	minted, err := remote.Read[splclient.MintedToken](
		s.MintToken(cmd.Context(), f.account, nil, splclient.NewToken{EnvTag: &f.env, Reason: given(f.reason)}))
	if err != nil {
		return err
	}
	// It is out before anything else can go wrong. Without it nothing may be revoked.
	if err := a.showToken(cmd, minted); err != nil {
		return fmt.Errorf("token %s was minted, but could not be shown, so nothing was revoked: %w", minted.TokenID, err)
	}
	if a.output.forPrograms() {
		a.tell(cmd, "the new token is not shown with -o json: to have one, rotate again in text")
	}
	earlier, err := s.earlier(cmd, minted)
	if err != nil {
		return &cli.AdvisedError{
			Err:    fmt.Errorf("the new token is live, and so are the earlier ones: %w", err),
			Advice: []string{"see them with: spl token list --sa " + f.account, "or rotate again"},
		}
	}
	return a.revokeEarlier(cmd, s, f, earlier)
}

// earlier returns the ids of the live tokens that were minted before one, that of the session last. One that came later is
// another rotation's, which takes care of this one.
func (s *session) earlier(cmd *cobra.Command, minted splclient.MintedToken) ([]string, error) {
	list, err := s.listTokens(cmd, minted.ServiceAccountID)
	if err != nil {
		return nil, err
	}
	own := s.tokenID()
	if own == "" && s.account() == minted.ServiceAccountID && len(list) > 0 {
		own = list[0].TokenID // a chosen token does not tell its id: it is the first of its account
	}
	var ids []string
	last := false
	for _, one := range list {
		switch {
		case one.TokenID == minted.TokenID:
			if last {
				ids = append(ids, own)
			}
			return ids, nil
		case one.Status != splclient.TokenStatusActive:
		case one.TokenID == own:
			last = true
		default:
			ids = append(ids, one.TokenID)
		}
	}
	return nil, errors.New("the list lacks the new token")
}

// revokeEarlier revokes tokens one by one, whatever becomes of the ones before, and lists those that are left.
func (a *app) revokeEarlier(cmd *cobra.Command, s *session, f rotation, ids []string) error {
	var failures []error
	var left []string
	for _, id := range ids {
		if _, err := s.revoke(cmd, f.account, id, f.reason); err != nil {
			failures = append(failures, err)
			left = append(left, "  spl token revoke --sa "+f.account+" --token-id "+id)
		}
	}
	revoked := len(ids) - len(left)
	a.tell(cmd, "revoked %d earlier token(s) of %s", revoked, f.account)
	if s.account() == f.account && len(left) == 0 {
		a.tell(cmd, "the token of the %s was one of them; to use the new one: spl token save <token>", a.sourceName(s.dir, s.source))
	}
	if len(left) == 0 {
		return nil
	}
	return &cli.AdvisedError{
		Err:    fmt.Errorf("the new token is live, and so are %d earlier one(s): %w", len(left), failures[0]),
		Advice: append([]string{"to revoke them (with the new token, if yours is dead):"}, left...),
	}
}
