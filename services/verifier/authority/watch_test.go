package authority_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/verifier/authority"
)

// pipe is a transport whose answer is what the test writes into it.
type pipe struct {
	status int
	body   io.ReadCloser
	asked  chan *http.Request
}

// RoundTrip answers at once. As on the network, reading fails when the request's context ends.
func (p pipe) RoundTrip(r *http.Request) (*http.Response, error) {
	p.asked <- r
	context.AfterFunc(r.Context(), func() { _ = p.body.Close() })
	return &http.Response{StatusCode: p.status, Header: http.Header{}, Body: p.body, Request: r}, nil
}

func piped(t *testing.T) (*authority.Client, pipe, *io.PipeWriter) {
	t.Helper()
	r, w := io.Pipe()
	p := pipe{http.StatusOK, r, make(chan *http.Request, 1)}
	c, err := authority.New(authority.Config{URL: "http://keymanager", ServiceSecret: secret, Transport: p})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return c, p, w
}

func say(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

func TestWatchHandsEventsOnAsTheyCome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, p, w := piped(t)
		events, ended := make(chan introspection.Event, 10), make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			ended <- c.Watch(ctx, "a1", 7, func(e introspection.Event) error {
				events <- e
				return nil
			})
		}()
		query := (<-p.asked).URL.Query()
		if query.Get(introspection.WatchAuthorityParam) != "a1" || query.Get(introspection.WatchAfterParam) != "7" {
			t.Errorf("asked for %v", query)
		}
		say(t, w, `{"authority":"a1","revision":7}`+"\n")
		if e := <-events; e.Authority != "a1" || e.Revision != 7 {
			t.Errorf("got %+v", e)
		}
		for range 10 {
			time.Sleep(2 * time.Second)
			say(t, w, "\n")
		}
		say(t, w, `{"revision":8,"kind":"context","context":"acme"}`+"\n")
		if e := <-events; e != (introspection.Event{Revision: 8, Kind: introspection.SubjectContext, Context: "acme"}) {
			t.Errorf("got %+v", e)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	})
}

func TestWatchGivesASilentStreamUp(t *testing.T) {
	t.Parallel()
	for name, begun := range map[string]bool{"from the start": false, "after an event": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, p, w := piped(t)
				ended := make(chan error, 1)
				go func() { ended <- c.Watch(t.Context(), "", 0, func(introspection.Event) error { return nil }) }()
				<-p.asked
				if begun {
					time.Sleep(2 * time.Second)
					say(t, w, `{"revision":7}`+"\n")
				}
				start := time.Now()
				err := <-ended
				if waited := time.Since(start); err == nil || waited != 3*time.Second {
					t.Errorf("it ended with %v after %v of silence", err, waited)
				}
			})
		})
	}
}

func TestWatchTellsWhyThereIsNoStream(t *testing.T) {
	t.Parallel()
	for _, kind := range []fault.Kind{fault.Unavailable, fault.Unauthenticated, fault.Conflict} {
		c := client(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(kind.Status())
			_ = json.NewEncoder(w).Encode(fault.ProblemOf(fault.New(kind, "said so"), r.URL.Path, ""))
		})
		want := fault.Internal
		if kind == fault.Unavailable {
			want = fault.AuthorityUnavailable
		}
		err := c.Watch(t.Context(), "", 0, func(introspection.Event) error { return errors.New("an event") })
		if err == nil || fault.KindOf(err) != want {
			t.Errorf("%v became %v", kind, err)
		}
	}
}
