package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/contract/fault"
)

// statusClientClosed is what the log shows for a request whose client went away; nobody receives it.
const statusClientClosed = 499

// panicError is a panic on its way to the log.
type panicError struct {
	value any
	stack []byte
}

func panicked(value any) error { return &panicError{value: value, stack: debug.Stack()} }

// Error returns the value of the panic.
func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// Fail answers the request with err, as problem details, and ends it. It is the only writer of errors. What is no
// [fault.Error] is answered as an internal error that says nothing. Whatever is this side's affair is logged, once, with its
// cause. After the answer has
// begun Fail can only log.
func Fail(c *gin.Context, err error) {
	ctx := c.Request.Context()
	if errors.Is(err, context.Canceled) && errors.Is(ctx.Err(), context.Canceled) {
		c.AbortWithStatus(statusClientClosed)
		return
	}
	err = public(err)
	if fault.KindOf(err).Status() >= http.StatusInternalServerError && !errors.Is(err, errLeaving) {
		logCause(ctx, err)
	}
	if c.Writer.Written() {
		c.Abort()
		return
	}
	challenge(c, err)
	writeProblem(c.Writer, c.Request, err)
	c.Abort()
}

// public gives the errors of net/http and of an exhausted deadline their public face.
func public(err error) error {
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	if limit, ok := tooLarge(err); ok {
		return fault.New(fault.TooLarge, "the body may have at most %d bytes", limit).Because(err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fault.New(fault.Unavailable, "the request took too long; try again").Because(err)
	}
	return err
}

// logCause logs what is wrong with this side, which the answer does not tell.
func logCause(ctx context.Context, err error) {
	attrs := []slog.Attr{slog.Any("error", err)}
	if p, ok := errors.AsType[*panicError](err); ok {
		attrs = append(attrs, slog.String("stack", string(p.stack)))
	}
	Logger(ctx).LogAttrs(ctx, slog.LevelError, "request failed", attrs...)
}

// challenge adds the headers by which a client learns how and when to try again. A challenge that is there already says more.
func challenge(c *gin.Context, err error) {
	kind := fault.KindOf(err)
	e, ok := errors.AsType[*fault.Error](err)
	// RFC 6750, section 3. The realm is a configured name: quoted-string rules are strconv's here.
	if lacking := ok && kind == fault.Forbidden && e.RequiredScope != ""; (lacking || kind == fault.Unauthenticated) && c.Writer.Header().Get("WWW-Authenticate") == "" {
		text := "Bearer realm=" + strconv.Quote(serverOf(c.Request.Context()).realm)
		if lacking {
			text += `, error="insufficient_scope", scope=` + strconv.Quote(e.RequiredScope)
		}
		c.Header("WWW-Authenticate", text)
	}
	switch {
	case ok && e.RetryAfter > 0:
		c.Header("Retry-After", seconds(e.RetryAfter))
	case kind.Status() == http.StatusServiceUnavailable:
		c.Header("Retry-After", seconds(time.Second))
	}
}

func seconds(d time.Duration) string { return strconv.Itoa(int(math.Ceil(d.Seconds()))) }

// codesKey is where the codes of a surface travel.
type codesKey struct{}

// Coding returns the code of an error that has none of its own.
type Coding func(fault.Kind) string

// Codes gives every error of a route a code: its own, or else the one of its kind.
func Codes(coding Coding) gin.HandlerFunc {
	return func(c *gin.Context) {
		c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), codesKey{}, coding))
	}
}

// writeProblem writes err's public face. It is all that may ever be told about an error.
func writeProblem(w http.ResponseWriter, r *http.Request, err error) {
	problem := fault.ProblemOf(err, r.URL.EscapedPath(), TraceID(r.Context()))
	if code, ok := r.Context().Value(codesKey{}).(Coding); ok {
		problem = problem.Coded(code(fault.KindOf(err)))
	}
	header := w.Header()
	header.Set("Content-Type", fault.ContentType)
	w.WriteHeader(problem.Status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false) // this is no page; a reader wants to see the path it asked for
	_ = encoder.Encode(problem)  // the client is gone: there is nobody left to tell
}
