package httpapi

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httputil"

	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/fault"
)

// forward passes the request on to the key manager as it is: the path stays escaped as it came, hop-by-hop headers go, and
// X-Forwarded-For tells of the client, whatever the client said of itself: Propagate writes it.
func (p Parts) forward(c *gin.Context) {
	proxy := httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(p.Management)
			r.SetXForwarded()
			// As it came, to be refused over there: without what cannot be read of it, a key would be made that never ends.
			r.Out.URL.RawQuery = r.In.URL.RawQuery
		},
		Transport: web.Propagate(p.ToManagement),
		ModifyResponse: func(answer *http.Response) error {
			// Ours are there already, and are the same.
			for _, name := range []string{"X-Trace-Id", "Cache-Control", "X-Content-Type-Options"} {
				answer.Header.Del(name)
			}
			return nil
		},
		ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, err error) { web.Fail(c, unreachable(err)) },
		ErrorLog:     slog.NewLogLogger(web.Logger(c.Request.Context()).Handler(), slog.LevelDebug),
	}
	proxy.ServeHTTP(c.Writer, c.Request)
}

// unreachable is the answer when the key manager gives none. What is the client's doing stays what it is.
func unreachable(err error) error {
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return err
	}
	return fault.New(fault.Unavailable, "the key manager cannot be reached; try again").Because(err)
}
