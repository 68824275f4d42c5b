package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

const (
	userAgent = "spectron-go"
	// maxAnswer is the most bytes of an answer that are read.
	maxAnswer = 32 << 20
	// firstWait is the pause before the first repetition; it doubles up to maxWait.
	firstWait = 250 * time.Millisecond
	maxWait   = time.Second

	idempotencyHeader = "Idempotency-Key"
	onBehalfOfHeader  = "X-Spectron-On-Behalf-Of"
)

// transport sends the requests that the generated code builds: it adds the credential, repeats what may be repeated and
// turns every answer but a success into an error. Answers are read whole, so that one that breaks off is repeated too.
type transport struct {
	client  *http.Client
	base    string // without a trailing slash
	key     APIKey
	retries int
	// onBehalfOf is the principal that requests act on behalf of; empty for none.
	onBehalfOf string
}

func newTransport(cfg Config) (*transport, error) {
	base, err := baseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	if err := cfg.APIKey.check(); err != nil {
		return nil, err
	}
	var client http.Client
	if cfg.HTTPClient != nil {
		client = *cfg.HTTPClient
	}
	// A redirect could carry the key to a host that nobody chose.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	switch {
	case cfg.Timeout > 0:
		client.Timeout = cfg.Timeout
	case client.Timeout == 0:
		client.Timeout = defaultTimeout
	}
	retries := cfg.MaxRetries
	if retries == 0 {
		retries = defaultRetries
	}
	return &transport{client: &client, base: base, key: cfg.APIKey, retries: retries}, nil
}

// answer is a success of the server, read whole.
type answer struct {
	header http.Header
	body   []byte
}

// send sends req, more than once where that is safe. err is the outcome of building req.
func (t *transport) send(ctx context.Context, req *http.Request, err error) (answer, error) {
	if err != nil {
		return answer{}, fmt.Errorf("building the request: %w", err)
	}
	req = req.WithContext(ctx)
	req.Header.Set("Accept", "application/json, "+fault.ContentType)
	req.Header.Set("User-Agent", userAgent)
	if t.key != "" {
		req.Header.Set("Authorization", "Bearer "+t.key.Reveal())
	}
	if t.onBehalfOf != "" {
		if strings.ContainsFunc(t.onBehalfOf, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return answer{}, fault.InvalidField("on_behalf_of", "must not hold spaces, line ends or anything but ASCII")
		}
		req.Header.Set(onBehalfOfHeader, t.onBehalfOf)
	}
	wait := firstWait
	for attempt := 0; ; attempt++ {
		got, again, err := t.attempt(req)
		if err == nil || !again || !repeatable(req) || attempt >= t.retries || !sleep(ctx, wait) {
			return got, err
		}
		wait = min(2*wait, maxWait)
	}
}

// attempt sends a copy of req once. The second result says that a failure may pass: the connection broke, or the server
// failed.
func (t *transport) attempt(req *http.Request) (answer, bool, error) {
	copied := req.Clone(req.Context())
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return answer{}, false, fmt.Errorf("reading the request: %w", err)
		}
		copied.Body = body
	}
	resp, err := t.client.Do(copied)
	if err != nil {
		again, err := t.unanswered(req.Context(), err)
		return answer{}, again, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		again, err := t.unanswered(req.Context(), err)
		return answer{}, again, err
	}
	if len(body) > maxAnswer {
		return answer{}, false, fault.New(fault.TooLarge, "the answer of %s exceeds %d bytes", t.base, maxAnswer)
	}
	if resp.StatusCode/100 != 2 {
		return answer{}, resp.StatusCode >= http.StatusInternalServerError, t.refusal(resp, body)
	}
	return answer{resp.Header, body}, false, nil
}

// unanswered explains a request that got no answer, and says whether repeating it may help. One that its caller gave up
// is no fault of the server.
func (t *transport) unanswered(ctx context.Context, cause error) (bool, error) {
	if ctx.Err() != nil {
		return false, fmt.Errorf("asking %s: %w", t.base, context.Cause(ctx))
	}
	// The outer error repeats the method and the URL.
	if outer, ok := errors.AsType[*url.Error](cause); ok {
		cause = outer.Err
	}
	return true, fault.New(fault.Unavailable, "%s does not answer", t.base).Because(cause)
}

// refusal turns an answer that is no success into an error.
func (t *transport) refusal(resp *http.Response, body []byte) error {
	if location, err := resp.Location(); err == nil && resp.StatusCode < http.StatusBadRequest {
		return fault.New(fault.Unavailable, "%s redirects to %s, which is not followed; use that URL if it is yours",
			t.base, location.Redacted())
	}
	var problem fault.Problem
	// A body that is not JSON, such as the page of a proxy, leaves the problem empty.
	explained := json.Unmarshal(body, &problem) == nil
	e := problem.Err(resp.StatusCode)
	if !explained || e.Message == "" {
		e.Message = fmt.Sprintf("%s answered %s and no reason; is it a Spectron server?", t.base, resp.Status)
	}
	// A gateway says these when what is behind it does not answer.
	if resp.StatusCode == http.StatusBadGateway || resp.StatusCode == http.StatusGatewayTimeout {
		e.Kind = fault.Unavailable
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	return e
}

// repeatable reports whether sending req twice does no more than sending it once.
func repeatable(req *http.Request) bool {
	return req.Method == http.MethodGet || req.Method == http.MethodHead || req.Header.Get(idempotencyHeader) != ""
}

// sleep waits, and reports false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// call sends req and decodes the answer. err is the outcome of building req.
func call[T any](ctx context.Context, t *transport, req *http.Request, err error) (T, error) {
	var out T
	got, err := t.send(ctx, req, err)
	if err != nil {
		return out, err
	}
	err = t.decode(got, &out)
	return out, err
}

// discard sends req and looks at no body. err is the outcome of building req.
func discard(ctx context.Context, t *transport, req *http.Request, err error) error {
	_, err = t.send(ctx, req, err)
	return err
}

// decode reads the body of a success.
func (t *transport) decode(got answer, out any) error {
	if err := json.Unmarshal(got.body, out); err != nil {
		return fault.New(fault.Unavailable, "%s gives an answer that is not Spectron's; is the URL right?", t.base).Because(err)
	}
	return nil
}
