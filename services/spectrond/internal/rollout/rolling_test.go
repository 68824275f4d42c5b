package rollout_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// drainDelay is that of the fleet that is restarted: as many times healthEvery as a machine that is busy with other things may need.
	drainDelay = 4 * time.Second
	// healthEvery is how often the proxy asks, and idleTime how long it keeps connections that nobody uses: shorter than drainDelay.
	healthEvery = 50 * time.Millisecond
	idleTime    = 500 * time.Millisecond
)

// Every replica of both services is replaced, one after the other, while clients verify, mint, rotate, revoke and write: each of their
// requests is answered as if nothing happened. The proxy between tries nothing twice.
func TestRollingRestartsLoseNoRequest(t *testing.T) { //nolint:paralleltest // it needs the machine for itself
	f := newFleet(t)
	f.drain = drainDelay
	keymanagers := []*replica{f.keymanager(t, current), f.keymanager(t, current)}
	management := newProxy(t, keymanagers...)
	var dataplanes []*replica
	for range 3 {
		dataplanes = append(dataplanes, f.dataplane(t, current, management.url))
	}
	data := newProxy(t, dataplanes...)
	// Management goes the long way: through both proxies and a data plane.
	l := newLoad(bootstrap(t, current, data.url, management.url))
	l.management = data.url
	stop := l.start(t.Context())
	l.warm(t)
	for _, r := range append(keymanagers, dataplanes...) {
		r.replace(t, current)
		management.awaitAll(t)
		data.awaitAll(t)
		l.warm(t)
	}
	stop()
	seen := l.take()
	bad := failures(seen)
	for _, s := range bad[:min(len(bad), 10)] {
		t.Errorf("%s at %s after %s: %d %s", s.what, s.at.Round(time.Millisecond), s.took.Round(time.Millisecond), s.status, s.detail)
	}
	if len(bad) > 0 {
		t.Errorf("%d of %d requests failed", len(bad), len(seen))
	}
	if gone := l.audit(t); len(gone.lost)+len(gone.stale) > 0 {
		t.Errorf("lost: %v; stale: %v", gone.lost, gone.stale)
	}
	t.Logf("%d requests while %d replicas were replaced; %d failed", len(seen), len(keymanagers)+len(dataplanes), len(bad))
}

// warm returns when the load has been answered some more, of every kind.
func (l *load) warm(t *testing.T) {
	t.Helper()
	since := time.Since(l.begun)
	await(t, "each kind of request was answered", func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		missing := map[string]bool{"mint": true, "rotate": true, "good key": true, "dead key": true, "write": true}
		delete(missing, "mint") // only at first: later there are enough keys
		for _, s := range l.seen {
			if s.at > since {
				delete(missing, s.what)
			}
		}
		if len(missing) > 0 {
			return context.DeadlineExceeded
		}
		return nil
	})
}

// proxy spreads requests over the replicas that say that they are well. It keeps connections, as proxies do, and tries nothing again.
type proxy struct {
	url      string
	backends []*backend
	next     atomic.Uint64
}

type backend struct {
	target *url.URL
	well   atomic.Bool
}

func newProxy(t *testing.T, replicas ...*replica) *proxy {
	t.Helper()
	p := &proxy{}
	for _, r := range replicas {
		target, err := url.Parse(r.url())
		if err != nil {
			t.Fatal(err)
		}
		b := &backend{target: target}
		b.well.Store(true)
		p.backends = append(p.backends, b)
		asking := time.NewTicker(healthEvery)
		done := make(chan struct{})
		go func() {
			for {
				select {
				case <-done:
					return
				case <-asking.C:
					b.well.Store(healthy(context.Background(), target.String()) == nil)
				}
			}
		}()
		t.Cleanup(func() { close(done) })
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: idleTime}
	forward := &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(p.pick())
		},
	}
	server := httptest.NewServer(forward)
	p.url = server.URL
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		transport.CloseIdleConnections()
	})
	return p
}

// pick returns a replica that is well; where none seems to be, because nobody has had the time to say so, it waits for one.
func (p *proxy) pick() *url.URL {
	first := p.next.Add(1)
	for waited := time.Duration(0); waited < patience; waited += healthEvery {
		for i := range p.backends {
			if b := p.backends[(first+uint64(i))%uint64(len(p.backends))]; b.well.Load() {
				return b.target
			}
		}
		time.Sleep(healthEvery)
	}
	return p.backends[0].target
}

// awaitAll returns when p sends requests to every replica.
func (p *proxy) awaitAll(t *testing.T) {
	t.Helper()
	await(t, "every replica is well", func() error {
		for _, b := range p.backends {
			if !b.well.Load() {
				return context.DeadlineExceeded
			}
		}
		return nil
	})
}
