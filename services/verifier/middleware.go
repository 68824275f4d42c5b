package verifier

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
)

// Middleware lets requests with a good key pass (Authorization: Bearer, RFC 6750) and refuses all others with problem
// details (RFC 9457): 401, or 503 when the authority cannot be asked. A key that has limits is held to them: 403 from an address that
// it may not be used from, 429 when it is used too often, and the RateLimit headers; see admission. Handlers find the caller with
// [caller.From].
func (v *Verifier) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if admitted, ok := v.Admit(w, r); ok {
			next.ServeHTTP(w, admitted)
		}
	})
}

// Admit is the middleware of routers that have middleware of their own: it returns r with its caller, or else has answered.
func (v *Verifier) Admit(w http.ResponseWriter, r *http.Request) (admitted *http.Request, ok bool) {
	key, ok := bearer(r)
	if !ok {
		refuse(w, r, fault.BadCredential())
		return nil, false
	}
	who, err := v.Verify(r.Context(), key)
	if err != nil {
		refuse(w, r, err)
		return nil, false
	}
	if who.Limits != nil && !v.within(w, r, who) {
		return nil, false
	}
	return r.WithContext(caller.With(r.Context(), who)), true
}

// within holds who to the limits of its key, or else has answered.
func (v *Verifier) within(w http.ResponseWriter, r *http.Request, who *caller.Caller) bool {
	decision, err := v.gate.Admit(who, v.cfg.ClientAddr(r))
	decision.SetHeaders(w.Header())
	if err != nil {
		refuse(w, r, err)
	}
	return err == nil
}

// peer returns the address of the other end of a request's connection.
func peer(r *http.Request) netip.Addr {
	if address, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return address.Addr()
	}
	address, _ := netip.ParseAddr(r.RemoteAddr)
	return address
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
