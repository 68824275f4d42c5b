package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/contract/scope"
	"github.com/spectron-hq/spectron/services/keymanager/internal/httpapi"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
)

// renew renews as a verifier does.
func (s *server) renew(t *testing.T, renewal introspection.Renewal) introspection.Lease {
	t.Helper()
	return into[introspection.Lease](t, s.send("POST", introspection.LeasesPath, serviceToken(t), renewal), http.StatusOK)
}

func TestLeases(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		stranger := s.renew(t, introspection.Renewal{Verifier: "v"})
		if stranger.Authority == "" || stranger.TTLMicros != 0 {
			t.Errorf("one that knows no authority is told %+v", stranger)
		}
		want := introspection.Lease{Authority: stranger.Authority, TTLMicros: lease.Microseconds(), CatchUpTo: 1}
		if got := s.renew(t, introspection.Renewal{Verifier: "v", Authority: stranger.Authority}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		want.TTLMicros, want.CatchUpTo = 0, 0
		ahead := introspection.Renewal{Verifier: "v", Authority: stranger.Authority, Acknowledged: 2}
		if got := s.renew(t, ahead); got != want {
			t.Errorf("one that is ahead is told %+v, want %+v", got, want)
		}
		for field, body := range map[string]string{
			"verifier": `{"verifier":""}`, "more": `{"verifier":"v","more":1}`, "acknowledged": `{"acknowledged":"x"}`,
		} {
			refused(t, s.send("POST", introspection.LeasesPath, serviceToken(t), body), fault.Invalid, field)
		}
		refused(t, s.send("POST", introspection.LeasesPath, serviceToken(t), `{"verifier":"\u0000"}`), fault.Invalid, "verifier")
		refused(t, s.send("POST", introspection.LeasesPath, serviceToken(t), `{"verifier":"v","authority":"\u0000"}`), fault.Invalid, "authority")
	})
}

func TestUses(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		id := apikey.NewID()
		report := func(body any) answer { return s.send("POST", introspection.UsesPath, serviceToken(t), body) }
		into[struct{}](t, report(introspection.Uses{Uses: []introspection.Use{{KeyID: id}, {KeyID: id, AgoMicros: 60_000_000}}}), http.StatusNoContent)
		into[struct{}](t, report(`{"uses":[]}`), http.StatusNoContent)
		var n int64
		must(t, s.db.Reader(t.Context()).Raw("SELECT count(*) FROM key_uses WHERE key_id = ?", id).Row().Scan(&n))
		if n != 2 {
			t.Errorf("%d rows, want one for each of two minutes", n)
		}
		most := introspection.Uses{Uses: make([]introspection.Use, introspection.MaxUses+1)}
		for i := range most.Uses {
			most.Uses[i].KeyID = id
		}
		refused(t, report(most), fault.Invalid, "uses")
		most.Uses = most.Uses[1:]
		into[struct{}](t, report(most), http.StatusNoContent)
		for field, body := range map[string]string{
			"": "{", "more": `{"uses":[],"more":1}`, "uses": `{"uses":[{"key_id":"x","ago_us":0}]}`,
		} {
			refused(t, report(body), fault.Invalid, field)
		}
		// The last of these would count as in the future, were it multiplied as it is.
		for _, ago := range []int64{-1, 25 * 3600 * 1e6, 1 << 62, 1<<63 - 1} {
			refused(t, report(introspection.Uses{Uses: []introspection.Use{{KeyID: id, AgoMicros: ago}}}), fault.Invalid, "uses")
		}
	})
}

// serve serves s on the network until stop, which returns when nothing is in flight.
func (s *server) serve(t *testing.T) (url string, stop func()) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.parts.Feed.Run(ctx) })
	served := make(chan error, 1)
	go func() { served <- web.Serve(ctx, listener, s.handler, web.Drain{}, slog.New(slog.DiscardHandler)) }()
	stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		if err := <-served; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	t.Cleanup(stop)
	return "http://" + listener.Addr().String(), stop
}

