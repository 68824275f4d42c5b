package hook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spectron-hq/spectron/services/contract/webhook"
)

const (
	// maxBody is how much of an answer is read, so that its connection can be used again. Nothing of it is kept.
	maxBody = 64 << 10
	// maxProblem bounds what is kept about a failure, in bytes.
	maxProblem = 200
)

// The outcomes of attempts, as metrics count them.
const (
	outcomeDelivered   = "delivered"
	outcomeFailed      = "failed"
	outcomeRefused     = "refused"
	outcomeInterrupted = "interrupted"
)

// Outcomes returns all outcomes of attempts.
func Outcomes() []string {
	return []string{outcomeDelivered, outcomeFailed, outcomeRefused, outcomeInterrupted}
}

// send makes one attempt.
func (c *Courier) send(ctx context.Context, claimed Claimed, d Delivery) Result {
	began := c.now()
	status, err := c.post(ctx, claimed, d, began)
	result := Result{Status: status, Took: c.now().Sub(began)}
	outcome := outcomeDelivered
	switch {
	case err != nil && ctx.Err() != nil:
		result.Interrupted, outcome = true, outcomeInterrupted
	case errors.Is(err, errAddress):
		result.Problem, outcome = errAddress.Error(), outcomeRefused
	case err != nil:
		result.Problem, outcome = problem(err), outcomeFailed
	case status < http.StatusOK || status >= http.StatusMultipleChoices:
		result.Problem, outcome = "the answer was "+strconv.Itoa(status), outcomeFailed
		if status >= http.StatusMultipleChoices && status < http.StatusBadRequest {
			result.Problem += ": redirects are not followed"
		}
	}
	c.observer.Attempted(outcome)
	return result
}

// post sends a delivery and returns the status of the answer.
func (c *Courier) post(ctx context.Context, claimed Claimed, d Delivery, at time.Time) (status int, err error) {
	body, err := d.Body()
	if err != nil {
		return 0, err
	}
	signatures, err := c.sign(claimed, d.MessageID, at, body)
	if err != nil {
		return 0, err
	}
	target, err := url.Parse(claimed.Endpoint.URL)
	if err != nil {
		return 0, errAddress
	}
	client, ok := c.clients[target.Scheme]
	if !ok {
		return 0, errAddress
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Spectron-Webhooks/1")
	req.Header.Set(webhook.HeaderID, d.MessageID)
	req.Header.Set(webhook.HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	req.Header.Set(webhook.HeaderSignature, signatures)
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	// The status decides. A body that breaks off, or has no end, changes nothing about it.
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxBody))
	_ = res.Body.Close()
	return res.StatusCode, nil
}

// sign signs with the endpoint's secret and, as long as that is kept, with the one before.
func (c *Courier) sign(claimed Claimed, id string, at time.Time, body []byte) (string, error) {
	e := claimed.Endpoint
	text, err := c.ring.Unlock(e.Secret, e.Label())
	if err != nil {
		return "", err
	}
	signature, err := webhook.Sign(text, id, at, body)
	if err != nil || len(e.Previous.Sealed) == 0 || !claimed.At.Before(e.PreviousUntil) {
		return signature, err
	}
	if text, err = c.ring.Unlock(e.Previous, e.Label()); err != nil {
		return signature, nil //nolint:nilerr // the new secret signs; whoever has only the old one could not be served anyhow
	}
	previous, err := webhook.Sign(text, id, at, body)
	return signature + " " + previous, err
}

// problem says what went wrong, without the URL that errors of net/http quote.
func problem(err error) string {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return "no answer in time"
	}
	text := strings.ToValidUTF8(err.Error(), "?")
	if len(text) > maxProblem {
		text = strings.ToValidUTF8(text[:maxProblem], "") + "…"
	}
	return fmt.Sprintf("no answer: %s", text)
}

// Backoff returns the pause after so many attempts: first, then twice that and so on up to six hours, each a fifth longer or shorter by
// chance, so that endpoints that failed together are not tried together.
func Backoff(first time.Duration, attempts int) time.Duration {
	delay := first
	for range min(attempts, 64) - 1 {
		if delay *= 2; delay >= maxDelay {
			delay = maxDelay
			break
		}
	}
	return delay - delay/5 + rand.N(2*delay/5+1) //nolint:gosec // a pause, not a secret
}

// warn queues the warnings about keys that end soon. Each key is warned of at the shortest time before its end that applies.
func (c *Courier) warn(ctx context.Context) error {
	after := time.Duration(0)
	for _, within := range slices.Sorted(slices.Values(c.options.Warnings)) {
		for {
			n, err := c.queue.Warn(ctx, after, within, scanBatch)
			if err != nil {
				return err
			}
			if n < scanBatch {
				break
			}
		}
		after = within
	}
	return nil
}
