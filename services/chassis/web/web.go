// Package web gives every HTTP server the same shape on Gin: requests are traced, limited, logged once and checked
// against the OpenAPI document before a handler sees them; handlers return errors, and [Fail] alone writes them. It
// promises that no answer but the public face of a fault leaves the process, and that no header, body or query string
// reaches a log.
package web

import (
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

// defaultBodyLimit bounds a request's body where Options says nothing.
const defaultBodyLimit = 1 << 20

// Options is how one server differs from another. The zero value serves.
type Options struct {
	// Name is the realm of authentication challenges and the label "server" of metrics.
	Name string
	// BodyLimit is the largest body accepted, in bytes; 0 means 1 MiB.
	BodyLimit int64
	// Log receives one line per request and the cause of every internal error; nil means slog.Default().
	Log *slog.Logger
	// Metrics registers the server's metrics; nil means none.
	Metrics prometheus.Registerer
	// Tracing makes a span of each request; nil means none.
	Tracing trace.TracerProvider
	// Origins are the pages that may call from a browser; none by default. Requests that ElsewhereCORS picks are left to the
	// server that they are passed on to.
	Origins       Origins
	ElsewhereCORS func(*http.Request) bool
	// MoreOrigins are the pages that may send a request besides, where that changes while the server runs; nil for none. It is asked
	// only about requests of pages.
	MoreOrigins func(*http.Request) Origins
	// TrustedProxies are the networks of the proxies whose word about the client's address is taken; none by default.
	TrustedProxies []netip.Prefix
	// Codes returns what gives the errors under a path their codes, whoever finds them; nil, or nothing returned, for errors that
	// have none.
	Codes func(path string) Coding
}

// NewEngine returns a Gin engine with the middleware every server has and no routes. It routes on the escaped path, so an
// escaped slash stays inside its segment; c.Param returns each segment unescaped, once. Of the client's address only trusted proxies'
// word is taken; [ClientAddr] tells it.
func NewEngine(options Options) *gin.Engine {
	if options.BodyLimit == 0 {
		options.BodyLimit = defaultBodyLimit
	}
	if options.Log == nil {
		options.Log = slog.Default()
	}
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.RedirectTrailingSlash = false
	engine.UseEscapedPath = true
	engine.UnescapePathValues = false  // Gin's own way would turn + into a space
	engine.ForwardedByClientIP = false // Gin's own way stays out of this: ClientAddr looks at all lines of the header
	engine.ContextWithFallback = true  // a *gin.Context is handed on as the context of the request
	engine.Use(begin(options))
	if options.Tracing != nil {
		engine.Use(spans(options.Tracing))
	}
	engine.Use(observe(options), recoverPanic, limitBody(options.BodyLimit), unescapeParams)
	if len(options.Origins) > 0 || options.MoreOrigins != nil {
		engine.Use(crossOrigin(options))
	}
	engine.NoRoute(NoRoute)
	engine.NoMethod(NoMethod)
	return engine
}

// NoRoute answers a request whose path is no route's.
func NoRoute(c *gin.Context) { Fail(c, fault.New(fault.NotFound, "no such route")) }

// NoMethod answers a request whose method is none of its route's.
func NoMethod(c *gin.Context) {
	Fail(c, fault.New(fault.MethodNotAllowed, "this route takes %s", c.Writer.Header().Get("Allow")))
}

// begin gives the request its trace id, where [Handler] has not, and what [Fail] and [Logger] need to know.
func begin(options Options) gin.HandlerFunc {
	return func(c *gin.Context) {
		r := traced(c.Writer, c.Request)
		log := options.Log.With(slog.String("trace_id", TraceID(r.Context())))
		c.Request = r.WithContext(withServer(r.Context(), &server{
			realm: options.Name, log: log, client: clientOf(r, options.TrustedProxies),
		}))
		if options.Codes != nil {
			if coding := options.Codes(r.URL.EscapedPath()); coding != nil {
				Codes(coding)(c)
			}
		}
	}
}

// recoverPanic answers a panicking handler's request like any internal error and keeps the process alive.
func recoverPanic(c *gin.Context) {
	defer func() {
		switch value := recover(); value {
		case nil:
		case http.ErrAbortHandler:
			panic(value) // net/http's way to drop a connection
		default:
			Fail(c, panicked(value))
		}
	}()
	c.Next()
}

// limitBody refuses a body that says it is too large and cuts one that turns out to be.
func limitBody(limit int64) gin.HandlerFunc {
	return func(c *gin.Context) {
		if c.Request.ContentLength > limit {
			Fail(c, &http.MaxBytesError{Limit: limit})
			return
		}
		c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, limit)
	}
}

// unescapeParams undoes the escaping of path segments, which routing needed.
func unescapeParams(c *gin.Context) {
	for i, param := range c.Params {
		value, err := url.PathUnescape(param.Value)
		if err != nil {
			Fail(c, fault.InvalidField(param.Key, "is not properly percent-encoded"))
			return
		}
		c.Params[i].Value = value
	}
}

// tooLarge returns the limit that err says was exceeded.
func tooLarge(err error) (limit int64, ok bool) {
	exceeded, ok := errors.AsType[*http.MaxBytesError](err)
	if !ok {
		return 0, false
	}
	return exceeded.Limit, true
}
