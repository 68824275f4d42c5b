package client_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/spectron/client"
)

// roundTrip is a network that answers at once.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func respond(status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), Header: http.Header{},
		Body: io.NopCloser(strings.NewReader(body)),
	}
}

// brokenBody breaks off after the header.
type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
func (brokenBody) Close() error             { return nil }

func over(t *testing.T, network roundTrip, change ...func(*client.Config)) *client.Client {
	t.Helper()
	cfg := client.Config{
		URL: "http://spectron.example", APIKey: client.APIKey(testKey.Reveal()), ContextID: "acme",
		HTTPClient: &http.Client{Transport: network},
	}
	for _, f := range change {
		f(&cfg)
	}
	c, err := client.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRetries(t *testing.T) {
	t.Parallel()
	read := func(ctx context.Context, c *client.Client) error { _, err := c.Me(ctx); return err }
	remember := func(ctx context.Context, c *client.Client) error {
		_, err := c.Remember(ctx, "x", client.RememberOptions{})
		return err
	}
	rememberMany := func(ctx context.Context, c *client.Client) error {
		_, err := c.RememberMany(ctx, []client.Message{{Role: "user", Content: "x"}}, client.RememberManyOptions{})
		return err
	}
	rotate := func(ctx context.Context, c *client.Client) error {
		_, err := c.RotateKey(ctx, "x", client.RotateOptions{})
		return err
	}
	remove := func(ctx context.Context, c *client.Client) error { return c.DeleteSession(ctx, "x") }
	recall := func(ctx context.Context, c *client.Client) error {
		_, err := c.Recall(ctx, "x", client.RecallOptions{})
		return err
	}
	register := func(ctx context.Context, c *client.Client) error {
		_, err := c.RegisterScope(ctx, "x", client.RegisterScopeOptions{})
		return err
	}
	fails := func(status int) roundTrip {
		return func(*http.Request) (*http.Response, error) { return respond(status, "{}"), nil }
	}
	refused := func(*http.Request) (*http.Response, error) { return nil, syscall.ECONNREFUSED }
	truncated := func(*http.Request) (*http.Response, error) {
		resp := respond(http.StatusOK, "")
		resp.Body = brokenBody{}
		return resp, nil
	}
	all := []time.Duration{0, 250 * time.Millisecond, 750 * time.Millisecond, 1750 * time.Millisecond}
	tests := map[string]struct {
		call    func(context.Context, *client.Client) error
		network roundTrip
		retries int
		want    []time.Duration // when each attempt was made
	}{
		"read, 500":            {read, fails(500), 0, all},
		"read, 501":            {read, fails(501), 0, all},
		"read, 503":            {read, fails(503), 0, all},
		"read, refused":        {read, refused, 0, all},
		"read, truncated":      {read, truncated, 0, all},
		"read, 401":            {read, fails(401), 0, all[:1]},
		"read, 409":            {read, fails(409), 0, all[:1]},
		"read, 429":            {read, fails(429), 0, all[:1]},
		"read, once":           {read, fails(500), 1, all[:2]},
		"read, five times":     {read, fails(500), 5, append(all[:4:4], 2750*time.Millisecond, 3750*time.Millisecond)},
		"read, never":          {read, refused, -1, all[:1]},
		"remember, 500":        {remember, fails(500), 0, all},
		"remember, refused":    {remember, refused, 0, all},
		"remember, 409":        {remember, fails(409), 0, all[:1]},
		"rememberMany, 503":    {rememberMany, fails(503), 0, all},
		"rememberMany, 409":    {rememberMany, fails(409), 0, all[:1]},
		"remember, 429":        {remember, fails(429), 0, all[:1]},
		"recall, 500":          {recall, fails(500), 0, all[:1]},
		"rotate, 500":          {rotate, fails(500), 0, all[:1]},
		"delete, 500":          {remove, fails(500), 0, all[:1]},
		"register scope, 503":  {register, fails(503), 0, all[:1]},
		"register, refused":    {register, refused, 0, all[:1]},
		"redirect is no retry": {read, fails(302), 0, all[:1]},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				var at []time.Duration
				c := over(t, func(req *http.Request) (*http.Response, error) {
					at = append(at, time.Since(start))
					return test.network(req)
				}, func(cfg *client.Config) { cfg.MaxRetries = test.retries })
				if err := test.call(t.Context(), c); err == nil {
					t.Error("want an error")
				}
				if diff := cmp.Diff(test.want, at); diff != "" {
					t.Errorf("attempts (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestRetrySendsTheSameRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// One second before the window ends: the repetitions fall into the next one.
		time.Sleep(time.Until(time.Now().Truncate(30 * time.Second).Add(29 * time.Second)))
		window := time.Now().Unix() / 30
		type sent struct{ Key, Body string }
		var got []sent
		c := over(t, func(req *http.Request) (*http.Response, error) {
			body, err := io.ReadAll(req.Body)
			if err != nil {
				t.Error(err)
			}
			got = append(got, sent{req.Header.Get("Idempotency-Key"), string(body)})
			if len(got) < 4 {
				return nil, syscall.ECONNRESET
			}
			return respond(http.StatusOK, `{"mode":"none","sessionId":"s"}`), nil
		})
		if _, err := c.Remember(t.Context(), "<a> & é", client.RememberOptions{Infer: client.InferNone}); err != nil {
			t.Fatal(err)
		}
		const body = `{"infer":"none","text":"<a> & é"}` // as JSON.stringify writes it
		sum := sha256.Sum256(fmt.Appendf(nil, "POST\x00/api/v1/acme/facts\x00%s\x00%d", body, window))
		want := sent{hex.EncodeToString(sum[:]), body}
		if diff := cmp.Diff([]sent{want, want, want, want}, got); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
	})
}

func TestIdempotencyKeyOfTheCaller(t *testing.T) {
	t.Parallel()
	c := over(t, func(req *http.Request) (*http.Response, error) {
		if got := req.Header.Values("Idempotency-Key"); len(got) != 1 || got[0] != "mine" {
			t.Errorf("sent %q", got)
		}
		return respond(http.StatusOK, `{"mode":"none","sessionId":"s"}`), nil
	})
	if _, err := c.Remember(t.Context(), "x", client.RememberOptions{IdempotencyKey: "mine"}); err != nil {
		t.Fatal(err)
	}
}

func TestRetryEndsWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		attempts := 0
		c := over(t, func(*http.Request) (*http.Response, error) {
			attempts++
			return respond(http.StatusServiceUnavailable, "{}"), nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := c.Me(ctx)
		if !errors.Is(err, fault.Unavailable) || attempts != 2 || time.Since(start) != 300*time.Millisecond {
			t.Errorf("got %v after %d attempts and %v", err, attempts, time.Since(start))
		}
	})
}

func TestCancelledRequestIsNoFaultOfTheServer(t *testing.T) {
	t.Parallel()
	c := over(t, func(req *http.Request) (*http.Response, error) { return nil, req.Context().Err() })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Me(ctx)
	if !errors.Is(err, context.Canceled) || errors.Is(err, fault.Unavailable) {
		t.Errorf("got %v, want context.Canceled alone", err)
	}
}

func TestTimeoutBoundsEachAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c := over(t, func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		}, func(cfg *client.Config) { cfg.Timeout, cfg.MaxRetries = time.Second, 1 })
		_, err := c.Me(t.Context())
		if want := 2250 * time.Millisecond; !errors.Is(err, fault.Unavailable) || time.Since(start) != want {
			t.Errorf("got %v after %v, want fault.Unavailable after %v", err, time.Since(start), want)
		}
	})
}
