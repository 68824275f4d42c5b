package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
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
)

// transport sends the requests that the generated code builds: it adds the credential, repeats what may be repeated and
// turns every answer but a success into an error. Answers are read whole, so that one that breaks off is repeated too.
type transport struct {
	client  *http.Client
	base    string
	key     APIKey
	retries int
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

// Do sends req, more than once where that is safe, and returns an answer of status 2xx or an error.
func (t *transport) Do(req *http.Request) (*http.Response, error) {
	req.Header.Set("Accept", "application/json, "+fault.ContentType)
	req.Header.Set("User-Agent", userAgent)
	if t.key != "" {
		req.Header.Set("Authorization", "Bearer "+t.key.Reveal())
	}
	wait := firstWait
	for attempt := 0; ; attempt++ {
		resp, again, err := t.attempt(req)
		if err == nil || !again || !repeatable(req) || attempt >= t.retries {
			return resp, err
		}
		if !sleep(req.Context(), wait) {
			return nil, err
		}
		wait = min(2*wait, maxWait)
	}
}

// attempt sends a copy of req once. again says that the failure may pass: the connection broke, or the server failed.
func (t *transport) attempt(req *http.Request) (resp *http.Response, again bool, err error) {
	copied := req.Clone(req.Context())
	if req.GetBody != nil {
		if copied.Body, err = req.GetBody(); err != nil {
			return nil, false, err
		}
	}
	resp, err = t.client.Do(copied)
	if err != nil {
		return t.unanswered(req.Context(), err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return t.unanswered(req.Context(), err)
	}
	if len(body) > maxAnswer {
		return nil, false, fault.New(fault.TooLarge, "the answer of %s exceeds %d bytes", t.base, maxAnswer)
	}
	if resp.StatusCode/100 != 2 {
		return nil, resp.StatusCode >= http.StatusInternalServerError, t.refusal(resp, body)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, false, nil
}

// unanswered explains a request that got no answer. One that its caller gave up is not worth repeating, and no fault of
// the server.
func (t *transport) unanswered(ctx context.Context, cause error) (*http.Response, bool, error) {
	if ctx.Err() != nil {
		return nil, false, fmt.Errorf("asking %s: %w", t.base, context.Cause(ctx))
	}
	// The outer error repeats the method and the URL.
	if outer, ok := errors.AsType[*url.Error](cause); ok {
		cause = outer.Err
	}
	return nil, true, fault.New(fault.Unavailable, "%s does not answer", t.base).Because(cause)
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
	return req.Method == http.MethodGet || req.Header.Get(idempotencyHeader) != ""
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

// decode reads the body of a successful answer.
func decode[T any](resp *http.Response, err error) (T, error) {
	var out T
	if err != nil {
		return out, err
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		return out, notSpectron(resp).Because(err)
	}
	return out, nil
}

// done is decode for answers without a body.
func done(resp *http.Response, err error) error {
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// notSpectron is the error for a success that cannot be understood.
func notSpectron(resp *http.Response) *fault.Error {
	return fault.New(fault.Unavailable, "%s://%s answered %s with what is not an answer of Spectron; is the URL right?",
		resp.Request.URL.Scheme, resp.Request.URL.Host, resp.Status)
}
