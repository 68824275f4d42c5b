// Package authoritytest is a small key manager for tests of the data plane: it knows the keys and tokens that a test gave it, speaks the
// wire of contract/introspection, and answers the management API with what it was asked.
package authoritytest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// Authority is an in-memory key manager. It is a transport, too: it answers whatever is sent through it.
type Authority struct {
	// Management answers every route that is not internal; nil means a 204.
	Management http.Handler

	mu       sync.Mutex // guards the following fields
	down     bool
	verdicts map[apikey.Digest]introspection.Verdict
	// principals are by incarnation and id.
	principals map[[2]string]*caller.Principal
	// accounts are the verdicts on what every token of one shares, by its id.
	accounts map[string]introspection.Verdict
	purges   []introspection.Purge
	done     []string
	jobs     []introspection.Job
	jobsDone []string
}

// New returns an Authority that knows nobody.
func New() *Authority {
	return &Authority{
		verdicts:   make(map[apikey.Digest]introspection.Verdict),
		principals: make(map[[2]string]*caller.Principal),
		accounts:   make(map[string]introspection.Verdict),
	}
}

// Key mints a key for a principal with the given grants and returns its text. The principal's id is its name.
func (a *Authority) Key(tb testing.TB, contextID, incarnation, principal string, grants grant.Map) string {
	tb.Helper()
	return a.mint(tb, introspection.Verdict{
		Active: true, Context: contextID, Incarnation: incarnation, KeyName: principal,
		Principal: &caller.Principal{ID: principal, DisplayName: principal, Kind: caller.Agent, Grants: grants},
	})
}

// KeyOf mints a key for principal.
func (a *Authority) KeyOf(tb testing.TB, contextID, incarnation string, principal caller.Principal) string {
	tb.Helper()
	return a.mint(tb, introspection.Verdict{
		Active: true, Context: contextID, Incarnation: incarnation, KeyName: principal.ID, Principal: &principal,
	})
}

// AttenuatedKey mints a key that may do less than its principal.
func (a *Authority) AttenuatedKey(tb testing.TB, contextID, incarnation, principal string, grants, key grant.Map) string {
	tb.Helper()
	return a.mint(tb, introspection.Verdict{
		Active: true, Context: contextID, Incarnation: incarnation, KeyName: principal, KeyGrants: key,
		Principal: &caller.Principal{ID: principal, DisplayName: principal, Kind: caller.Agent, Grants: grants},
	})
}

// BlockedKey mints a key of a context whose calls to language models are stopped.
func (a *Authority) BlockedKey(tb testing.TB, contextID, incarnation, principal string, grants grant.Map) string {
	tb.Helper()
	return a.mint(tb, introspection.Verdict{
		Active: true, Context: contextID, Incarnation: incarnation, KeyName: principal, Blocked: true,
		Principal: &caller.Principal{ID: principal, DisplayName: principal, Kind: caller.Agent, Grants: grants},
	})
}

// LimitedKey mints a key that may be used so often, from these networks.
func (a *Authority) LimitedKey(tb testing.TB, contextID, incarnation, principal string, grants grant.Map, limits caller.Limits) string {
	tb.Helper()
	return a.mint(tb, introspection.Verdict{
		Active: true, Context: contextID, Incarnation: incarnation, KeyName: principal, Limits: &limits,
		Principal: &caller.Principal{ID: principal, DisplayName: principal, Kind: caller.Agent, Grants: grants},
	})
}

// DeadKey mints a key that opens nothing any more.
func (a *Authority) DeadKey(tb testing.TB) string {
	tb.Helper()
	return a.mint(tb, introspection.Verdict{})
}

func (a *Authority) mint(tb testing.TB, verdict introspection.Verdict) string {
	tb.Helper()
	key, err := apikey.Mint(apikey.NewID())
	if err != nil {
		tb.Fatal(err)
	}
	verdict.KeyID = key.ID()
	a.mu.Lock()
	defer a.mu.Unlock()
	if p := verdict.Principal; p != nil {
		a.principals[[2]string{verdict.Incarnation, p.ID}] = p
	}
	a.verdicts[key.Digest()] = verdict
	return key.Reveal()
}

