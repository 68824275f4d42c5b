package httpapi

import (
	"context"
	"errors"

	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/caller"
	"github.com/spectron-hq/spectron/services/contract/fault"
)

// authenticate lets requests with the key of a principal pass; where the path names a context, with a key of that one. All
// others get the same answer, so that nobody can find out which contexts exist.
func (p Parts) authenticate(c *gin.Context) {
	token, ok := web.Bearer(c.Request)
	if !ok {
		web.Fail(c, fault.BadCredential())
		return
	}
	verdict, err := p.Verifier.Check(c.Request.Context(), token)
	if err != nil {
		web.Fail(c, err)
		return
	}
	who := verdict.Caller
	if id, named := c.Params.Get("context_id"); named && id != who.Context {
		web.Fail(c, fault.BadCredential())
		return
	}
	if err := refuseDelegation(c); err != nil {
		web.Fail(c, err)
		return
	}
	ctx := caller.With(c.Request.Context(), who)
	c.Request = c.Request.WithContext(context.WithValue(ctx, verdictKey{}, verdict))
}

// verdictKey is where the verdict on the request's key travels.
type verdictKey struct{}

// refuseDelegation refuses to act on behalf of another principal. To ignore such a header would be to do with the
// caller's whole authority what it asked to have done with less.
func refuseDelegation(c *gin.Context) error {
	for _, name := range []string{"X-Spectron-On-Behalf-Of", "X-Memory-On-Behalf-Of"} {
		if len(c.Request.Header.Values(name)) > 0 {
			return fault.InvalidField(name, "acting on behalf of another principal is not served by this release")
		}
	}
	return nil
}

// callerOf returns the caller that authenticate found.
func callerOf(ctx context.Context) (*caller.Caller, error) {
	who, ok := caller.From(ctx)
	if !ok {
		return nil, errors.New("a route without authentication asked for the caller")
	}
	return who, nil
}
