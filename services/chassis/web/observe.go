package web

import (
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
)

// unmatched stands for the route of a request that matched none: the path itself may be anything, a secret included.
const unmatched = "unmatched"

// metrics of one server. A nil *metrics measures nothing.
type metrics struct {
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

func newMetrics(options Options) *metrics {
	if options.Metrics == nil {
		return nil
	}
	label := prometheus.Labels{"server": options.Name}
	return &metrics{
		duration: register(options.Metrics, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:        "http_request_duration_seconds",
			Help:        "Time from the first byte of a request to the end of its answer.",
			ConstLabels: label,
			// From cached verification to a slow query.
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"method", "route", "status"})),
		inFlight: register(options.Metrics, prometheus.NewGauge(prometheus.GaugeOpts{
			Name:        "http_requests_in_flight",
			Help:        "Requests that are being served.",
			ConstLabels: label,
		})),
	}
}

// register returns the collector that counts: its argument, or the equal one that another engine registered before.
func register[C prometheus.Collector](registerer prometheus.Registerer, collector C) C {
	err := registerer.Register(collector)
	if before, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if existing, ok := before.ExistingCollector.(C); ok {
			return existing
		}
	}
	if err != nil {
		panic("web: registering metrics: " + err.Error()) // two metrics of one name: a mistake in the program
	}
	return collector
}

// observe writes one line to the log and counts, for each request.
func observe(options Options) gin.HandlerFunc {
	m := newMetrics(options)
	return func(c *gin.Context) {
		start := time.Now() //nolint:forbidigo // measures; nothing depends on the outcome
		if m != nil {
			m.inFlight.Inc()
			defer m.inFlight.Dec()
		}
		defer func() { // runs when a handler drops the connection, too
			m.record(c, time.Since(start))
			logAccess(c, time.Since(start))
		}()
		c.Next()
	}
}

func (m *metrics) record(c *gin.Context, duration time.Duration) {
	if m == nil {
		return
	}
	m.duration.WithLabelValues(methodOf(c), routeOf(c), strconv.Itoa(c.Writer.Status())).Observe(duration.Seconds())
}

func logAccess(c *gin.Context, duration time.Duration) {
	level, status, route := slog.LevelInfo, c.Writer.Status(), routeOf(c)
	switch {
	case status == http.StatusServiceUnavailable && strings.HasSuffix(route, healthSuffix):
		level = slog.LevelDebug // it was told to end, and says so: see Healthy
	case status >= http.StatusInternalServerError:
		level = slog.LevelError
	case quiet(route) && (status < http.StatusBadRequest || unready(c)):
		level = slog.LevelDebug // they would drown the rest
	}
	ctx := c.Request.Context()
	Logger(ctx).LogAttrs(ctx, level, "request",
		slog.String("method", methodOf(c)),
		slog.String("route", route),
		slog.Int("status", status),
		slog.Float64("duration_ms", float64(duration.Microseconds())/1000),
		slog.Int("bytes", max(0, c.Writer.Size())),
		slog.String("remote", remoteOf(c.Request)),
	)
}

// unready reports whether somebody only looked, and was told that there is nothing to see yet: they look again all the time.
func unready(c *gin.Context) bool {
	status := c.Writer.Status()
	return c.Request.Method == http.MethodGet && (status == http.StatusConflict || status == http.StatusNotFound)
}

func routeOf(c *gin.Context) string {
	if route := c.FullPath(); route != "" {
		return route
	}
	return unmatched
}

// methodOf returns the method if it is a usual one: a client may invent any number of others.
func methodOf(c *gin.Context) string {
	switch method := c.Request.Method; method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return method
	default:
		return "OTHER"
	}
}

// remoteOf is the client's address, or what there is instead where the peer has none.
func remoteOf(r *http.Request) string {
	if client := ClientAddr(r); client.IsValid() {
		return client.String()
	}
	return r.RemoteAddr
}
