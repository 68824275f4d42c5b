package verifier

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
)

// Middleware lets requests with a good key pass (Authorization: Bearer, RFC 6750) and refuses all others with problem
// details (RFC 9457): 401, or 503 when the authority cannot be asked. Handlers find the caller with [caller.From].
func (v *Verifier) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := v.authenticate(r)
		if err != nil {
			refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(caller.With(r.Context(), who)))
	})
}

func (v *Verifier) authenticate(r *http.Request) (*caller.Caller, error) {
	key, ok := bearer(r)
	if !ok {
		return nil, fault.BadCredential()
	}
	return v.Verify(r.Context(), key)
}

// bearer returns the credential of a request that has exactly one.
func bearer(r *http.Request) (string, bool) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, key, ok := strings.Cut(values[0], " ")
	key = strings.TrimLeft(key, " ")
	return key, ok && key != "" && strings.EqualFold(scheme, "Bearer")
}

func refuse(w http.ResponseWriter, r *http.Request, err error) {
	problem := fault.ProblemOf(err, r.URL.EscapedPath(), "")
	var e *fault.Error
	if errors.As(err, &e) && e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((e.RetryAfter+time.Second-1)/time.Second)))
	}
	if problem.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.Header().Set("Content-Type", fault.ContentType)
	w.WriteHeader(problem.Status)
	_ = json.NewEncoder(w).Encode(problem) // the client has gone
}
