package verifier_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/verifier"
	"github.com/spectron-hq/spectron/services/verifier/ginverifier"
)

// doors are the two ways to put a verifier in front of a handler that answers with the caller's context.
func doors(v *verifier.Verifier) map[string]http.Handler {
	plain := v.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, _ := caller.From(r.Context())
		_, _ = io.WriteString(w, who.Context)
	}))
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.GET("/x", ginverifier.Middleware(v), func(c *gin.Context) {
		who, _ := caller.From(c.Request.Context())
		c.String(http.StatusOK, who.Context)
	})
	return map[string]http.Handler{"net/http": plain, "gin": engine}
}

func TestMiddleware(t *testing.T) {
	t.Parallel()
	r := newRegistry()
	v := open(t, r, verifier.Config{})
	key := r.mint(t).Reveal()
	unknown := newRegistry().mint(t).Reveal()
	token := r.mintToken(t, apikey.NewAccountID(), nil).Reveal()
	strange := newRegistry().mintToken(t, apikey.NewAccountID(), nil).Reveal()
	tests := []struct {
		name    string
		headers []string
		status  int
	}{
		{"good", []string{"Bearer " + key}, http.StatusOK},
		{"good, scheme in lower case", []string{"bearer " + key}, http.StatusOK},
		{"a token", []string{"Bearer " + token}, http.StatusOK},
		{"missing", nil, http.StatusUnauthorized},
		{"raw", []string{key}, http.StatusUnauthorized},
		{"another scheme", []string{"Basic " + key}, http.StatusUnauthorized},
		{"twice", []string{"Bearer " + key, "Bearer " + key}, http.StatusUnauthorized},
		{"unknown", []string{"Bearer " + unknown}, http.StatusUnauthorized},
		{"an unknown token", []string{"Bearer " + strange}, http.StatusUnauthorized},
		{"no token", []string{"Bearer " + token + "x"}, http.StatusUnauthorized},
	}
	for door, handler := range doors(v) {
		var refusal *fault.Problem
		for _, tt := range tests {
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/x", nil)
			req.Header["Authorization"] = tt.headers
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, req)
			if answer.Code != tt.status {
				t.Errorf("%s, %s: %d, want %d", door, tt.name, answer.Code, tt.status)
				continue
			}
			if tt.status == http.StatusOK {
				if answer.Body.String() != "acme" {
					t.Errorf("%s, %s: the handler found %q", door, tt.name, answer.Body)
				}
				continue
			}
			var problem fault.Problem
			if err := json.Unmarshal(answer.Body.Bytes(), &problem); err != nil {
				t.Fatal(err)
			}
			if refusal == nil {
				refusal = &problem
			}
			if diff := cmp.Diff(*refusal, problem); diff != "" || answer.Header().Get("WWW-Authenticate") == "" {
				t.Errorf("%s, %s is told apart: %s", door, tt.name, diff)
			}
		}
	}
}

func TestMiddlewareSaysWhenToTryAgain(t *testing.T) {
	t.Parallel()
	r := newRegistry()
	v := open(t, r, verifier.Config{})
	key := r.mint(t).Reveal()
	r.set(func() {
		cut := fault.New(fault.AuthorityUnavailable, "cut")
		cut.RetryAfter = 1
		r.err = cut
	})
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/x", nil)
	req.Header.Set("Authorization", "Bearer "+key)
	answer := httptest.NewRecorder()
	doors(v)["net/http"].ServeHTTP(answer, req)
	if answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") != "1" {
		t.Errorf("%d, Retry-After %q", answer.Code, answer.Header().Get("Retry-After"))
	}
}
