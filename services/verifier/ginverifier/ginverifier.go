// Package ginverifier lets Gin routes be reached with a good key only.
package ginverifier

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/verifier"
)

// Middleware lets requests with a good key pass and refuses all others, as verifier.Verifier.Middleware does. Handlers find
// the caller with caller.From(c.Request.Context()).
func Middleware(v *verifier.Verifier) gin.HandlerFunc {
	return func(c *gin.Context) {
		passed := false
		v.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			c.Request, passed = r, true
		})).ServeHTTP(c.Writer, c.Request)
		if !passed {
			c.Abort()
		}
	}
}
