// Package ginverifier lets Gin routes be reached with a good key only.
package ginverifier

import (
	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/verifier"
)

// Middleware lets requests with a good key pass and refuses all others, as verifier.Verifier.Middleware does. Handlers find
// the caller with caller.From(c.Request.Context()).
func Middleware(v *verifier.Verifier) gin.HandlerFunc {
	return func(c *gin.Context) {
		admitted, ok := v.Admit(c.Writer, c.Request)
		if !ok {
			c.Abort()
			return
		}
		c.Request = admitted
	}
}