// openWatch opens a watch stream, which ends with the test.
func openWatch(t *testing.T, url, query string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+introspection.WatchPath+query, http.NoBody)
	must(t, err)
	r.Header.Set("Authorization", "Bearer "+serviceToken(t))
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	must(t, err)
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

func TestWatch(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		for _, query := range []string{"", "?after=", "?after=x", "?after=1.5", "?after=99999999999999999999"} {
			refused(t, s.send("GET", introspection.WatchPath+query, serviceToken(t), nil), fault.Invalid, "after")
		}
		base, stop := s.serve(t)
		stream := openWatch(t, base, "?after=0") //nolint:bodyclose // openWatch does //nolint:bodyclose // openWatch closes it with the test
		if stream.StatusCode != http.StatusOK || stream.Header.Get("Content-Type") != "application/x-ndjson" {
			t.Fatalf("status %d, %q", stream.StatusCode, stream.Header.Get("Content-Type"))
		}
		lines := bufio.NewScanner(stream.Body)
		signs := 0
		next := func() (e introspection.Event) {
			t.Helper()
			for lines.Scan() {
				if lines.Text() == "" {
					signs++
					continue
				}
				must(t, json.Unmarshal(lines.Bytes(), &e))
				return e
			}
			t.Fatalf("the stream ended: %v", lines.Err())
			return e
		}
		first := next()
		if first.Authority == "" || !first.Reset || first.Revision != 1 || first.Kind != "" {
			t.Errorf("it begins with %+v", first)
		}
		parsed, err := apikey.Parse(s.first)
		must(t, err)
		into[httpapi.MintedKey](t, s.operate("POST", keys+"/default/rotate", nil), http.StatusOK)
		want := introspection.Event{Revision: 2, Kind: introspection.SubjectKey, Context: "default", ID: parsed.ID()}
		if got := next(); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		into[struct{}](t, s.operate("DELETE", "/api/v1/contexts/default", nil), http.StatusNoContent)
		want = introspection.Event{Revision: 3, Kind: introspection.SubjectContext, Context: "default"}
		if got := next(); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		resumed := openWatch(t, base, "?after=2&authority="+first.Authority) //nolint:bodyclose // openWatch does //nolint:bodyclose // openWatch closes it with the test
		two := bufio.NewReader(resumed.Body)
		for _, want := range []introspection.Event{{Authority: first.Authority, Revision: 2}, want} {
			line, err := two.ReadString('\n')
			must(t, err)
			var got introspection.Event
			must(t, json.Unmarshal([]byte(line), &got))
			if got != want {
				t.Errorf("resumed: got %+v, want %+v", got, want)
			}
		}
		start := time.Now()
		stop()
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("the server drained for %v", took)
		}
		if rest, err := io.ReadAll(stream.Body); err != nil || strings.TrimSpace(string(rest)) != "" {
			t.Errorf("the stream ends with %q, %v", rest, err)
		}
	})
}

