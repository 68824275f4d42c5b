// Package client is the Go client of Spectron. A [Client] speaks for one data-plane key, in the one context that the
// key opens: memory, sessions, entities, scopes, principals, its own keys. [Client.OnBehalfOf] narrows it to what somebody
// else may do, too. A [Management] speaks for a management key: contexts, their principals and their keys.
//
// Every failure that the server explains is a *[fault.Error], so that errors.Is(err, fault.NotFound) works; a server that
// does not answer is a fault.Unavailable with the cause. What is sent with GET, Remember and RememberMany are repeated
// when the connection breaks or the server fails (status 5xx), after 250, 500 and 1000 ms; everything else is sent once.
//
// Lists come whole from List…, or row by row, a page at a time, from iterators: for row, err := range c.Sessions(ctx).
// An iterator ends after the first error.
//
// What the package promises: a key is sent to Config.URL and nowhere else (redirects are not followed), and no error,
// log line or formatted value of this package ever holds one.
package client

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/spectron/client/internal/dataapi"
)

// DefaultURL is where a local Spectron serves both planes.
const DefaultURL = "http://127.0.0.1:9090"

const (
	defaultTimeout = 30 * time.Second
	defaultRetries = 3
)

// Config says how to reach a deployment and as whom.
type Config struct {
	// URL is where the deployment answers, such as https://spectron.example.com; a path is kept. [DefaultURL] when empty.
	URL string
	// APIKey is sent with every request. Without it only Health is answered.
	APIKey APIKey
	// ContextID names the context that the key opens. [New] needs it, [NewManagement] does not look at it.
	ContextID string
	// HTTPClient carries the requests; a plain one when nil. It is copied, and the copy follows no redirects.
	HTTPClient *http.Client
	// Timeout bounds each attempt of a request; 30 seconds when zero.
	Timeout time.Duration
	// MaxRetries is how often a request that may be repeated is; 3 when zero, never when negative.
	MaxRetries int
}

// Client speaks to the data plane. It is safe for concurrent use.
type Client struct {
	transport *transport
	server    string // what the generated code wants: the base with a trailing slash
	contextID string
}

// New returns a client of the data plane. It sends nothing; its errors are about cfg.
func New(cfg Config) (*Client, error) {
	if err := checkSegment("ContextID", cfg.ContextID); err != nil {
		return nil, err
	}
	t, err := newTransport(cfg)
	if err != nil {
		return nil, err
	}
	return &Client{transport: t, server: t.base + "/", contextID: cfg.ContextID}, nil
}

// OnBehalfOf returns a client that acts on behalf of the principal of this id: it may do what both the key and that
// principal may, never more. Delegating again replaces the principal; an empty id ends it. The error of a call is
// fault.Forbidden when there is no such principal.
func (c *Client) OnBehalfOf(principalID string) *Client {
	delegated, t := *c, *c.transport
	t.onBehalfOf = principalID
	delegated.transport = &t
	return &delegated
}

// Health asks whether the server serves. It needs no key.
func (c *Client) Health(ctx context.Context) (Health, error) {
	req, err := dataapi.NewGetHealthRequest(c.server)
	return call[Health](ctx, c.transport, req, err)
}

// Health is the answer of a process that serves.
type Health struct {
	Status  string `json:"status"`
	Version string `json:"version,omitempty"`
}

// checkSegment refuses a name that cannot be one segment of a path. Dots are not escaped by URLs: a key named .. would
// address the context that holds it.
func checkSegment(field, name string) error {
	switch name {
	case "":
		return fault.InvalidField(field, "must not be empty")
	case ".", "..":
		return fault.InvalidField(field, "must not be %s", name)
	default:
		return nil
	}
}

// checkSegments checks pairs of a field and its name, and returns the first error.
func checkSegments(pairs ...string) error {
	for pair := range slices.Chunk(pairs, 2) {
		if err := checkSegment(pair[0], pair[1]); err != nil {
			return err
		}
	}
	return nil
}

// baseURL checks text and returns it without trailing slashes.
func baseURL(text string) (string, error) {
	if text == "" {
		return DefaultURL, nil
	}
	u, err := url.Parse(text)
	switch {
	// The text is not repeated: it may hold a password.
	case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
		return "", fault.InvalidField("URL", "want http://host:port or https://host")
	case u.User != nil:
		return "", fault.InvalidField("URL", "must not hold a user or a password; the API key is the credential")
	case u.RawQuery != "" || u.Fragment != "":
		return "", fault.InvalidField("URL", "must end with its path")
	}
	return strings.TrimRight(u.String(), "/"), nil
}
