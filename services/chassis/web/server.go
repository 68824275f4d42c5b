package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

const (
	// urlLimit bounds the request target, in bytes: longer ones are no use to any route here.
	urlLimit = 8 << 10
	// headerLimit bounds the request line and all headers together, in bytes.
	headerLimit = 16 << 10
	// defaultGrace is how long requests in flight may take to end where [Drain] does not say.
	defaultGrace = 10 * time.Second

	readHeaderTimeout = 10 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 60 * time.Second
	idleTimeout       = 120 * time.Second
)

// Handler returns what a server serves: the engine, behind what must hold before routing. Every answer has the header
// X-Trace-Id and is kept by no cache, a URL beyond 8 KiB is refused, and probes may ask with HEAD.
func Handler(engine *gin.Engine) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = traced(w, r)
		// Answers are for whoever asked, and some hold a secret.
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if len(r.RequestURI) > urlLimit {
			r.URL.Path, r.URL.RawPath = "/", "" // not to be echoed at this length
			writeProblem(w, r, fault.New(fault.TooLarge, "the URL may have at most %d bytes", urlLimit))
			return
		}
		engine.ServeHTTP(w, probing(r))
	})
}

// probing makes of a question for health with HEAD one with GET, whose body is not sent: the server still knows what it was asked.
func probing(r *http.Request) *http.Request {
	if r.Method != http.MethodHead || !strings.HasSuffix(r.URL.Path, healthSuffix) {
		return r
	}
	get := r.WithContext(r.Context())
	get.Method = http.MethodGet
	return get
}

// Drain is how a server ends after it was told to. The zero value is for one that nobody stands before.
type Drain struct {
	// Delay is how long it goes on taking requests, for whoever spreads them over replicas to notice and leave this one out:
	// meanwhile [Leaving] is true, for health checks, and each answer closes its connection. A proxy that keeps idle connections
	// for less than this never sends a request on one that is closed just then.
	Delay time.Duration
	// Grace is how long requests in flight may take after that; 0 means 10 s.
	Grace time.Duration
}

// ending is how far the server of a request has come to its end. Each channel is closed when that has begun.
type ending struct{ leaving, draining chan struct{} }

type endingKey struct{}

var errLeaving = errors.New("told to end")

func endingOf(ctx context.Context) ending {
	e, _ := ctx.Value(endingKey{}).(ending)
	return e
}

// Leaving reports whether the server of the request in ctx was told to stop, so that whoever asks for its health should
// ask elsewhere from now on. It is false outside [Serve].
func Leaving(ctx context.Context) bool {
	select {
	case <-endingOf(ctx).leaving:
		return true
	default:
		return false
	}
}

// Healthy returns the error that a health check is answered with by a server that was told to stop, and nil before that.
func Healthy(ctx context.Context) error {
	if !Leaving(ctx) {
		return nil
	}
	e := fault.New(fault.Unavailable, "this replica is about to end; ask another one")
	e.RetryAfter = time.Second
	return e.Because(errLeaving)
}

// ReadyUntil returns a readiness check that is ready's until ctx, which tells a server to stop, ends, and fails afterwards.
func ReadyUntil(ctx context.Context, ready func(context.Context) error) func(context.Context) error {
	return func(asked context.Context) error {
		if ctx.Err() != nil {
			return errLeaving
		}
		return ready(asked)
	}
}

// Draining returns a channel that is closed when the server of the request in ctx takes no more connections. A handler that
// would stream for ever ends then. It is nil, and never closed, outside [Serve].
func Draining(ctx context.Context) <-chan struct{} { return endingOf(ctx).draining }

// Stream lifts the limits on how long the present request may take, for a handler that answers bit by bit. A writer that
// knows no limits has none to lift.
func Stream(w http.ResponseWriter) error {
	controller := http.NewResponseController(w)
	for _, lift := range []func(time.Time) error{controller.SetReadDeadline, controller.SetWriteDeadline} {
		if err := lift(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return fmt.Errorf("lifting the time limits of a stream: %w", err)
		}
	}
	return nil
}

// Serve serves handler on listener until ctx ends, then goes on as drain says, takes no new connections and waits for the
// requests in flight, but not for ever. It returns nil if it was stopped and an error if it could not serve; listener is
// closed either way.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, drain Drain, log *slog.Logger) error {
	end := ending{make(chan struct{}), make(chan struct{})}
	server := newServer(ctx, handler, end, log)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	failed := func(err error) error { return fmt.Errorf("serving on %s: %w", listener.Addr(), err) }
	select {
	case err := <-served:
		return failed(err)
	case <-ctx.Done():
	}
	close(end.leaving)
	delay := time.NewTimer(drain.Delay)
	defer delay.Stop()
	select {
	case err := <-served:
		return failed(err)
	case <-delay.C:
	}
	grace := cmp.Or(drain.Grace, defaultGrace)
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := server.Shutdown(limited)
	if errors.Is(err, context.DeadlineExceeded) {
		log.WarnContext(ctx, "requests in flight were cut off", slog.Duration("waited", grace))
		err = server.Close()
	}
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	if err != nil {
		return fmt.Errorf("stopping the server on %s: %w", listener.Addr(), err)
	}
	return nil
}

func newServer(ctx context.Context, handler http.Handler, end ending, log *slog.Logger) *http.Server {
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if Leaving(r.Context()) {
				w.Header().Set("Connection", "close")
			}
			handler.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerLimit,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // broken connections: the other side's affair
		// Requests outlive ctx: they are what draining waits for.
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.WithoutCancel(ctx), endingKey{}, end)
		},
	}
	server.RegisterOnShutdown(func() { close(end.draining) })
	return server
}
