package httpapi

import (
	"context"
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/introspection"
)

// run makes an errand a handler: it reads what is asked for and asks as the caller that the service token tells.
func run[In, Out any](errand func(context.Context, introspection.Identity, In) (Out, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		// The database's driver may still watch the context when Gin uses its own again; the request's ends with it.
		ctx := c.Request.Context()
		who, ok := ctx.Value(identityKey{}).(introspection.Identity)
		if !ok {
			web.Fail(c, errors.New("a route without a caller asked for the caller"))
			return
		}
		in, err := decode[In](c.Request.Body)
		if err != nil {
			web.Fail(c, err)
			return
		}
		out, err := errand(ctx, who, in)
		if err != nil {
			web.Fail(c, err)
			return
		}
		c.JSON(http.StatusOK, out)
	}
}

func (p Parts) deleteKey(ctx context.Context, who introspection.Identity, errand introspection.KeyErrand) (struct{}, error) {
	return struct{}{}, p.Errands.DeleteKey(ctx, who, errand)
}
