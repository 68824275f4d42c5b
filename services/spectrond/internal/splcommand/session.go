package splcommand

import (
	"errors"
	"net"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/spectrond/internal/cli"
	"github.com/spectron-hq/spectron/services/spectrond/internal/daemon"
	"github.com/spectron-hq/spectron/services/spectrond/internal/remote"
	"github.com/spectron-hq/spectron/services/spectrond/internal/splclient"
	"github.com/spectron-hq/spectron/services/spectrond/internal/statedir"
)

const (
	// urlVariable names the daemon that commands speak to.
	urlVariable = "SPL_SERVE_URL"
	// defaultNamespace is the namespace of a daemon that was told of no other.
	defaultNamespace = "default"
)

// session is one command's dealings with a daemon.
type session struct {
	*remote.Daemon
	dir statedir.Dir
	// url is the daemon, urlOrigin says who named it.
	url, urlOrigin string
	// ended says that the daemon that named the address is gone without a word: whoever answers there now is somebody else.
	ended  bool
	token  settings.Secret
	source tokenSource
	// actor is whom the command claims to act as.
	actor string
}

// connect finds the daemon and the credentials. It sends nothing.
func (a *app) connect(cmd *cobra.Command) (*session, error) {
	dir, err := a.home()
	if err != nil {
		return nil, err
	}
	s := &session{dir: dir}
	if err = a.target(s); err != nil {
		return nil, err
	}
	if s.token, s.source, err = a.findToken(dir); err != nil {
		return nil, err
	}
	config, err := dir.ReadConfig()
	if err != nil {
		return nil, err
	}
	if s.actor, err = config.Operator(a.environ); err != nil {
		return nil, err
	}
	s.Daemon, err = remote.New(remote.Config{URL: s.url, Token: s.token, Actor: s.actor, Agent: "spl/" + a.version})
	if err != nil {
		return nil, cli.Usage(cmd, a.misconfigured(s, err))
	}
	return s, nil
}

// target finds the daemon that commands speak to, and who says so.
func (a *app) target(s *session) error {
	if named := a.environ[urlVariable]; named != "" {
		s.url, s.urlOrigin = named, urlVariable
		return nil
	}
	run, err := s.dir.ReadRun()
	if errors.Is(err, statedir.ErrNotRunning) {
		s.url, s.urlOrigin = remote.DefaultURL, "the default"
		return nil
	}
	if err != nil {
		return err
	}
	s.url, s.urlOrigin = run.URL, "the daemon's own word in "+s.dir.Shown(s.dir.RunFile(), a.environ)
	_, running, err := daemon.Running(s.dir)
	s.ended = !running
	return err
}

// alive refuses to send anything to an address whose daemon is gone: the token is not for whoever listens there now.
func (s *session) alive() error {
	if !s.ended {
		return nil
	}
	return &fault.Error{
		Kind: fault.Unavailable, Code: remote.CodeUnreachable, Message: "the daemon is not running: the last one ended without a word",
	}
}

// misconfigured says where a setting comes from that cannot be used.
func (a *app) misconfigured(s *session, err error) error {
	found, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	switch found.Field {
	case "url":
		return errors.New(s.urlOrigin + ": " + found.Message)
	case "token":
		return errors.New("the token of " + a.sourceName(s.dir, s.source) + " " + strings.TrimPrefix(found.Message, "token: ") +
			"; save another, or be rid of it with 'spl token unset'")
	case "actor":
		return errors.New("the actor of " + statedir.ActorVariable + " or config.toml " + strings.TrimPrefix(found.Message, "actor: "))
	default:
		return err
	}
}

// local reports whether the daemon is on this machine, where the user may stop and start it.
func (s *session) local() bool {
	parsed, err := url.Parse(s.url)
	if err != nil {
		return false
	}
	ip := net.ParseIP(parsed.Hostname())
	return parsed.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// account returns the id of the service account that the token is of, as the token itself has it, or nothing.
func (s *session) account() string {
	token, err := apikey.ParseToken(s.token.Reveal())
	if err != nil {
		return ""
	}
	return token.Account()
}

// tokenID returns the id of the token, as the token itself has it, or nothing.
func (s *session) tokenID() string {
	token, err := apikey.ParseToken(s.token.Reveal())
	if err != nil {
		return ""
	}
	return token.ID()
}

// asking makes act the work of a command that speaks to a daemon. What goes wrong comes with advice.
func (a *app) asking(act func(cmd *cobra.Command, s *session, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		s, err := a.connect(cmd)
		if err != nil {
			return err
		}
		if err = s.alive(); err == nil {
			err = a.checkNamespace(cmd, s)
		}
		if err == nil {
			err = act(cmd, s, args)
		}
		return a.advise(s, err)
	}
}

// checkNamespace refuses a namespace that is not the daemon's: it has one, so most requests do not name it.
func (a *app) checkNamespace(cmd *cobra.Command, s *session) error {
	if a.namespace == "" || a.namespace == defaultNamespace {
		return nil
	}
	manifest, err := remote.Read[splclient.Manifest](s.GetManifest(cmd.Context()))
	if err != nil {
		return err
	}
	if served := manifest.CapabilitiesManifest.Namespace; served != a.namespace {
		return &fault.Error{
			Kind: fault.Forbidden, Code: remote.CodeNamespaceRejected,
			Message: "the daemon has no namespace " + a.namespace + ", only " + served,
		}
	}
	return nil
}

// sourceName is what people call where a token comes from.
func (a *app) sourceName(dir statedir.Dir, source tokenSource) string {
	switch source {
	case tokenOfFlag:
		return "--token flag"
	case tokenOfVariable:
		return tokenVariable + " env"
	case tokenOfFile:
		return dir.Shown(dir.Token(), a.environ) + " file"
	case tokenNone:
		return "nowhere"
	default:
		return "elsewhere"
	}
}

// shapeless is what is shown in the place of a token that has not the shape of one.
const shapeless = "not the shape of a token"

// masked shows whose a token is, and nothing of its secret.
func masked(token settings.Secret) string {
	parsed, err := apikey.ParseToken(token.Reveal())
	if err != nil {
		return shapeless
	}
	return parsed.Masked()
}
