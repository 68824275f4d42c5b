package splcommand

import (
	"context"
	"errors"
	"fmt"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
	"github.com/spectron-hq/spectron/services/spectrond/internal/daemon"
	"github.com/spectron-hq/spectron/services/spectrond/internal/remote"
	"github.com/spectron-hq/spectron/services/spectrond/internal/splclient"
	"github.com/spectron-hq/spectron/services/spectrond/internal/statedir"
)

// examineDaemon checks the daemon, and what the token opens there.
func (a *app) examineDaemon(ctx context.Context, s *session) []finding {
	answers := examineAnswer(ctx, s)
	if answers.Verdict == fail {
		return []finding{answers}
	}
	return append([]finding{answers}, a.examineAccess(ctx, s)...)
}

func examineAnswer(ctx context.Context, s *session) finding {
	const check = "daemon"
	if err := s.alive(); err != nil {
		return finding{check, fail, cli.Describe(err), "spl serve --daemon"}
	}
	if err := daemon.Healthy(ctx, s.url); err != nil {
		fix := "spl serve --daemon"
		if s.urlOrigin == urlVariable {
			fix = "unset " + urlVariable + ", or start the daemon there"
		}
		return finding{check, fail, fmt.Sprintf("%s (from %s) does not answer", s.url, s.urlOrigin), fix}
	}
	if _, err := remote.Read[splclient.Manifest](s.GetManifest(ctx)); err != nil {
		return finding{
			check, fail, fmt.Sprintf("something answers at %s (from %s), but it is no daemon of spl: the port is taken", s.url, s.urlOrigin),
			"spl serve --daemon --port <another>",
		}
	}
	return finding{check, pass, fmt.Sprintf("%s (from %s) answers", s.url, s.urlOrigin), ""}
}

// examineAccess checks whether the daemon asks who one is, and what it says to the token and to the actor.
func (a *app) examineAccess(ctx context.Context, s *session) []finding {
	const mode, token = "authentication", "token accepted"
	anonymous, err := remote.New(remote.Config{URL: s.url, Actor: s.actor, Agent: "spl/" + a.version})
	if err != nil {
		return []finding{{mode, fail, err.Error(), "spl token show-source"}}
	}
	if _, err := remote.Read[splclient.Identity](anonymous.GetIdentity(ctx, nil)); err == nil {
		return []finding{{
			mode, warn, "off: whatever reaches " + s.url + " may do everything", "spl serve --stop && spl serve --daemon",
		}}
	}
	findings := []finding{{mode, pass, "required", ""}}
	who, err := remote.Read[splclient.Identity](s.GetIdentity(ctx, nil))
	if err != nil {
		return append(findings, a.examineRefusal(s, err)...)
	}
	findings = append(findings, finding{token, pass, "the daemon accepts it", ""}, finding{"actor", pass, s.actor + " may be claimed", ""})
	return append(findings, examineScopes(who, s))
}

// examineRefusal says what the daemon does not like: the token, the actor, or something that it does not say.
func (a *app) examineRefusal(s *session, err error) []finding {
	const token, actor = "token accepted", "actor"
	refusal, _ := errors.AsType[*fault.Error](err)
	if refusal == nil {
		return []finding{{token, fail, cli.Describe(err), "spl doctor"}}
	}
	switch refusal.Code {
	case remote.CodeAuthRequired:
		return []finding{{token, fail, "there is no token to send", "spl token save <token>"}}
	case remote.CodeAuthInvalid:
		fix := "spl token save <token>, or, if it is lost: spl serve --stop && spl serve --daemon --insecure-localhost && spl token rotate <sa_id>"
		return []finding{{token, fail, "the daemon does not accept " + masked(s.token) + ": it is revoked, damaged, or another daemon's", fix}}
	case remote.CodeClaimDenied:
		return []finding{
			{token, pass, "the daemon accepts it", ""},
			{
				actor, fail, "the account does not allow " + s.actor,
				"spl service-account edit " + s.account() + " --actors " + s.actor + " (as an admin), or export " + statedir.ActorVariable + "=<one that it allows>",
			},
		}
	default:
		return []finding{{token, fail, cli.Describe(err), "spl serve --logs"}}
	}
}

func examineScopes(who splclient.Identity, s *session) finding {
	const check = "scopes"
	if len(who.Scopes) == 0 {
		return finding{check, warn, "the token may do nothing", "spl service-account edit " + s.account() + " --scopes <scopes> && spl token mint --sa " + s.account()}
	}
	return finding{check, pass, joinScopes(who.Scopes), ""}
}