// Whatever narrows is answered when the verifiers know, and not before.
func TestChangesWaitForVerifiers(t *testing.T) {
	t.Parallel()
	// again is the status of the same call once more, which finds nothing left to do: it must not be answered sooner.
	changes := []struct {
		name, method, target, body string
		again                      int
	}{
		{"rotate", "POST", keys + "/k/rotate", "", 0},
		{"disable a key", "PATCH", keys + "/k", `{"enabled":false}`, http.StatusOK},
		{"enable a key", "PATCH", keys + "/k", `{"enabled":true}`, http.StatusOK},
		{"limit a key", "PATCH", keys + "/k", `{"rate_limit":{"requests":1,"per_seconds":60}}`, http.StatusOK},
		{"allow a key a network", "PATCH", keys + "/k", `{"allowed_cidrs":["10.0.0.0/8"]}`, http.StatusOK},
		{"import a key", "POST", keys + "/import", `{"keys":[{"name":"imported","hash":"` + hashOf("another-system_0123456789") + `"}]}`, 0},
		{"revoke what has leaked", "POST", revokePath, `{"digests":["` + digestOf("another-system_0123456789") + `"]}`, http.StatusOK},
		{"delete a key", "DELETE", keys + "/k", "", http.StatusNotFound},
		{"patch the policy", "PATCH", contextPath, `{"config":{"max_token_ttl_seconds":60}}`, http.StatusOK},
		{"block enforcement", "PATCH", contextPath, `{"enforcement_blocked":true}`, http.StatusOK},
		{"take a grant", "DELETE", principals + "/admin/grants", `{"path":"/*","verbs":["memory:read"]}`, 0},
		{"give a grant", "POST", principals + "/admin/grants", `{"path":"/*","verbs":["memory:read"]}`, 0},
		{"patch grants", "PATCH", principals + "/admin", `{"grants":{}}`, 0},
		{"patch a kind", "PATCH", principals + "/admin", `{"kind":"agent"}`, 0},
		{"rotate a principal's key", "POST", principals + "/admin/keys/default/rotate", "", 0},
		{"delete a principal's key", "DELETE", principals + "/admin/keys/default", "", http.StatusNotFound},
		{"delete a principal", "DELETE", principals + "/%s", "", http.StatusNotFound},
		{"delete a context", "DELETE", contextPath, "", http.StatusNotFound},
	}
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		// Long leases: nothing passes but by acknowledgement, however slow the machine.
		leases := revision.NewLeases(s.records, time.Minute, s.barrier)
		identity := s.renew(t, introspection.Renewal{Verifier: "v"}).Authority
		into[httpapi.MintedKey](t, s.operate("POST", keys+"/k", nil), http.StatusCreated)
		other := into[httpapi.MintedKey](t, s.operate("POST", keys+"/other", nil), http.StatusCreated)
		for i, change := range changes {
			revision := int64(i + 2)
			grant := func(acknowledged int64) {
				t.Helper()
				_, err := leases.Renew(t.Context(), introspection.Renewal{Verifier: "v", Authority: identity, Acknowledged: acknowledged})
				must(t, err)
			}
			grant(revision - 1)
			answered := make(chan answer, 1)
			var body any
			if change.body != "" {
				body = change.body
			}
			target := strings.Replace(change.target, "%s", other.PrincipalId, 1)
			go func() { answered <- s.operate(change.method, target, body) }()
			for committed := int64(0); committed < revision && len(answered) == 0; {
				must(t, s.db.Reader(t.Context()).Raw("SELECT coalesce(max(id), 0) FROM revisions").Row().Scan(&committed))
			}
			again := make(chan answer, 1)
			if change.again != 0 {
				go func() { again <- s.operate(change.method, target, body) }()
			}
			start := time.Now()
			select {
			case a := <-again:
				t.Fatalf("%s again: answered %d while a verifier did not know", change.name, a.status)
			case a := <-answered:
				t.Fatalf("%s: answered %d while a verifier did not know", change.name, a.status)
			case <-time.After(pause):
			}
			grant(revision)
			a := <-answered
			if took := time.Since(start); took > 25*lease {
				t.Errorf("%s: answered %v after the acknowledgement", change.name, took)
			}
			if a.status/100 != 2 {
				t.Fatalf("%s: status %d: %s", change.name, a.status, apikey.Redact(string(a.body)))
			}
			if change.again != 0 {
				if a := <-again; a.status != change.again {
					t.Errorf("%s again: status %d", change.name, a.status)
				}
			}
			if i == 0 {
				p := into[httpapi.MintedKey](t, a, http.StatusOK).Propagation
				if p == nil || p.Acknowledged+p.Lapsed != 1 || p.WaitedMs <= 0 {
					t.Errorf("%s: propagation %+v", change.name, p)
				}
			}
		}
	})
}

func TestALapsedVerifierIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		identity := s.renew(t, introspection.Renewal{Verifier: "v"}).Authority
		s.renew(t, introspection.Renewal{Verifier: "v", Authority: identity, Acknowledged: 1})
		p := into[httpapi.MintedKey](t, s.operate("POST", keys+"/default/rotate", nil), http.StatusOK).Propagation
		if p == nil || p.Acknowledged != 0 || p.Lapsed != 1 {
			t.Errorf("propagation %+v, want one lapsed", p)
		}
		p = into[httpapi.MintedKey](t, s.operate("POST", keys+"/default/rotate", nil), http.StatusOK).Propagation
		if p == nil || *p != (httpapi.Propagation{WaitedMs: p.WaitedMs}) {
			t.Errorf("propagation %+v, want nobody", p)
		}
		if minted := into[httpapi.MintedKey](t, s.operate("POST", keys+"/k", nil), http.StatusCreated); minted.Propagation != nil {
			t.Errorf("a mint propagated: %+v", minted.Propagation)
		}
	})
}

