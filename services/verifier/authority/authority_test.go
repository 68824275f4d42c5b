package authority_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/verifier/authority"
)

var secret = []byte(strings.Repeat("s", introspection.MinServiceSecret))

func client(t *testing.T, handler http.HandlerFunc) *authority.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c, err := authority.New(authority.Config{URL: server.URL + "/", ServiceSecret: secret, Subject: "replica-1"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func digest(t *testing.T) apikey.Digest {
	t.Helper()
	key, err := apikey.Mint(apikey.NewID())
	if err != nil {
		t.Fatal(err)
	}
	return key.Digest()
}

func TestIntrospectSendsDigestsUnderAServiceToken(t *testing.T) {
	t.Parallel()
	want := digest(t)
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		var req introspection.Request
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil || len(req.Digests) != 1 || req.Digests[0] != want {
			t.Errorf("body: %v, %d digests", err, len(req.Digests))
		}
		if r.Method != http.MethodPost || r.URL.Path != introspection.Path || !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ey") {
			t.Errorf("%s %s without a token", r.Method, r.URL.Path)
		}
		_ = json.NewEncoder(w).Encode(introspection.Response{AsOf: 7, Verdicts: make([]introspection.Verdict, 1)})
	})
	answer, err := c.Introspect(t.Context(), introspection.Request{Digests: []apikey.Digest{want}})
	if err != nil || answer.AsOf != 7 || len(answer.Verdicts) != 1 {
		t.Errorf("%+v, %v", answer, err)
	}
}

// An answer that would be too long is asked for in parts, and is as old as the oldest of them.
func TestIntrospectSplitsWhatIsTooLong(t *testing.T) {
	t.Parallel()
	digests := make([]apikey.Digest, 5)
	for i := range digests {
		digests[i] = digest(t)
	}
	asOf := int64(9)
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		var req introspection.Request
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			t.Error(err)
		}
		if len(req.Digests) > 2 {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			_ = json.NewEncoder(w).Encode(fault.ProblemOf(fault.New(fault.TooLarge, "too long"), r.URL.Path, ""))
			return
		}
		answer := introspection.Response{AsOf: asOf}
		asOf++
		for _, asked := range req.Digests {
			answer.Verdicts = append(answer.Verdicts, introspection.Verdict{KeyID: string(rune('a' + slices.Index(digests, asked)))})
		}
		for _, target := range req.Targets {
			if want := string(rune('a' + slices.Index(digests, req.Digests[target.Key]))); target.Principal != want {
				t.Errorf("asked about %s for the key of %s", target.Principal, want)
			}
			answer.Targets = append(answer.Targets, &caller.Principal{ID: target.Principal})
		}
		_ = json.NewEncoder(w).Encode(answer)
	})
	// Each key with its own principal, in another order than the keys.
	request := introspection.Request{Digests: digests}
	for _, place := range []int{4, 0, 2, 1, 3} {
		request.Targets = append(request.Targets, introspection.Target{Key: place, Principal: string(rune('a' + place))})
	}
	answer, err := c.Introspect(t.Context(), request)
	if err != nil || answer.AsOf != 9 {
		t.Fatalf("as of %d, %v", answer.AsOf, err)
	}
	var got string
	for _, v := range answer.Verdicts {
		got += v.KeyID
	}
	if got != "abcde" {
		t.Errorf("verdicts on %q, want abcde", got)
	}
	got = ""
	for _, p := range answer.Targets {
		got += p.ID
	}
	if got != "eacbd" {
		t.Errorf("answers about %q, want eacbd", got)
	}
}

func TestAnswersBecomeFaults(t *testing.T) {
	t.Parallel()
	problem := func(kind fault.Kind) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(kind.Status())
			_ = json.NewEncoder(w).Encode(fault.ProblemOf(fault.New(kind, "said so"), r.URL.Path, ""))
		}
	}
	text := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	introspect := func(ctx context.Context, c *authority.Client) error {
		_, err := c.Introspect(ctx, introspection.Request{Digests: make([]apikey.Digest, 1)})
		return err
	}
	bootstrap := func(ctx context.Context, c *authority.Client) error {
		return c.Bootstrap(ctx, introspection.Enrolment{})
	}
	tests := []struct {
		name    string
		handler http.HandlerFunc
		call    func(context.Context, *authority.Client) error
		want    fault.Kind
	}{
		{"5xx", problem(fault.Internal), introspect, fault.AuthorityUnavailable},
		{"a proxy's page", text(http.StatusBadGateway, "<html>"), introspect, fault.AuthorityUnavailable},
		{"wrong secret", problem(fault.Unauthenticated), introspect, fault.Internal},
		{"bad question", problem(fault.Invalid), introspect, fault.Internal},
		{"too long for one key", problem(fault.TooLarge), introspect, fault.TooLarge},
		{"too few verdicts", text(http.StatusOK, `{"as_of":1,"verdicts":[]}`), introspect, fault.Internal},
		{"not JSON", text(http.StatusOK, "hello"), introspect, fault.Internal},
		{"redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, introspect, fault.Internal},
		{"bootstrapped before", problem(fault.AlreadyDone), bootstrap, fault.AlreadyDone},
		{"bad context id", problem(fault.Unprocessable), bootstrap, fault.Unprocessable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := tt.call(t.Context(), client(t, tt.handler))
			if err == nil || fault.KindOf(err) != tt.want {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestUnreachableAuthority(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	c, err := authority.New(authority.Config{URL: server.URL, ServiceSecret: secret})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Bootstrap(t.Context(), introspection.Enrolment{}); !errors.Is(err, fault.AuthorityUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	for _, cfg := range []authority.Config{
		{URL: "", ServiceSecret: secret},
		{URL: "keymanager:9091", ServiceSecret: secret},
		{URL: "ftp://keymanager", ServiceSecret: secret},
		{URL: "http://keymanager:9091", ServiceSecret: secret[1:]},
	} {
		if _, err := authority.New(cfg); err == nil {
			t.Errorf("New(%q) succeeded", cfg.URL)
		}
	}
}

func TestJobsAreTakenAndReported(t *testing.T) {
	t.Parallel()
	want := []introspection.Job{{ID: "j/1", Kind: introspection.JobReindex, Incarnation: "acme.1"}}
	reported := ""
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Path == introspection.JobsPath {
			_ = json.NewEncoder(w).Encode(want)
			return
		}
		reported = r.Method + " " + r.URL.EscapedPath()
		w.WriteHeader(http.StatusNoContent)
	})
	got, err := c.Jobs(t.Context())
	if err != nil || len(got) != 1 || got[0] != want[0] {
		t.Errorf("%+v, %v", got, err)
	}
	if err := c.JobDone(t.Context(), got[0].ID); err != nil || reported != "DELETE "+introspection.JobsPath+"/j%2F1" {
		t.Errorf("reported %q, %v", reported, err)
	}
}
