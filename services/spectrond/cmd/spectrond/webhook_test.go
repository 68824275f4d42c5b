package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spectron-hq/spectron/services/chassis/database/dbtest"
	"github.com/spectron-hq/spectron/services/contract/webhook"
)

// A key manager is killed, twice, while changes are made and deliveries of earlier ones are outstanding. Of every change that was
// acknowledged the webhook hears, of those that were on their way once more; and of nothing that did not happen.
func TestWebhooksOutliveAKill(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, database string) {
		p := newPlace(t, database, "SPECTRON_WEBHOOK_ALLOWED_NETWORKS=127.0.0.0/8")
		r := listen(t)
		r.secret = p.tell(t, r.URL)
		const mostUnderWay = 4
		var acknowledged []string
		for round := range 2 {
			minting, end := context.WithCancel(t.Context())
			minted := make(chan []string)
			for client := range 2 {
				go func() { minted <- p.mintUntilKilled(minting, fmt.Sprintf("/told-%d-%d", round, client)) }()
			}
			r.await(t, "as many are under way as may be", func() bool { return len(r.held) >= (round+1)*mostUnderWay })
			p.management.kill()
			end()
			acknowledged = append(acknowledged, append(<-minted, <-minted...)...)
			if round == 1 {
				r.release()
			}
			p.startManagement(t)
		}
		if len(acknowledged) < 2*mostUnderWay {
			t.Fatalf("only %d changes were acknowledged", len(acknowledged))
		}
		// Those under way are tried again when their claims end, after three quarters of a minute.
		r.await(t, "everything acknowledged is told", func() bool {
			for _, id := range acknowledged {
				if !r.told[id] {
					return false
				}
			}
			for message := range r.held {
				if !r.accepted[message] {
					return false
				}
			}
			return true
		})
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, problem := range r.problems {
			t.Error(problem)
		}
		there := p.ids(t)
		for id := range r.told {
			if !there[id] {
				t.Errorf("%s was told of, and is not there", id)
			}
		}
		t.Logf("%d changes were acknowledged, %d deliveries were under way at the kills", len(acknowledged), len(r.held))
	})
}

// tell makes a webhook of everything and returns its secret.
func (p *place) tell(t *testing.T, url string) (secret string) {
	t.Helper()
	got := expect(t, http.StatusCreated, http.MethodPost, p.management.address+"/api/v1/webhooks", p.managementKey, `{"url":"`+url+`"}`)
	var made struct{ Secret string }
	if err := json.Unmarshal([]byte(got.body), &made); err != nil || made.Secret == "" {
		t.Fatalf("a webhook without a secret: %v", err)
	}
	return made.Secret
}

// mintUntilKilled mints keys until it is not answered any more, and returns the ids of those for which it was.
func (p *place) mintUntilKilled(ctx context.Context, prefix string) (ids []string) {
	for i := 0; ctx.Err() == nil; i++ {
		id, err := p.do(ctx, http.MethodPost, fmt.Sprintf("%s-%d", prefix, i), "id")
		if err != nil {
			break
		}
		ids = append(ids, id)
	}
	return ids
}

// ids returns those of all keys.
func (p *place) ids(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for next := p.keys + "?limit=1000"; next != ""; {
		got := expect(t, http.StatusOK, http.MethodGet, next, p.managementKey, "")
		var keys []struct{ ID string }
		if err := json.Unmarshal([]byte(got.body), &keys); err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			out[key.ID] = true
		}
		next = ""
		if path, more := strings.CutSuffix(strings.TrimPrefix(got.header.Get("Link"), "<"), `>; rel="next"`); more {
			next = p.management.address + path
		}
	}
	return out
}

// listener is a webhook that at first answers nothing.
type listener struct {
	*httptest.Server
	release func() // has it answer from then on
	mu      sync.Mutex
	// The rest is guarded by mu. changed is closed and replaced with every request.
	changed  chan struct{}
	secret   string
	held     map[string]bool   // the messages that were not answered
	accepted map[string]bool   // those that were
	told     map[string]bool   // the keys that they are about
	bodies   map[string]string // by message
	problems []error
}

func listen(t *testing.T) *listener {
	t.Helper()
	answering := make(chan struct{})
	l := &listener{
		release: sync.OnceFunc(func() { close(answering) }), changed: make(chan struct{}),
		held: map[string]bool{}, accepted: map[string]bool{}, told: map[string]bool{}, bodies: map[string]string{},
	}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil { // its sender is dead
			return
		}
		select {
		case <-answering:
			l.take(r.Header, body)
		default:
			l.hold(r.Header.Get(webhook.HeaderID), body)
			select {
			case <-answering:
			case <-r.Context().Done():
			}
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(func() {
		l.release()
		l.Close()
	})
	return l
}

func (l *listener) hold(id string, body []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held[id], l.bodies[id] = true, string(body)
	l.wake()
}

func (l *listener) take(header http.Header, body []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := webhook.Verify(l.secret, header, body, 0); err != nil {
		l.problems = append(l.problems, err)
	}
	var message webhook.Message
	if err := json.Unmarshal(body, &message); err != nil {
		l.problems = append(l.problems, err)
	}
	id := header.Get(webhook.HeaderID)
	if before, known := l.bodies[id]; known && before != string(body) {
		l.problems = append(l.problems, fmt.Errorf("the body of %s is not what it was", id))
	}
	l.bodies[id], l.accepted[id], l.told[message.Data.ID] = string(body), true, true
	l.wake()
}

func (l *listener) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// await waits until cond holds, which is asked after every request.
func (l *listener) await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(3 * patience)
	for {
		l.mu.Lock()
		ok, changed := cond(), l.changed
		l.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		}
	}
}