// A change whose answer was lost is repeated. The repeat changes nothing, but says that the verifiers know, so it waits, too.
func TestARepeatedChangeWaitsForVerifiers(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		leases := revision.NewLeases(s.records, time.Minute, s.barrier)
		identity := s.renew(t, introspection.Renewal{Verifier: "v"}).Authority
		for _, change := range []struct{ method, target, body string }{
			{"DELETE", principals + "/admin/grants", `{"path":"/*","verbs":["memory:read"]}`},
			{"PATCH", contextPath, `{"config":{"allow_self_service_keys":false}}`},
		} {
			into[struct{}](t, s.operate(change.method, change.target, change.body), http.StatusOK)
			var newest int64
			must(t, s.db.Reader(t.Context()).Raw("SELECT max(id) FROM revisions").Row().Scan(&newest))
			acknowledge := func(revision int64) {
				t.Helper()
				_, err := leases.Renew(t.Context(), introspection.Renewal{Verifier: "v", Authority: identity, Acknowledged: revision})
				must(t, err)
			}
			acknowledge(newest - 1)
			answered := make(chan answer, 1)
			go func() { answered <- s.operate(change.method, change.target, change.body) }()
			select {
			case <-answered:
				t.Errorf("%s %s: the repeat was answered although a verifier did not know", change.method, change.target)
			case <-time.After(pause):
				acknowledge(newest)
				into[struct{}](t, <-answered, http.StatusOK)
			}
			_, err := leases.Renew(t.Context(), introspection.Renewal{Verifier: "v", Release: true})
			must(t, err)
		}
	})
}

// Whatever a principal loses is lost at the next question, whichever of its keys asks.
func TestWhatIsTakenIsRefusedOnTheNextRequest(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		s := founded(t, url)
		p := s.principal(t, `{"display_name":"p","grants":{"memory:read":["/*"],"memory:write":["a/*"]}}`)
		target := principals + "/" + p.Id
		inherits := into[httpapi.MintedKey](t, s.operate("POST", target+"/keys/inherits", nil), http.StatusCreated)
		narrow := into[httpapi.MintedKey](t, s.operate("POST", target+"/keys/narrow", `{"grants":{"memory:write":["a/b"]}}`), http.StatusCreated)
		a, err := scope.ParsePath("a/b")
		must(t, err)
		for _, step := range []struct {
			method, target, body string
			inherits, narrow     bool // may write a/b
		}{
			{"GET", target, "", true, true},
			{"DELETE", target + "/grants", `{"path":"a/b","verbs":["memory:write"]}`, true, true}, // a/* is wider
			{"DELETE", target + "/grants", `{"path":"a/*","verbs":["memory:write"]}`, false, false},
			{"POST", target + "/grants", `{"path":"a/b","verbs":["memory:write"]}`, true, true},
			{"PATCH", target, `{"grants":{"memory:write":["a"]}}`, false, false},
			{"PATCH", target, `{"grants":{"memory:write":["/*"]}}`, true, true},
		} {
			into[struct{}](t, s.operate(step.method, step.target, bodyOf(step.body)), http.StatusOK)
			for name, want := range map[string]bool{inherits.Key: step.inherits, narrow.Key: step.narrow} {
				if got := s.effective(t, name)[grant.MemoryWrite].Matches(a); got != want {
					t.Errorf("after %s %s: %v, want %v", step.method, step.body, got, want)
				}
			}
		}
		into[struct{}](t, s.operate("DELETE", target, nil), http.StatusNoContent)
		if s.active(t, inherits.Key) || s.active(t, narrow.Key) {
			t.Error("a key outlives its principal")
		}
	})
}
