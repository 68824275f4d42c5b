package node

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
)

// inProcess is the address of the peer that a handler sees.
const inProcess = "127.0.0.1"

// errAborted is what the reader of an answer sees when the handler panicked, as it would see a dropped connection.
var errAborted = errors.New("the handler gave up before it had answered")

// Transport is an [http.RoundTripper] that calls a handler of the same process where others would use the network. It
// behaves as the network does: the handler runs in its own goroutine and sees neither the values of the caller's context
// nor its header map; answers stream, each write waiting for the reader; ending the caller's context or closing the body
// early ends the handler's context.
type Transport struct {
	handler http.Handler
	running sync.WaitGroup // the handlers: they outlive RoundTrip while their answer is being read
}

// NewTransport returns a Transport onto handler.
func NewTransport(handler http.Handler) *Transport { return &Transport{handler: handler} }

// Wait returns when every handler has. No RoundTrip may start afterwards.
func (t *Transport) Wait() { t.running.Wait() }

// RoundTrip calls the handler and returns as soon as it has begun to answer.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	caller := r.Context()
	if err := caller.Err(); err != nil {
		closeBody(r)
		return nil, err
	}
	// Not a child of the caller's context: its values stay on its side, as they would with a network in between.
	ctx, cancel := context.WithCancel(context.Background())
	served, err := serverRequest(ctx, r)
	if err != nil {
		cancel()
		closeBody(r)
		return nil, err
	}
	reader, writer := io.Pipe()
	out := &answer{header: make(http.Header), body: writer, bodiless: r.Method == http.MethodHead, begun: make(chan struct{})}
	unwatch := context.AfterFunc(caller, func() {
		_ = writer.CloseWithError(caller.Err()) // never fails; before cancel, so that the reader gets this error
		cancel()
	})
	t.running.Go(func() {
		defer cancel()
		defer unwatch()
		defer closeBody(r)
		out.serve(t.handler, served)
	})
	select {
	case <-out.begun:
	case <-caller.Done():
		return nil, caller.Err()
	}
	if out.failed != nil {
		return nil, out.failed
	}
	return &http.Response{
		Status:        strconv.Itoa(out.status) + " " + http.StatusText(out.status),
		StatusCode:    out.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        out.sent,
		Body:          &body{PipeReader: reader, cancel: cancel},
		ContentLength: contentLength(out.sent),
		Request:       r,
	}, nil
}

// serverRequest returns what a server would have made of r.
func serverRequest(ctx context.Context, r *http.Request) (*http.Request, error) {
	served := r.Clone(ctx)
	served.RequestURI = r.URL.RequestURI()
	target, err := url.ParseRequestURI(served.RequestURI)
	if err != nil {
		return nil, err
	}
	served.URL = target
	if served.Host == "" {
		served.Host = r.URL.Host
	}
	if served.Method == "" {
		served.Method = http.MethodGet
	}
	served.Proto, served.ProtoMajor, served.ProtoMinor = "HTTP/1.1", 1, 1
	served.RemoteAddr = inProcess + ":0"
	switch {
	case r.Body == nil || r.Body == http.NoBody:
		served.Body, served.ContentLength = http.NoBody, 0
	case r.ContentLength == 0:
		served.ContentLength = -1 // to a client 0 means unknown when there is a body, to a server -1 does
	}
	return served, nil
}

func contentLength(header http.Header) int64 {
	n, err := strconv.ParseInt(header.Get("Content-Length"), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close() // a RoundTripper has nobody to tell
	}
}

// body ends the handler when its reader has had enough.
type body struct {
	*io.PipeReader
	cancel context.CancelFunc
}

// Close tells the handler that nobody reads any more.
func (b *body) Close() error {
	b.cancel()
	return b.PipeReader.Close()
}

// answer is the ResponseWriter of one handler. Only that handler's goroutine uses it, apart from what it publishes by
// closing begun.
type answer struct {
	header   http.Header
	body     *io.PipeWriter
	bodiless bool // what is written counts but goes nowhere: the answer to a HEAD

	begun  chan struct{} // closed once the fields below are final
	status int           // 0 until then
	sent   http.Header
	failed error
}

// serve runs the handler to its end.
func (a *answer) serve(handler http.Handler, r *http.Request) {
	defer func() {
		// net/http survives a handler's panic and drops the connection. The value is not told: whatever it holds, the
		// handler's own recovery had the chance to log it.
		if recover() == nil {
			return
		}
		if a.status == 0 {
			a.failed = errAborted
			close(a.begun)
		}
		_ = a.body.CloseWithError(errAborted) // never fails
	}()
	handler.ServeHTTP(a, r)
	a.WriteHeader(http.StatusOK)
	_ = a.body.Close() // never fails
}

// Header returns the header to be sent.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader sends the header, once. Informational answers are dropped, as a client that asked for none may do.
func (a *answer) WriteHeader(status int) {
	if a.status != 0 || status < http.StatusOK {
		return
	}
	a.status, a.sent = status, a.header.Clone()
	a.bodiless = a.bodiless || status == http.StatusNoContent || status == http.StatusNotModified
	close(a.begun)
}

// Write sends the header, if need be, and p. It fails when nobody reads any more.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.bodiless {
		return len(p), nil
	}
	return a.body.Write(p)
}

// Flush sends the header; what was written has already gone.
func (a *answer) Flush() { a.WriteHeader(http.StatusOK) }
