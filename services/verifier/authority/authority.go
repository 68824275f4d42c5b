// Package authority is the client of the key manager's internal API. It speaks as a service, by service token, and never
// holds the text of a key.
package authority

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/verifier/servicetoken"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 20

// Config says where the key manager is and who asks.
type Config struct {
	// URL is the base URL of the key manager, such as http://keymanager:9091.
	URL string
	// ServiceSecret is shared with the key manager: at least introspection.MinServiceSecret bytes.
	ServiceSecret []byte
	// Subject names this replica in the key manager's log.
	Subject string
	// Transport carries the requests. If nil, a transport of its own with bounded waits is used.
	Transport http.RoundTripper
	// Wrap, if not nil, wraps whatever transport is used: it may tell the other side which request a question belongs to.
	Wrap func(http.RoundTripper) http.RoundTripper
}

// Client asks the key manager. It is safe for concurrent use.
type Client struct {
	base string
	http http.Client
	// patient waits longer for an answer: a change answers when it has reached every verifier.
	patient http.Client
	signer  *servicetoken.Signer
}

// New returns a Client, or the reason why cfg cannot work. It does not connect.
func New(cfg Config) (*Client, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("the key manager's URL %q is not of the form http://host:port", cfg.URL)
	}
	signer, err := servicetoken.New(cfg.ServiceSecret, cfg.Subject, nil)
	if err != nil {
		return nil, err
	}
	transport := cfg.Transport
	if transport == nil {
		transport = newTransport()
	}
	c := &Client{
		base:   strings.TrimSuffix(cfg.URL, "/"),
		signer: signer,
		http: http.Client{
			Transport: transport,
			// A redirect would carry the service token elsewhere.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	c.patient = c.http
	if cfg.Transport == nil {
		patient := newTransport()
		patient.ResponseHeaderTimeout = errandTimeout
		c.patient.Transport = patient
	}
	if cfg.Wrap != nil {
		c.http.Transport, c.patient.Transport = cfg.Wrap(c.http.Transport), cfg.Wrap(c.patient.Transport)
	}
	return c, nil
}

// idlePatience is how long a connection lies idle: shorter than a key manager that was told to end goes on serving, by which it
// closes those that are used, so that no question is sent on a connection that is closed just then.
const idlePatience = 3 * time.Second

func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		MaxIdleConnsPerHost:   4,
		IdleConnTimeout:       idlePatience,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: 10 * time.Second,
		ForceAttemptHTTP2:     true,
	}
}

// Introspect asks what keys are worth, and about principals that they want to act for. The answers come in the order of the
// questions, of which there may be introspection.MaxDigests and MaxTargets at most. Errors: fault.AuthorityUnavailable,
// Internal.
func (c *Client) Introspect(ctx context.Context, request introspection.Request) (introspection.Response, error) {
	answer, err := c.exchange(ctx, http.MethodPost, introspection.Path, request)
	if errors.Is(err, fault.TooLarge) && len(request.Digests) > 1 {
		return c.introspectHalves(ctx, request)
	}
	if err != nil {
		return introspection.Response{}, err
	}
	out, err := introspection.ParseResponse(answer)
	switch {
	case err != nil:
	case len(out.Verdicts) != len(request.Digests):
		err = fmt.Errorf("%d verdicts on %d keys", len(out.Verdicts), len(request.Digests))
	case len(out.Targets) != len(request.Targets):
		err = fmt.Errorf("%d answers about %d principals", len(out.Targets), len(request.Targets))
	}
	if err != nil {
		return introspection.Response{}, fmt.Errorf("introspecting: %w", err)
	}
	return out, nil
}

// introspectHalves asks about keys with so much to tell that one answer does not hold it. What it returns is as of the older of
// two snapshots: what the newer one knows more is known too early, never too late.
func (c *Client) introspectHalves(ctx context.Context, request introspection.Request) (introspection.Response, error) {
	half := len(request.Digests) / 2
	parts := [2]introspection.Request{{Digests: request.Digests[:half]}, {Digests: request.Digests[half:]}}
	for _, target := range request.Targets { // each goes with its key
		if target.Key < half {
			parts[0].Targets = append(parts[0].Targets, target)
		} else {
			target.Key -= half
			parts[1].Targets = append(parts[1].Targets, target)
		}
	}
	var answers [2]introspection.Response
	for i, part := range parts {
		var err error
		if answers[i], err = c.Introspect(ctx, part); err != nil {
			return introspection.Response{}, err
		}
	}
	out := introspection.Response{
		AsOf: min(answers[0].AsOf, answers[1].AsOf), Verdicts: append(answers[0].Verdicts, answers[1].Verdicts...),
	}
	for _, target := range request.Targets {
		from := &answers[0]
		if target.Key >= half {
			from = &answers[1]
		}
		out.Targets = append(out.Targets, from.Targets[0])
		from.Targets = from.Targets[1:]
	}
	return out, nil
}

