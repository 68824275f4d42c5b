package client_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/spectron/client"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	problem := func(kind fault.Kind) string {
		return fmt.Sprintf(`{"type":%q,"title":%q,"status":%d,"detail":"why","instance":"/x","message":"why","field":"f"}`,
			kind.Type(), kind.Title(), kind.Status())
	}
	explained := func(kind fault.Kind) *fault.Error { return &fault.Error{Kind: kind, Message: "why", Field: "f"} }
	unexplained := func(kind fault.Kind, status string) *fault.Error {
		return fault.New(kind, "http://spectron.example answered %s and no reason; is it a Spectron server?", status)
	}
	tests := map[string]struct {
		status int
		header http.Header
		body   string
		want   *fault.Error
	}{
		"invalid":               {400, nil, problem(fault.Invalid), explained(fault.Invalid)},
		"unauthenticated":       {401, nil, problem(fault.Unauthenticated), explained(fault.Unauthenticated)},
		"forbidden":             {403, nil, problem(fault.Forbidden), explained(fault.Forbidden)},
		"not found":             {404, nil, problem(fault.NotFound), explained(fault.NotFound)},
		"conflict":              {409, nil, problem(fault.Conflict), explained(fault.Conflict)},
		"already done":          {409, nil, problem(fault.AlreadyDone), explained(fault.AlreadyDone)},
		"authority unavailable": {503, nil, problem(fault.AuthorityUnavailable), explained(fault.AuthorityUnavailable)},
		"message alone":         {404, nil, `{"message":"why","field":"f"}`, explained(fault.NotFound)},
		"retry after": {429, http.Header{"Retry-After": {"7"}}, problem(fault.RateLimited), &fault.Error{
			Kind: fault.RateLimited, Message: "why", Field: "f", RetryAfter: 7 * time.Second,
		}},
		"retry at a date":  {503, http.Header{"Retry-After": {"Tue, 01 Sep 2026 12:00:00 GMT"}}, problem(fault.Unavailable), explained(fault.Unavailable)},
		"page of a proxy":  {502, nil, "<html>", unexplained(fault.Unavailable, "502 Bad Gateway")},
		"gateway timeout":  {504, nil, "", unexplained(fault.Unavailable, "504 Gateway Timeout")},
		"no body":          {404, nil, "", unexplained(fault.NotFound, "404 Not Found")},
		"JSON of another":  {500, nil, `{"error":"x"}`, unexplained(fault.Internal, "500 Internal Server Error")},
		"JSON, no object":  {403, nil, `[1]`, unexplained(fault.Forbidden, "403 Forbidden")},
		"not even a title": {418, nil, `{}`, unexplained(fault.Internal, "418 I'm a teapot")},
		"redirect": {302, http.Header{"Location": {"https://user:pw@elsewhere.example/"}}, "", fault.New(fault.Unavailable,
			"http://spectron.example redirects to https://user:xxxxx@elsewhere.example/, which is not followed; use that URL if it is yours")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := over(t, func(*http.Request) (*http.Response, error) {
				resp := respond(test.status, test.body)
				if test.header != nil {
					resp.Header = test.header
				}
				return resp, nil
			}, func(cfg *client.Config) { cfg.MaxRetries = -1 })
			_, err := c.Me(t.Context())
			var got *fault.Error
			if !errors.As(err, &got) {
				t.Fatalf("got %v, want a *fault.Error", err)
			}
			if diff := cmp.Diff(*test.want, *got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnswersThatAreNotSpectrons(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"html": "<html>", "nothing": "", "another shape": "[]"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := over(t, func(req *http.Request) (*http.Response, error) {
				resp := respond(http.StatusOK, body)
				resp.Request = req
				return resp, nil
			})
			if _, err := c.Me(t.Context()); !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "is the URL right?") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestHugeAnswerIsRefused(t *testing.T) {
	t.Parallel()
	c := over(t, func(*http.Request) (*http.Response, error) {
		return respond(http.StatusOK, strings.Repeat(" ", 32<<20+1)), nil
	})
	if _, err := c.Me(t.Context()); !errors.Is(err, fault.TooLarge) {
		t.Errorf("got %v, want fault.TooLarge", err)
	}
}

func TestUnansweredSaysWhoAndWhy(t *testing.T) {
	t.Parallel()
	c := over(t, func(*http.Request) (*http.Response, error) { return nil, syscall.ECONNREFUSED },
		func(cfg *client.Config) { cfg.MaxRetries = -1 })
	_, err := c.Me(t.Context())
	if !errors.Is(err, fault.Unavailable) || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("got %v", err)
	}
	if want := "unavailable: http://spectron.example does not answer: connection refused"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestRedirectDoesNotCarryTheKeyAway(t *testing.T) {
	t.Parallel()
	var hosts []string
	c := over(t, func(req *http.Request) (*http.Response, error) {
		hosts = append(hosts, req.URL.Host)
		resp := respond(http.StatusTemporaryRedirect, "")
		resp.Header.Set("Location", "http://evil.spectron.example/")
		return resp, nil
	})
	if _, err := c.Remember(t.Context(), "x", client.RememberOptions{}); err == nil {
		t.Error("want an error")
	}
	if diff := cmp.Diff([]string{"spectron.example"}, hosts); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestAPIKeyDoesNotPrint(t *testing.T) {
	t.Parallel()
	cfg := client.Config{APIKey: client.APIKey(testKey.Reveal())}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).InfoContext(t.Context(), "config", "cfg", cfg, "key", cfg.APIKey)
	for name, text := range map[string]string{
		"%v": fmt.Sprintf("%v", cfg), "%+v": fmt.Sprintf("%+v", cfg), "%#v": fmt.Sprintf("%#v", cfg), "%x": fmt.Sprintf("%x", cfg.APIKey),
		"slog": log.String(), "String": cfg.APIKey.String(), "GoString": cfg.APIKey.GoString(),
	} {
		if strings.Contains(text, testKey.Reveal()) || !strings.Contains(text, "REDACTED") {
			t.Errorf("%s shows the key, or not that there is one", name)
		}
	}
	if got := client.APIKey("").String(); got != "" {
		t.Errorf("no key prints as %q", got)
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*client.Config)
		field  string
	}{
		"no context":         {func(c *client.Config) { c.ContextID = "" }, "ContextID"},
		"context ..":         {func(c *client.Config) { c.ContextID = ".." }, "ContextID"},
		"no scheme":          {func(c *client.Config) { c.URL = "spectron.example" }, "URL"},
		"other scheme":       {func(c *client.Config) { c.URL = "ftp://spectron.example" }, "URL"},
		"not a URL":          {func(c *client.Config) { c.URL = "http://[::1" }, "URL"},
		"password in URL":    {func(c *client.Config) { c.URL = "https://user:hunter2@spectron.example" }, "URL"},
		"query in URL":       {func(c *client.Config) { c.URL = "https://spectron.example?key=hunter2" }, "URL"},
		"line end in key":    {func(c *client.Config) { c.APIKey = "hunter2\n" }, "APIKey"},
		"letters in key":     {func(c *client.Config) { c.APIKey = "hunter2é" }, "APIKey"},
		"blank within a key": {func(c *client.Config) { c.APIKey = "Bearer hunter2" }, "APIKey"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := client.Config{ContextID: "acme"}
			test.change(&cfg)
			_, err := client.New(cfg)
			var got *fault.Error
			if !errors.As(err, &got) || got.Kind != fault.Invalid || got.Field != test.field {
				t.Errorf("got %v, want fault.Invalid of %s", err, test.field)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Error("the error repeats a secret")
			}
		})
	}
}
