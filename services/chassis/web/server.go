package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

const (
	// urlLimit bounds the request target, in bytes: longer ones are no use to any route here.
	urlLimit = 8 << 10
	// headerLimit bounds the request line and all headers together, in bytes.
	headerLimit = 16 << 10
	// drainTime is how long requests in flight may take to end after the server was told to stop.
	drainTime = 10 * time.Second

	readHeaderTimeout = 10 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 60 * time.Second
	idleTimeout       = 120 * time.Second
)

// Handler returns what a server serves: the engine, behind what must hold before routing. Every answer has the header
// X-Trace-Id and is kept by no cache, and a URL beyond 8 KiB is refused.
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
		engine.ServeHTTP(w, r)
	})
}

type drainKey struct{}

// Draining returns a channel that is closed when the server of the request in ctx begins to stop. A handler that would
// stream for ever ends then. It is nil, and never closed, outside [Serve].
func Draining(ctx context.Context) <-chan struct{} {
	draining, _ := ctx.Value(drainKey{}).(chan struct{})
	return draining
}

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

// Serve serves handler on listener until ctx ends, then takes no new connections and waits for the requests in flight, but
// not for ever. It returns nil if it was stopped and an error if it could not serve; listener is closed either way.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, log *slog.Logger) error {
	draining := make(chan struct{})
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerLimit,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug), // broken connections: the other side's affair
		// Requests outlive ctx: they are what draining waits for.
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.WithoutCancel(ctx), drainKey{}, draining)
		},
	}
	server.RegisterOnShutdown(func() { close(draining) })
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	err := server.Shutdown(limited)
	if errors.Is(err, context.DeadlineExceeded) {
		log.WarnContext(ctx, "requests in flight were cut off", slog.Duration("waited", drainTime))
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
