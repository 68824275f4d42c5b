// Package remote speaks to a daemon over its spl face. It promises that the token goes to the daemon that was named and nowhere
// else, redirects included; that every answer but a success is a [fault.Error] with the code of that face; and that no error
// holds the token.
package remote

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/settings"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/spectrond/internal/splclient"
)

// The codes of failures that no daemon has told.
const (
	// CodeUnreachable: nobody listens there.
	CodeUnreachable = "DAEMON_UNREACHABLE"
	// CodeNotADaemon: somebody listens there who does not speak as a daemon does.
	CodeNotADaemon = "NOT_A_DAEMON"
)

// The codes that a daemon refuses with and that commands have an answer to.
const (
	CodeAuthRequired       = "AUTH_REQUIRED"
	CodeAuthInvalid        = "AUTH_INVALID"
	CodeScopeForbidden     = "SCOPE_FORBIDDEN"
	CodeClaimDenied        = "DID_CLAIM_DENIED"
	CodeNamespaceRejected  = "NAMESPACE_REJECTED"
	CodePermissionDenied   = "PERMISSION_DENIED"
	CodePermissionsLockout = "PERMISSIONS_LOCKOUT"
	CodeBootstrapClosed    = "BOOTSTRAP_CLOSED"
)

const (
	// DefaultURL is where a daemon serves unless told otherwise.
	DefaultURL = "http://127.0.0.1:9100"

	actorHeader = "X-Syncropel-Actor"
	maxAnswer   = 32 << 20
	timeout     = 60 * time.Second // a revocation may wait for verifiers, a long poll half a minute
)

// Config says which daemon to speak to, and as whom.
type Config struct {
	URL string
	// Token is sent as the bearer; empty for none.
	Token settings.Secret
	// Actor is the identity that is claimed; empty for none.
	Actor string
	// Agent is what the daemon is told to be called by.
	Agent string
}

// Daemon is a daemon to speak to. Its methods send one request each; [Read] reads the answer.
type Daemon struct {
	*splclient.Client
}

// New returns the daemon at cfg.URL. Errors: fault.Invalid when that is no URL of a server, or the credentials cannot be sent.
func New(cfg Config) (*Daemon, error) {
	base, err := baseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{"token": cfg.Token.Reveal(), "actor": cfg.Actor} {
		if strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return nil, fault.InvalidField(name, "must not hold spaces, line ends or anything but ASCII")
		}
	}
	client, err := splclient.NewClient(base, splclient.WithHTTPClient(&sender{cfg: cfg, base: base, client: &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}))
	if err != nil {
		return nil, fmt.Errorf("preparing the client: %w", err)
	}
	return &Daemon{Client: client}, nil
}

// baseURL checks the URL of a server and returns it without a slash at its end.
func baseURL(text string) (string, error) {
	parsed, err := url.Parse(text)
	switch {
	case err != nil, parsed.Scheme != "http" && parsed.Scheme != "https", parsed.Host == "":
		return "", fault.InvalidField("url", "want http://host:port or https://host")
	case parsed.User != nil, parsed.RawQuery != "", parsed.Fragment != "":
		return "", fault.InvalidField("url", "must hold no user, query or fragment")
	}
	return strings.TrimRight(text, "/"), nil
}

// sender sends requests with the credentials and makes errors of refusals.
type sender struct {
	cfg    Config
	base   string
	client *http.Client
}

// Do sends req once. Nothing is repeated: whoever typed the command decides that.
func (s *sender) Do(req *http.Request) (*http.Response, error) {
	req.Header.Set("Accept", "application/json, "+fault.ContentType)
	req.Header.Set("User-Agent", s.cfg.Agent)
	if s.cfg.Token != "" {
		req.Header.Set("Authorization", "Bearer "+s.cfg.Token.Reveal())
	}
	if s.cfg.Actor != "" {
		req.Header.Set(actorHeader, s.cfg.Actor)
	}
	resp, err := s.client.Do(req) //nolint:gosec // the user names the daemon
	if err != nil {
		return nil, s.unanswered(req, err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return nil, s.unanswered(req, err)
	}
	return nil, s.refusal(resp, body)
}

// unanswered explains a request that got no answer.
func (s *sender) unanswered(req *http.Request, cause error) error {
	if err := req.Context().Err(); err != nil {
		return fmt.Errorf("asking %s: %w", s.base, err)
	}
	if outer, ok := errors.AsType[*url.Error](cause); ok { // it repeats the method and the URL
		cause = outer.Err
	}
	e := fault.New(fault.Unavailable, "%s does not answer", s.base).Because(cause)
	if errors.Is(cause, syscall.ECONNREFUSED) {
		e = fault.New(fault.Unavailable, "no daemon at %s", s.base)
	}
	e.Code = CodeUnreachable
	return e
}

// refusal turns an answer that is no success into an error.
func (s *sender) refusal(resp *http.Response, body []byte) error {
	var problem fault.Problem
	explained := json.Unmarshal(body, &problem) == nil
	e := problem.Err(resp.StatusCode)
	if !explained || e.Message == "" {
		return &fault.Error{
			Kind: fault.Unavailable, Code: CodeNotADaemon,
			Message: fmt.Sprintf("%s answered %s and no reason: it is no daemon of spl, or behind something else", s.base, resp.Status),
		}
	}
	if e.Code == CodeBootstrapClosed {
		e.Kind = fault.AlreadyDone
	}
	return e
}

// Read reads the answer of a request: remote.Read[splclient.Identity](daemon.GetIdentity(…)).
func Read[T any](resp *http.Response, err error) (T, error) {
	var out T
	if err != nil {
		return out, err
	}
	defer func() { _ = resp.Body.Close() }() // everything was read, or the error is told
	decoder := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer))
	if err := decoder.Decode(&out); err != nil {
		return out, (&fault.Error{
			Kind: fault.Unavailable, Code: CodeNotADaemon, Message: "the answer is not that of a daemon of spl; is the URL right?",
		}).Because(err)
	}
	return out, nil
}