// Bootstrap enrols the first keys of a deployment. Errors: fault.AlreadyDone, fault.Unprocessable,
// fault.AuthorityUnavailable, Internal.
func (c *Client) Bootstrap(ctx context.Context, enrolment introspection.Enrolment) error {
	return c.call(ctx, http.MethodPost, introspection.BootstrapPath, enrolment, nil)
}

// Purges lists the deleted contexts whose rows wait to be deleted. Errors: fault.AuthorityUnavailable, Internal.
func (c *Client) Purges(ctx context.Context) ([]introspection.Purge, error) {
	var out []introspection.Purge
	err := c.call(ctx, http.MethodGet, introspection.PurgesPath, nil, &out)
	return out, err
}

// PurgeDone says that no row of a deleted context is left. Errors: fault.AuthorityUnavailable, Internal.
func (c *Client) PurgeDone(ctx context.Context, incarnation string) error {
	return c.call(ctx, http.MethodDelete, introspection.PurgesPath+"/"+url.PathEscape(incarnation), nil, nil)
}

// Jobs takes the jobs that wait to be done to contexts. Errors: fault.AuthorityUnavailable, Internal.
func (c *Client) Jobs(ctx context.Context) ([]introspection.Job, error) {
	var out []introspection.Job
	err := c.call(ctx, http.MethodPost, introspection.JobsPath, nil, &out)
	return out, err
}

// JobDone says that a job is done. Errors: fault.AuthorityUnavailable, Internal.
func (c *Client) JobDone(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, introspection.JobsPath+"/"+url.PathEscape(id), nil, nil)
}

// call sends in as JSON, when it is not nil, and decodes the answer into out, when that is not nil.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	answer, err := c.exchange(ctx, method, path, in)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("reading the key manager's answer to %s %s: %w", method, path, err)
	}
	return nil
}

// exchange sends in as JSON, when it is not nil, and returns the answer.
func (c *Client) exchange(ctx context.Context, method, path string, in any) ([]byte, error) {
	token, err := c.signer.Token()
	if err != nil {
		return nil, err
	}
	req, err := c.request(ctx, method, path, token, in)
	if err != nil {
		return nil, err
	}
	return send(&c.http, req, refusal)
}

// send sends req and returns the answer. What is not 2xx is an error that refused makes.
func send(client *http.Client, req *http.Request, refused func(r *http.Request, status int, body []byte) error) ([]byte, error) {
	res, err := client.Do(req)
	if err != nil {
		if ctxErr := req.Context().Err(); errors.Is(ctxErr, context.Canceled) {
			return nil, ctxErr
		}
		return nil, unavailable(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := readAll(res)
	if err != nil {
		return nil, unavailable(err)
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		return nil, refused(req, res.StatusCode, answer)
	}
	return answer, nil
}

// readAll reads an answer into memory that is made for it, where its length is told.
func readAll(res *http.Response) ([]byte, error) {
	var answer bytes.Buffer
	if length := res.ContentLength; length > 0 && length <= maxAnswer {
		answer.Grow(int(length) + bytes.MinRead)
	}
	_, err := answer.ReadFrom(io.LimitReader(res.Body, maxAnswer))
	return answer.Bytes(), err
}

func (c *Client) request(ctx context.Context, method, path, token string, in any) (*http.Request, error) {
	var body io.Reader
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("encoding the question to the key manager: %w", err)
		}
		body = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("asking the key manager: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if path == introspection.Path || path == introspection.LeasesPath {
		// Asking twice does no harm: net/http takes this for leave to ask again when a connection turns out to be closed. An empty
		// list is not sent.
		req.Header["Idempotency-Key"] = nil
	}
	return req, nil
}

// refusal turns an answer that is not 2xx into an error. What the key manager refuses as wrong in the question is our
// own fault, and told to nobody; only the refusals of what begins without a credential are meant for whoever began it.
func refusal(r *http.Request, status int, body []byte) error {
	err := problemOf(status, body).Err(status)
	switch {
	case status >= http.StatusInternalServerError:
		return unavailable(err)
	case status == http.StatusUnauthorized:
		return refusedToken(r)
	case strings.HasSuffix(r.URL.Path, introspection.BootstrapPath),
		strings.HasSuffix(r.URL.Path, introspection.FirstAccountPath),
		strings.HasSuffix(r.URL.Path, introspection.StandingPath),
		strings.HasSuffix(r.URL.Path, introspection.Path) && status == http.StatusRequestEntityTooLarge:
		return err
	default:
		return fmt.Errorf("asking the key manager, %s %s: %s", r.Method, r.URL.Path, err.Error())
	}
}

func problemOf(status int, body []byte) fault.Problem {
	var problem fault.Problem
	if json.Unmarshal(body, &problem) != nil {
		problem = fault.Problem{Detail: http.StatusText(status)}
	}
	return problem
}

func refusedToken(r *http.Request) error {
	return fmt.Errorf("the key manager refused the service token of %s %s: both sides need the same service secret, and clocks that agree",
		r.Method, r.URL.Path)
}

func unavailable(cause error) error {
	e := fault.New(fault.AuthorityUnavailable, "the key manager cannot be reached, so no key can be verified now; try again")
	e.RetryAfter = time.Second
	return e.Because(cause)
}
