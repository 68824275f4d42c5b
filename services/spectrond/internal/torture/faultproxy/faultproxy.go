// Package faultproxy is a TCP proxy that does to connections what bad networks do: it holds bytes back, in one direction or
// in both, delays them, and cuts connections. Of HTTP/1 it knows where a request begins, so that a fault can be confined to
// the requests for some path; it changes no byte.
package faultproxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Kind says what a fault does.
type Kind string

// The kinds of faults.
const (
	// Stall takes connections and bytes and holds them back until it is healed; then they go on.
	Stall Kind = "stall"
	// Delay lets everything through after the fault's Delay.
	Delay Kind = "delay"
	// Cut resets connections, those that are open and those that come. A cut in one direction does so when bytes want to go
	// there: towards the client, the server has taken the request, and the answer is lost.
	Cut Kind = "cut"
)

// Direction says which bytes a fault concerns.
type Direction string

// The directions.
const (
	Both     Direction = ""
	ToServer Direction = "to-server"
	ToClient Direction = "to-client"
)

// Fault is one thing that is wrong with the network.
type Fault struct {
	Kind      Kind
	Direction Direction
	// Path confines the fault to connections whose latest HTTP request has a target that begins so; empty is every
	// connection, whatever its protocol.
	Path string
	// Delay is how long a Delay takes, for what is read at once.
	Delay time.Duration
}

// String describes f as logs show it.
func (f Fault) String() string {
	parts := []string{string(f.Kind)}
	if f.Kind == Delay {
		parts = append(parts, f.Delay.String())
	}
	for _, part := range []string{string(f.Direction), f.Path} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, " ")
}

// Proxy passes connections on to its backends.
type Proxy struct {
	listener net.Listener
	backends []string
	serving  sync.WaitGroup
	stop     context.CancelFunc

	mu      sync.Mutex // guards the following fields
	faults  []*Fault
	changed chan struct{} // closed, and made anew, when faults change
	links   map[*link]struct{}
}

// Listen returns a running proxy on a free port of this machine. Each connection goes to one of the backends, at random.
func Listen(ctx context.Context, backends ...string) (*Proxy, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for a proxy: %w", err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	p := &Proxy{listener: listener, backends: backends, stop: stop, changed: make(chan struct{}), links: make(map[*link]struct{})}
	p.serving.Go(func() { p.accept(ctx) })
	return p, nil
}

// Address is where the proxy listens.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Break makes f happen until heal is called. Faults add up.
func (p *Proxy) Break(f Fault) (heal func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, &f)
	p.changedLocked()
	if f.Kind == Cut && f.Direction == Both {
		for l := range p.links {
			if f.concerns(ToServer, l) {
				l.reset()
			}
		}
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.faults = slices.DeleteFunc(p.faults, func(other *Fault) bool { return other == &f })
		p.changedLocked()
	}
}

// Close ends the proxy and its connections and waits for them.
func (p *Proxy) Close() error {
	p.stop()
	err := p.listener.Close()
	p.mu.Lock()
	for l := range p.links {
		l.reset()
	}
	p.mu.Unlock()
	p.serving.Wait()
	return err
}

func (p *Proxy) changedLocked() {
	close(p.changed)
	p.changed = make(chan struct{})
}

func (f *Fault) concerns(direction Direction, l *link) bool {
	if f.Path != "" && !strings.HasPrefix(l.target(), f.Path) {
		return false
	}
	return f.Direction == Both || f.Direction == direction
}

// find returns a fault of the given kind, or nil, and a channel that is closed when the faults have changed.
func (p *Proxy) find(kind Kind, direction Direction, l *link) (*Fault, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.faults {
		if f.Kind == kind && f.concerns(direction, l) {
			return f, p.changed
		}
	}
	return nil, p.changed
}

func (p *Proxy) accept(ctx context.Context) {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.serving.Go(func() { p.serve(ctx, client) })
	}
}

// link is one connection of a client with its connection to a backend.
type link struct {
	client, server net.Conn
	request        atomic.Pointer[string] // the target of the latest HTTP request
	broken         chan struct{}
	breaking       sync.Once
}

func (l *link) target() string {
	if text := l.request.Load(); text != nil {
		return *text
	}
	return ""
}

// reset ends both connections, as a cut does.
func (l *link) reset() {
	l.breaking.Do(func() {
		close(l.broken)
		for _, conn := range []net.Conn{l.client, l.server} {
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0) // an RST rather than a FIN
			}
			if conn != nil {
				_ = conn.Close()
			}
		}
	})
}

func (p *Proxy) serve(ctx context.Context, client net.Conn) {
	l := &link{client: client, broken: make(chan struct{})}
	defer l.reset()
	if cut, _ := p.find(Cut, Both, l); cut != nil {
		return // a cut of one direction does not concern both
	}
	backend := p.backends[rand.IntN(len(p.backends))] //nolint:gosec // a choice, not a secret
	server, err := (&net.Dialer{}).DialContext(ctx, "tcp", backend)
	if err != nil {
		return
	}
	l.server = server
	p.mu.Lock()
	p.links[l] = struct{}{}
	p.mu.Unlock()
	if ctx.Err() != nil {
		l.reset() // Close may have looked before this link was there
	}
	var pumps sync.WaitGroup
	pumps.Go(func() { p.pump(l, ToServer, client, server) })
	pumps.Go(func() { p.pump(l, ToClient, server, client) })
	pumps.Wait()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

// pump carries bytes from src to dst until either ends.
func (p *Proxy) pump(l *link, direction Direction, src, dst net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := src.Read(buf)
		if direction == ToServer {
			l.note(buf[:n])
		}
		if n > 0 {
			if p.hold(l, direction) != nil {
				return
			}
			if _, err := dst.Write(buf[:n]); err != nil {
				l.reset()
				return
			}
		}
		if err != nil {
			// The end of one direction; the other may have more to say.
			if tcp, ok := dst.(*net.TCPConn); ok && tcp.CloseWrite() == nil {
				return
			}
			l.reset()
			return
		}
	}
}

var errBroken = errors.New("the connection was cut")

// hold returns when the faults let bytes through.
func (p *Proxy) hold(l *link, direction Direction) error {
	if cut, _ := p.find(Cut, direction, l); cut != nil {
		l.reset()
		return errBroken
	}
	if late, _ := p.find(Delay, direction, l); late != nil {
		timer := time.NewTimer(late.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-l.broken:
			return errBroken
		}
	}
	for {
		stall, changed := p.find(Stall, direction, l)
		if stall == nil {
			return nil
		}
		select {
		case <-changed:
		case <-l.broken:
			return errBroken
		}
	}
}

// note takes down the target of the request that begins with chunk, if one does. Clients of HTTP/1 that do not pipeline
// begin each request with a write of its own.
func (l *link) note(chunk []byte) {
	line, _, _ := bytes.Cut(chunk, []byte("\r\n"))
	method, rest, ok := bytes.Cut(line, []byte(" "))
	if !ok || len(method) > len("OPTIONS") {
		return
	}
	target, protocol, ok := bytes.Cut(rest, []byte(" "))
	if ok && bytes.HasPrefix(protocol, []byte("HTTP/1.")) {
		text := string(target)
		l.request.Store(&text)
	}
}
