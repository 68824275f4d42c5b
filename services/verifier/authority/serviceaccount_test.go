package authority_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/verifier/authority"
)

// accountCalls are the methods about service accounts, by the path that each asks.
var accountCalls = map[string]func(context.Context, *authority.Client, introspection.Identity) (any, error){
	introspection.StandingPath: func(ctx context.Context, c *authority.Client, _ introspection.Identity) (any, error) {
		return c.Standing(ctx, "a&b")
	},
	introspection.FirstAccountPath: func(ctx context.Context, c *authority.Client, _ introspection.Identity) (any, error) {
		return c.FirstAccount(ctx, introspection.FirstAccount{Context: "default"})
	},
	introspection.ListAccountsPath: func(ctx context.Context, c *authority.Client, who introspection.Identity) (any, error) {
		return c.ListAccounts(ctx, who, introspection.ListErrand{Limit: 1})
	},
	introspection.GetAccountPath: func(ctx context.Context, c *authority.Client, who introspection.Identity) (any, error) {
		return c.GetAccount(ctx, who, introspection.AccountErrand{ID: "sa_x"})
	},
	introspection.CreateAccountPath: func(ctx context.Context, c *authority.Client, who introspection.Identity) (any, error) {
		return c.CreateAccount(ctx, who, introspection.AccountDraft{Name: "x"})
	},
	introspection.EditAccountPath: func(ctx context.Context, c *authority.Client, who introspection.Identity) (any, error) {
		return c.EditAccount(ctx, who, introspection.AccountEdit{ID: "sa_x"})
	},
	introspection.RevokeAccountPath: func(ctx context.Context, c *authority.Client, who introspection.Identity) (any, error) {
		return c.RevokeAccount(ctx, who, introspection.AccountErrand{ID: "sa_x"})
	},
	introspection.ListTokensPath: func(ctx context.Context, c *authority.Client, who introspection.Identity) (any, error) {
		return c.ListTokens(ctx, who, introspection.TokenListErrand{AccountID: "sa_x"})
	},
	introspection.MintTokenPath: func(ctx context.Context, c *authority.Client, who introspection.Identity) (any, error) {
		return c.MintToken(ctx, who, introspection.TokenDraft{AccountID: "sa_x"})
	},
	introspection.RotateTokensPath: func(ctx context.Context, c *authority.Client, who introspection.Identity) (any, error) {
		return c.RotateTokens(ctx, who, introspection.TokenDraft{AccountID: "sa_x"})
	},
	introspection.RevokeTokenPath: func(ctx context.Context, c *authority.Client, who introspection.Identity) (any, error) {
		return c.RevokeToken(ctx, who, introspection.TokenErrand{AccountID: "sa_x"})
	},
}

func TestServiceAccountsAreAskedAboutWhereTheyAre(t *testing.T) {
	t.Parallel()
	for path, call := range accountCalls {
		c := client(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != path {
				t.Errorf("asked %s, want %s", r.URL.Path, path)
			}
			if path == introspection.StandingPath && (r.Method != http.MethodGet || r.URL.Query().Get(introspection.StandingContextParam) != "a&b") {
				t.Errorf("%s %s", r.Method, r.URL)
			}
			answer := `{"id":"x"}`
			if strings.HasSuffix(path, "/list") {
				answer = `[{"id":"x"}]`
			}
			_, _ = w.Write([]byte(answer))
		})
		if out, err := call(t.Context(), c, introspection.Identity{Context: "default"}); err != nil {
			t.Errorf("%s: %v", path, err)
		} else if text, _ := json.Marshal(out); path != introspection.StandingPath && !strings.Contains(string(text), `"x"`) {
			t.Errorf("%s: read %s", path, text)
		}
	}
}

// What the key manager refuses is told to the caller as it is, with the code and the scope that is missing.
func TestRefusalsAboutServiceAccountsComeThrough(t *testing.T) {
	t.Parallel()
	said := &fault.Error{Kind: fault.Forbidden, Message: "no", Field: "f", Code: "SCOPE_FORBIDDEN", RequiredScope: "admin"}
	for path, call := range accountCalls {
		c := client(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(said.Kind.Status())
			_ = json.NewEncoder(w).Encode(fault.ProblemOf(said, r.URL.Path, ""))
		})
		_, err := call(t.Context(), c, introspection.Identity{Context: "default"})
		var got *fault.Error
		if !errors.As(err, &got) || cmp.Diff(said, got) != "" {
			t.Errorf("%s: got %v", path, err)
		}
	}
}
