package splcommand

import (
	"errors"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
	"github.com/spectron-hq/spectron/services/spectrond/internal/remote"
	"github.com/spectron-hq/spectron/services/spectrond/internal/statedir"
)

// recovery is the way back to a token for who has a shell on the daemon's machine.
var recovery = []string{
	"  spl serve --stop",
	"  spl serve --daemon --insecure-localhost",
	"  spl service-account list",
	"  spl token rotate <sa_id>",
	"  spl token save <token>",
	"  spl serve --stop",
	"  spl serve --daemon",
}

// advise adds to a refusal what the user can do about it.
func (a *app) advise(s *session, err error) error {
	refusal, ok := errors.AsType[*fault.Error](err)
	if !ok || errors.As(err, new(*cli.UsageError)) {
		return err
	}
	if advice := a.advice(s, refusal); len(advice) > 0 {
		return &cli.AdvisedError{Err: err, Advice: advice}
	}
	return err
}

func (a *app) advice(s *session, refusal *fault.Error) []string {
	switch refusal.Code {
	case remote.CodeUnreachable:
		return a.adviseUnreachable(s)
	case remote.CodeNotADaemon:
		return []string{"the URL is " + s.url + ", from " + s.urlOrigin}
	case remote.CodeAuthRequired:
		return append([]string{"no token: spl token save <token>, or set " + tokenVariable + ", or give --token"}, lost(s)...)
	case remote.CodeAuthInvalid:
		return a.adviseInvalid(s)
	case remote.CodeScopeForbidden:
		return adviseScope(s, refusal.RequiredScope)
	case remote.CodeClaimDenied:
		return a.adviseClaim(s)
	case remote.CodeBootstrapClosed:
		return append([]string{"there is a service account already: with its token, create more without --bootstrap"}, lost(s)...)
	case remote.CodePermissionDenied:
		return advisePermission(s)
	case remote.CodePermissionsLockout:
		return []string{"see what there is: spl config rules list permission-rules", "let yourself in: spl config add-permission-rule --name operator " +
			"--action allow --priority 100 --expression 'current_actor() == \"" + s.actor + "\"'"}
	case remote.CodeNamespaceRejected:
		return []string{"leave --namespace away, or give it the one that the daemon has"}
	default:
		return nil
	}
}

func (a *app) adviseUnreachable(s *session) []string {
	lines := []string{"the URL is " + s.url + ", from " + s.urlOrigin}
	if s.urlOrigin == urlVariable && !s.local() {
		return lines
	}
	return append(lines, "start it: spl serve --daemon", "or ask what is wrong: spl doctor")
}

// lost tells who lost the token how to come by another.
func lost(s *session) []string {
	if !s.local() {
		return []string{"if the token is lost, ask whoever runs " + s.url + " for another"}
	}
	return append([]string{"if the token is lost and this is your machine:"}, recovery...)
}

func (a *app) adviseInvalid(s *session) []string {
	lines := []string{"the token sent is that of the " + a.sourceName(s.dir, s.source) + ": " + masked(s.token)}
	if saved, err := s.dir.ReadToken(); err == nil && saved != "" && saved != s.token {
		instead := "unset " + tokenVariable
		if s.source == tokenOfFlag {
			instead = "leave --token away"
		}
		lines = append(lines, "it hides the saved one: to use that, "+instead)
	}
	return append(append(lines, "if you have another: spl token save <token>"), lost(s)...)
}

func adviseScope(s *session, scope string) []string {
	if scope == "" {
		return nil
	}
	account := s.account()
	if account == "" {
		account = "<sa_id>"
	}
	return []string{
		"required scope: " + scope,
		"a token keeps the scopes that its account had at the mint; as an admin, widen the account and mint another:",
		"  spl service-account edit " + account + " --scopes <those it has>," + scope,
		"  spl token mint --sa " + account,
	}
}

func (a *app) adviseClaim(s *session) []string {
	account := s.account()
	if account == "" {
		account = "<sa_id>"
	}
	lines := []string{
		"claimed actor: " + s.actor,
		"to act as one that the account allows, set " + statedir.ActorVariable + "; or, as an admin, allow it (the list is replaced):",
		"  spl service-account edit " + account + " --actors <those it has>," + s.actor,
	}
	if s.local() {
		lines = append(lines, "if no token of yours can do that, do it without authentication, between these:",
			"  spl serve --stop", "  spl serve --daemon --insecure-localhost", "  ...", "  spl serve --stop", "  spl serve --daemon")
	}
	return lines
}

// notAToken refuses a token where an id is meant: it would end up in a URL, and so in logs.
func notAToken(id string) error {
	if !apikey.IsToken(id) {
		return nil
	}
	if token, err := apikey.ParseToken(id); err == nil {
		return errors.New("that is a token, not an id: its account is " + token.Account() + ", and 'spl token info' tells the rest")
	}
	return errors.New("that is a token, not an id")
}

// advisePermission tells whom the permission rules keep out how to turn them off.
func advisePermission(s *session) []string {
	if !s.local() {
		return []string{"ask whoever runs " + s.url + ": its log names the rule"}
	}
	return []string{
		"the log names the rule: spl serve --logs --no-follow",
		"if the rules keep you out of what you need to mend them, and this is your machine:",
		"  spl serve --stop", "  spl config permissions-unlock", "  spl serve --daemon",
	}
}