// Expire lets a key of this text expire in a while; at once, when nothing is left.
func (a *Authority) Expire(tb testing.TB, text string, left time.Duration) {
	tb.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	digest := apikey.DigestOf(text)
	verdict, known := a.verdicts[digest]
	if !known {
		tb.Fatal("no such key")
	}
	if verdict.ExpiresInMicros = left.Microseconds(); left <= 0 {
		verdict = introspection.Verdict{}
	}
	a.verdicts[digest] = verdict
}

// Delete deletes a context: its keys open nothing, and its rows wait to be purged.
func (a *Authority) Delete(incarnation string, final bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for digest, verdict := range a.verdicts {
		if verdict.Incarnation == incarnation {
			a.verdicts[digest] = introspection.Verdict{}
		}
	}
	a.purges = append(a.purges, introspection.Purge{Incarnation: incarnation, Final: final})
}

// Ask asks for a job, which is handed out once.
func (a *Authority) Ask(job introspection.Job) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.jobs = append(a.jobs, job)
}

// JobDone reports whether a data plane has said that a job is done.
func (a *Authority) JobDone(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Contains(a.jobsDone, id)
}

// Purged reports whether a data plane has said that the rows of a context are gone.
func (a *Authority) Purged(incarnation string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Contains(a.done, incarnation)
}

// SetDown makes the authority unreachable, or reachable again.
func (a *Authority) SetDown(down bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down = down
}

// RoundTrip answers r without a network.
func (a *Authority) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	down := a.down
	a.mu.Unlock()
	if down {
		return nil, fmt.Errorf("dialling %s: refused", r.URL.Host)
	}
	in := r.Clone(r.Context())
	in.RequestURI = r.URL.RequestURI()
	in.Host = cmp.Or(r.Host, r.URL.Host)
	if in.Body == nil {
		in.Body = http.NoBody
	}
	recorder := httptest.NewRecorder()
	a.ServeHTTP(recorder, in)
	answer := recorder.Result()
	answer.Request = r
	return answer, nil
}

// ServeHTTP serves the internal API and leaves the rest to Management.
func (a *Authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case !strings.HasPrefix(r.URL.Path, "/internal/"):
		if a.Management != nil {
			a.Management.ServeHTTP(w, r)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	case !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ey"):
		w.WriteHeader(http.StatusUnauthorized)
	case r.URL.Path == introspection.Path:
		a.introspect(w, r)
	case r.URL.Path == introspection.StandingPath:
		reply(w, a.standing(r.URL.Query().Get(introspection.StandingContextParam)))
	case strings.HasPrefix(r.URL.Path, introspection.JobsPath):
		a.job(w, r)
	default:
		a.purge(w, r)
	}
}

func (a *Authority) introspect(w http.ResponseWriter, r *http.Request) {
	var request introspection.Request
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var response introspection.Response
	for _, digest := range request.Digests {
		response.Verdicts = append(response.Verdicts, a.verdicts[digest])
	}
	for _, target := range request.Targets {
		response.Targets = append(response.Targets, a.principals[[2]string{response.Verdicts[target.Key].Incarnation, target.Principal}])
	}
	reply(w, response)
}

func (a *Authority) purge(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.Method == http.MethodGet {
		reply(w, a.purges)
		return
	}
	incarnation := strings.TrimPrefix(r.URL.Path, introspection.PurgesPath+"/")
	a.done = append(a.done, incarnation)
	a.purges = slices.DeleteFunc(a.purges, func(p introspection.Purge) bool { return p.Incarnation == incarnation })
	w.WriteHeader(http.StatusNoContent)
}

func (a *Authority) job(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.Method == http.MethodPost {
		reply(w, append([]introspection.Job{}, a.jobs...))
		a.jobs = nil
		return
	}
	a.jobsDone = append(a.jobsDone, strings.TrimPrefix(r.URL.Path, introspection.JobsPath+"/"))
	w.WriteHeader(http.StatusNoContent)
}

func reply(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) // a recorder takes everything
}
