package authority

import (
	"bufio"
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

	"github.com/spectron-hq/spectron/services/contract/introspection"
)

const (
	// maxEvent bounds one event of the stream.
	maxEvent = 64 << 10
	// silence is how long a stream may say nothing, not even the white space that the key manager sends to keep it alive.
	silence = 3 * time.Second
)

// errSilence: the stream is taken for dead.
var errSilence = errors.New("the watch stream fell silent")

// Renew asks for a lease and acknowledges revisions. Errors: fault.AuthorityUnavailable, Internal.
func (c *Client) Renew(ctx context.Context, renewal introspection.Renewal) (introspection.Lease, error) {
	var out introspection.Lease
	err := c.call(ctx, http.MethodPost, introspection.LeasesPath, renewal, &out)
	return out, err
}

// Report tells which keys were used. Errors: fault.AuthorityUnavailable, Internal.
func (c *Client) Report(ctx context.Context, uses introspection.Uses) error {
	return c.call(ctx, http.MethodPost, introspection.UsesPath, uses, nil)
}

// Watch calls fn with each event of the stream that goes on after the given revision of the given authority, until ctx ends,
// the stream ends or falls silent, or fn returns an error. It never returns nil.
func (c *Client) Watch(ctx context.Context, authority string, after int64, fn func(introspection.Event) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	query := url.Values{
		introspection.WatchAuthorityParam: {authority},
		introspection.WatchAfterParam:     {strconv.FormatInt(after, 10)},
	}
	token, err := c.signer.Token()
	if err != nil {
		return err
	}
	req, err := c.request(ctx, http.MethodGet, introspection.WatchPath+"?"+query.Encode(), token, nil)
	if err != nil {
		return err
	}
	watchdog := time.AfterFunc(silence, func() { cancel(errSilence) })
	defer watchdog.Stop()
	res, err := c.http.Do(req)
	if err != nil {
		return unavailable(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		body, err := io.ReadAll(io.LimitReader(res.Body, maxEvent))
		if err != nil {
			return unavailable(err)
		}
		return refusal(req, res.StatusCode, body)
	}
	err = decode(&heard{res.Body, watchdog}, fn)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return err
}

// heard resets the watchdog at each sign of life.
type heard struct {
	io.Reader
	watchdog *time.Timer
}

func (h *heard) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p)
	if n > 0 {
		h.watchdog.Reset(silence)
	}
	return n, err
}

// decode calls fn with each event in r. It never returns nil.
func decode(r io.Reader, fn func(introspection.Event) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxEvent)
	for lines.Scan() {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue // a sign of life
		}
		var e introspection.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("reading the watch stream: %w", err)
		}
		if err := fn(e); err != nil {
			return err
		}
	}
	err := lines.Err()
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading the watch stream: %w", err)
}
