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

// maxAnswer bounds what is read of an answer: some 512 verdicts with large grant maps.
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
}

// Client asks the key manager. It is safe for concurrent use.
type Client struct {
	base   string
	http   http.Client
	signer *servicetoken.Signer
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
		transport = &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			MaxIdleConnsPerHost:   4,
			IdleConnTimeout:       90 * time.Second,
			TLSHandshakeTimeout:   5 * time.Second,
			ResponseHeaderTimeout: 10 * time.Second,
			ForceAttemptHTTP2:     true,
		}
	}
	return &Client{
		base:   strings.TrimSuffix(cfg.URL, "/"),
		signer: signer,
		http: http.Client{
			Transport: transport,
			// A redirect would carry the service token elsewhere.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Introspect asks what keys are worth, and about principals that they want to act for. The answers come in the order of the
// questions, of which there may be introspection.MaxDigests and MaxTargets at most. Errors: fault.AuthorityUnavailable,
// Internal.
func (c *Client) Introspect(ctx context.Context, request introspection.Request) (introspection.Response, error) {
	var out introspection.Response
	err := c.call(ctx, http.MethodPost, introspection.Path, request, &out)
	switch {
	case err != nil:
	case len(out.Verdicts) != len(request.Digests):
		err = fmt.Errorf("introspecting: %d verdicts on %d keys", len(out.Verdicts), len(request.Digests))
	case len(out.Targets) != len(request.Targets):
		err = fmt.Errorf("introspecting: %d answers about %d principals", len(out.Targets), len(request.Targets))
	}
	return out, err
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
	req, err := c.request(ctx, method, path, in)
	if err != nil {
		return err
	}
	res, err := c.http.Do(req)
	if err != nil {
		if ctxErr := ctx.Err(); errors.Is(ctxErr, context.Canceled) {
			return ctxErr
		}
		return unavailable(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return unavailable(err)
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		return refusal(method, path, res.StatusCode, body)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("reading the key manager's answer to %s %s: %w", method, path, err)
	}
	return nil
}

func (c *Client) request(ctx context.Context, method, path string, in any) (*http.Request, error) {
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
	token, err := c.signer.Token()
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// refusal turns an answer that is not 2xx into an error. What the key manager refuses as wrong in the question is our
// own fault, and told to nobody; only a bootstrap's refusals are meant for the operator.
func refusal(method, path string, status int, body []byte) error {
	var problem fault.Problem
	if json.Unmarshal(body, &problem) != nil {
		problem = fault.Problem{Detail: http.StatusText(status)}
	}
	err := problem.Err(status)
	switch {
	case status >= http.StatusInternalServerError:
		return unavailable(err)
	case status == http.StatusUnauthorized:
		return fmt.Errorf("the key manager refused the service token of %s %s: both sides need the same service secret, and clocks that agree", method, path)
	case path == introspection.BootstrapPath:
		return err
	default:
		return fmt.Errorf("asking the key manager, %s %s: %s", method, path, err.Error())
	}
}

func unavailable(cause error) error {
	e := fault.New(fault.AuthorityUnavailable, "the key manager cannot be reached, so no key can be verified now; try again")
	e.RetryAfter = time.Second
	return e.Because(cause)
}
