package splcommand

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/spectron/table"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
	"github.com/spectron-hq/spectron/services/spectrond/internal/remote"
	"github.com/spectron-hq/spectron/services/spectrond/internal/splclient"
)

func (a *app) accounts() *cobra.Command {
	return cli.Group(&cobra.Command{
		Use:     "service-account",
		Aliases: []string{"service-accounts", "sa"},
		Short:   "Make, show, edit and revoke service accounts",
		Long: `A service account is who tokens belong to. It has a name, scopes (what its tokens may do) and actors (the identities that
its tokens may claim, compared exactly). A token keeps the scopes that its account had when it was minted; the actors are
looked at on every request.

Scopes:
  records:read       GET /v1/records, GET /v1/threads/*
  records:write      POST /v1/records
  threads:write      POST /v1/threads, DELETE /v1/threads/{id}
  federation:manage  all of /v1/sync/*, /v1/federation/*, /v1/discovery/*
  config:read        GET /v1/config/*
  config:write       POST /v1/config/*
  admin              everything, service accounts and tokens among it`,
		Example: `  spl service-account create --bootstrap --name admin --actors did:sync:user:$(whoami) --scopes admin --with-token
  spl service-account create --name grafana --actors did:sync:svc:grafana --scopes records:read --with-token
  spl service-account list
  spl service-account revoke <sa_id>`,
	}, a.createAccount(), a.listAccounts(), a.describeAccount(), a.editAccount(), a.revokeAccount())
}

func (a *app) listAccounts() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Show every service account and its scopes",
		Long:  "Show every service account and its scopes, revoked ones too. Paired devices are service accounts like any other.",
		Example: `  spl service-account list
  spl service-account list -o json`,
		Args: cli.Arguments(),
		RunE: a.asking(func(cmd *cobra.Command, s *session, _ []string) error {
			list, err := remote.Read[[]splclient.ServiceAccount](s.ListServiceAccounts(cmd.Context(), nil))
			if err != nil {
				return err
			}
			rows := table.New("ID", "NAME", "SCOPES", "ACTORS", "STATUS", "TOKENS", "CREATED")
			for _, one := range list {
				rows.Row(one.ID, one.Name, joinScopes(one.Scopes), orNone(one.Actors), accountStatus(one), strconv.Itoa(one.Tokens), moment(&one.CreatedAt))
			}
			if rows.Empty() {
				a.tell(cmd, "no service account yet: spl service-account create --bootstrap --name admin --actors %s --scopes admin --with-token", s.actor)
			}
			return a.answerTable(cmd, list, rows)
		}),
	}
}

func (a *app) describeAccount() *cobra.Command {
	return &cobra.Command{
		Use:     "describe <sa_id>",
		Aliases: []string{"show", "get"},
		Short:   "Show one service account",
		Long:    "Show one service account: what its tokens may do, as whom, and whether it is revoked.",
		Example: "  spl service-account describe sa_4hq2vx7kzn3mw5ry",
		Args:    idArguments("sa_id"),
		RunE: a.asking(func(cmd *cobra.Command, s *session, args []string) error {
			one, err := remote.Read[splclient.ServiceAccount](s.GetServiceAccount(cmd.Context(), args[0], nil))
			if err != nil {
				return err
			}
			return a.answerTable(cmd, one, accountFields(one))
		}),
	}
}

// accountFields shows an account to people.
func accountFields(one splclient.ServiceAccount) *table.Table {
	fields := table.New()
	fields.Field("ID", one.ID)
	fields.Field("NAME", one.Name)
	fields.Field("DID", one.Did)
	fields.Field("SCOPES", joinScopes(one.Scopes))
	fields.Field("ACTORS", orNone(one.Actors))
	fields.Field("STATUS", accountStatus(one))
	fields.Field("LIVE TOKENS", strconv.Itoa(one.Tokens))
	fields.Field("CREATED", moment(&one.CreatedAt))
	fields.Field("REVOKED", moment(one.RevokedAt))
	fields.Field("REASON", deref(one.Reason))
	return fields
}

func (a *app) editAccount() *cobra.Command {
	var name string
	var actors, scopes []string
	cmd := &cobra.Command{
		Use:   "edit <sa_id>",
		Short: "Change the name, the actors or the scopes of a service account",
		Long: `Change a service account. What is given replaces what was there; what is not given stays.

Actors count from the next request on, for every token of the account. Scopes count for tokens minted later: one that was
minted keeps the scopes of that moment.`,
		Example: `  spl service-account edit <sa_id> --actors did:sync:user:$(whoami)
  spl service-account edit <sa_id> --scopes records:read,threads:write && spl token rotate <sa_id>`,
		Args: idArguments("sa_id"),
	}
	cmd.Flags().StringVar(&name, "name", "", "another display name")
	cmd.Flags().StringSliceVar(&actors, "actors", nil, "identities that its tokens may claim from now on, separated by commas; '' for none")
	addScopes(cmd, &scopes, "scopes of tokens minted from now on, separated by commas")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var edit splclient.ServiceAccountEdit
		if cmd.Flags().Changed("name") {
			edit.Name = &name
		}
		if cmd.Flags().Changed("actors") {
			edit.Actors = new(tidy(actors))
		}
		if cmd.Flags().Changed("scopes") {
			known, err := parseScopes(scopes)
			if err != nil {
				return cli.Usage(cmd, err)
			}
			edit.Scopes = &known
		}
		if edit == (splclient.ServiceAccountEdit{}) {
			return cli.Usage(cmd, errors.New("nothing to change: give --name, --actors or --scopes"))
		}
		return a.asking(func(cmd *cobra.Command, s *session, args []string) error {
			return a.runEdit(cmd, s, args[0], edit)
		})(cmd, args)
	}
	return cmd
}

