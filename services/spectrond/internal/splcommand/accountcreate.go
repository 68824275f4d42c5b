package splcommand

import (
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
	"github.com/spectron-hq/spectron/services/spectrond/internal/remote"
	"github.com/spectron-hq/spectron/services/spectrond/internal/splclient"
)

// newAccount are the flags of a command that makes a service account.
type newAccount struct {
	name, env       string
	actors, scopes  []string
	bootstrap, mint bool
}

func (a *app) createAccount() *cobra.Command {
	var f newAccount
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a service account",
		Long: `Make a service account. With --with-token its first token is minted as well, and printed this once: it is stored nowhere.
With -o json the token is not printed, so that it does not end up in a log: mint one in text.

The first account of all is made with --bootstrap, which needs no token and works only while there is none. Every other one
needs a token with the scope admin.

An account without actors can be made, and is of no use: every request with a token of it is refused.`,
		Example: `  spl service-account create --bootstrap --name admin --actors did:sync:user:$(whoami) --scopes admin --with-token
  spl service-account create --name grafana --actors did:sync:svc:grafana --scopes records:read --with-token
  spl service-account create --name phone --actors did:sync:user:ada,did:sync:user:bob --scopes records:write --env-tag staging`,
		Args: cli.Arguments(),
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.bootstrap, "bootstrap", false, "make the first account, without a token; works only while there is none")
	flags.StringVar(&f.name, "name", "", "display name, for people to recognise (required)")
	flags.StringSliceVar(&f.actors, "actors", nil, "identities that its tokens may claim, separated by commas; without any they may do nothing")
	addScopes(cmd, &f.scopes, "what its tokens may do, separated by commas (default records:read,records:write)")
	flags.BoolVar(&f.mint, "with-token", false, "mint a token, and print it this once")
	addEnvTag(cmd, &f.env)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		body, err := f.request()
		if err != nil {
			return cli.Usage(cmd, err)
		}
		if a.namespace != "" {
			body.Namespace = &a.namespace
		}
		return a.asking(func(cmd *cobra.Command, s *session, _ []string) error { return a.runCreate(cmd, s, f.bootstrap, body) })(cmd, args)
	}
	return cmd
}

// request checks the flags and says what is asked for.
func (f *newAccount) request() (splclient.NewServiceAccount, error) {
	if f.name == "" {
		return splclient.NewServiceAccount{}, errors.New("--name is required")
	}
	if err := apikey.CheckEnv(f.env); err != nil {
		return splclient.NewServiceAccount{}, errors.New("--env-tag " + err.Error())
	}
	body := splclient.NewServiceAccount{Name: &f.name, WithToken: &f.mint, EnvTag: &f.env, Actors: new(tidy(f.actors))}
	if f.scopes != nil {
		scopes, err := parseScopes(f.scopes)
		if err != nil {
			return splclient.NewServiceAccount{}, err
		}
		body.Scopes = &scopes
	}
	return body, nil
}

func (a *app) runCreate(cmd *cobra.Command, s *session, bootstrap bool, body splclient.NewServiceAccount) error {
	made, err := a.create(cmd, s, bootstrap, body)
	if err != nil {
		return err
	}
	token := deref(made.Token)
	made.Token = nil
	if a.output.forPrograms() {
		if err := a.encode(cmd, made); err != nil {
			return err
		}
	} else {
		fields := accountFields(plain(made))
		fields.Field("TOKEN ID", deref(made.TokenID))
		fields.Field("TOKEN", token)
		if err := a.answerTable(cmd, made, fields); err != nil {
			return unshown(made.ID, err)
		}
	}
	a.afterCreate(cmd, s, bootstrap, made, token != "")
	return nil
}

// create asks for the account.
func (a *app) create(cmd *cobra.Command, s *session, bootstrap bool, body splclient.NewServiceAccount) (splclient.CreatedServiceAccount, error) {
	if bootstrap {
		return remote.Read[splclient.CreatedServiceAccount](s.BootstrapServiceAccount(cmd.Context(), body))
	}
	return remote.Read[splclient.CreatedServiceAccount](s.CreateServiceAccount(cmd.Context(), nil, body))
}

// afterCreate says what comes next, and what will not work.
func (a *app) afterCreate(cmd *cobra.Command, s *session, bootstrap bool, made splclient.CreatedServiceAccount, minted bool) {
	switch {
	case minted && a.output.forPrograms():
		a.tell(cmd, "a token was minted, and is not shown with -o json; to have one: spl token rotate %s", made.ID)
	case minted:
		a.tell(cmd, "the token is shown this once and stored nowhere; to use it here: spl token save <token>")
	default:
		a.tell(cmd, "there is no token yet: spl token mint --sa %s", made.ID)
	}
	switch {
	case len(made.Actors) == 0:
		a.warnOfNoActors(cmd, made.ID, bootstrap)
	case deref(made.Warning) != "":
		a.tell(cmd, "warning: %s", *made.Warning)
	case bootstrap && !slices.Contains(made.Actors, s.actor):
		a.tell(cmd, "warning: your own commands claim %s, which this account may not; set SPL_ACTOR to one of its actors", s.actor)
	}
}

// warnOfNoActors says what comes of an account without actors, and how to recover.
func (a *app) warnOfNoActors(cmd *cobra.Command, id string, bootstrap bool) {
	a.tell(cmd, "warning: the service account has no actor allowlist (--actors).\n"+
		"  A token minted against it will not authorize any record writes: the DID claim check will fail on every request.\n"+
		"  The daemon will start in secure mode, but your CLI won't be able to do anything with it.\n"+
		"  Recovery: revoke the broken account and redo this with --actors set correctly:\n"+
		"    spl service-account revoke %s", id)
	if bootstrap {
		a.tell(cmd, "    spl service-account create --bootstrap --name admin --actors did:sync:user:$(whoami) --scopes admin --with-token\n"+
			"  both while the daemon runs with --insecure-localhost; otherwise, before them:\n"+
			"    spl serve --stop && spl serve --daemon --insecure-localhost")
	} else {
		a.tell(cmd, "  or give it actors:\n    spl service-account edit %s --actors <did>", id)
	}
}

// addEnvTag gives cmd the flag of the tag that a token bears.
func addEnvTag(cmd *cobra.Command, env *string) {
	cmd.Flags().StringVar(env, "env-tag", apikey.DefaultEnv, "tag that the token bears: where it is meant to be used")
}

// plain returns the account alone.
func plain(made splclient.CreatedServiceAccount) splclient.ServiceAccount {
	return splclient.ServiceAccount{
		ID: made.ID, Name: made.Name, Did: made.Did, Scopes: made.Scopes, Actors: made.Actors, Active: made.Active,
		Revoked: made.Revoked, Tokens: made.Tokens, CreatedAt: made.CreatedAt, RevokedAt: made.RevokedAt, Reason: made.Reason,
	}
}

// unshown says that a token was minted that nobody has seen.
func unshown(account string, err error) error {
	return errors.Join(errors.New("a token was minted, but could not be shown; to replace it: spl token rotate "+account), err)
}