func (a *app) runEdit(cmd *cobra.Command, s *session, id string, edit splclient.ServiceAccountEdit) error {
	one, err := remote.Read[splclient.ServiceAccount](s.EditServiceAccount(cmd.Context(), id, nil, edit))
	if err != nil {
		return err
	}
	if edit.Scopes != nil && one.Tokens > 0 {
		a.tell(cmd, "tokens minted before keep the scopes of their mint; to replace them: spl token rotate %s", id)
	}
	if edit.Actors != nil && len(*edit.Actors) == 0 {
		a.warnOfNoActors(cmd, id, false)
	}
	return a.answerTable(cmd, one, accountFields(one))
}

func (a *app) revokeAccount() *cobra.Command {
	var reason string
	var yes bool
	cmd := &cobra.Command{
		Use:   "revoke <sa_id>",
		Short: "Revoke a service account and every token of it, for good",
		Long: `Revoke a service account. Every token ever issued for it is dead from its next request on, and none can be minted any more.
This is irreversible. It is what to do when a laptop was stolen, or when an identity retires.

To replace the tokens of an account that stays, see 'spl token rotate'; to kill one token of it, 'spl token revoke'.`,
		Example: `  spl service-account revoke <sa_id>
  spl service-account revoke <sa_id> --reason "laptop stolen" --yes`,
		Args: idArguments("sa_id"),
		RunE: a.asking(func(cmd *cobra.Command, s *session, args []string) error {
			if !yes {
				if err := a.confirm(cmd, fmt.Sprintf("Revoke %s and every token of it, for good?", args[0])); err != nil {
					return err
				}
			}
			params := &splclient.RevokeServiceAccountParams{Reason: given(reason)}
			done, err := remote.Read[splclient.Revoked](s.RevokeServiceAccount(cmd.Context(), args[0], params))
			if err != nil {
				return err
			}
			if s.account() == args[0] {
				a.tell(cmd, "the token of the %s was one of its: it is dead", a.sourceName(s.dir, s.source))
			}
			return a.answer(cmd, done, "revoked service account "+args[0]+" and every token of it")
		}),
	}
	addReason(cmd, &reason)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func accountStatus(one splclient.ServiceAccount) string {
	if one.Revoked || !one.Active {
		return "REVOKED"
	}
	return "active"
}

// addReason gives cmd the flag that tells the audit why.
func addReason(cmd *cobra.Command, reason *string) {
	cmd.Flags().StringVar(reason, "reason", "", "why, for the audit")
}

// addScopes gives cmd the flag of scopes.
func addScopes(cmd *cobra.Command, scopes *[]string, usage string) {
	cmd.Flags().StringSliceVar(scopes, "scopes", nil, usage)
	names := make([]string, 0, len(grant.Scopes()))
	for _, scope := range grant.Scopes() {
		names = append(names, string(scope))
	}
	// It fails only for a flag that does not exist.
	_ = cmd.RegisterFlagCompletionFunc("scopes", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
}

// parseScopes refuses what is none of the seven scopes.
func parseScopes(texts []string) ([]string, error) {
	known := tidy(texts)
	for _, text := range known {
		if _, err := grant.ParseScope(text); err != nil {
			return nil, err
		}
	}
	if len(known) == 0 {
		return nil, fmt.Errorf("no scope given; the scopes are %v", grant.Scopes())
	}
	return known, nil
}

// tidy returns texts without the blanks around them, the empty ones and those that came before.
func tidy(texts []string) []string {
	out, seen := []string{}, map[string]bool{}
	for _, text := range texts {
		if text = strings.TrimSpace(text); text != "" && !seen[text] {
			out, seen[text] = append(out, text), true
		}
	}
	return out
}

// idArguments accepts exactly the arguments with the given names, none of which may be a token.
func idArguments(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := cli.Arguments(names...)(cmd, args); err != nil {
			return err
		}
		for _, arg := range args {
			if err := notAToken(arg); err != nil {
				return cli.Usage(cmd, err)
			}
		}
		return nil
	}
}

func joinScopes(scopes []splclient.Scope) string {
	texts := make([]string, len(scopes))
	for i, scope := range scopes {
		texts[i] = string(scope)
	}
	return strings.Join(texts, ",")
}

func orNone(texts []string) string {
	if len(texts) == 0 {
		return "none"
	}
	return strings.Join(texts, ",")
}

// moment shows t to people; nothing when there is no such moment.
func moment(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// given returns text, or nothing for an empty one.
func given(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
