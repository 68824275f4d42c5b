package httpapi

import (
	"context"

	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
)

// requireOperator lets requests with a management key pass.
func (p Parts) requireOperator(c *gin.Context) {
	token, ok := web.Bearer(c.Request)
	if !ok {
		web.Fail(c, fault.BadCredential())
		return
	}
	keyID, err := p.Judge.Operator(c.Request.Context(), token)
	if err != nil {
		web.Fail(c, err)
		return
	}
	remember(c, audit.Operator, keyID)
}

// requireService lets requests with a service token pass.
func (p Parts) requireService(c *gin.Context) {
	token, ok := web.Bearer(c.Request)
	if !ok {
		web.Fail(c, fault.BadCredential())
		return
	}
	replica, err := p.Services.Verify(token)
	if err != nil {
		web.Fail(c, err)
		return
	}
	remember(c, audit.Service, replica)
}

// identityKey is where the caller travels that a service speaks for.
type identityKey struct{}

// requireCaller lets requests pass with a service token that speaks for a caller.
func (p Parts) requireCaller(c *gin.Context) {
	token, ok := web.Bearer(c.Request)
	if !ok {
		web.Fail(c, fault.BadCredential())
		return
	}
	who, err := p.Services.VerifyFor(token, c.FullPath())
	if err != nil {
		web.Fail(c, err)
		return
	}
	actor := audit.Caller
	if who.KeyID == "" { // the local operator, or nobody: what is asked decides
		actor = audit.Local
	}
	ctx := c.Request.Context()
	ctx = audit.With(ctx, audit.Origin{
		Actor: actor, KeyID: who.KeyID, OnBehalfOf: who.OnBehalfOf, TraceID: web.TraceID(ctx), Remote: remoteOf(c),
	})
	c.Request = c.Request.WithContext(context.WithValue(ctx, identityKey{}, who))
}

// remember puts the origin of the request where the audit log finds it.
func remember(c *gin.Context, actor audit.ActorKind, name string) {
	ctx := c.Request.Context()
	c.Request = c.Request.WithContext(audit.With(ctx, audit.Origin{
		Actor: actor, KeyID: name, TraceID: web.TraceID(ctx), Remote: remoteOf(c),
	}))
}

// remoteOf is the client's address; nothing where the peer has none.
func remoteOf(c *gin.Context) string {
	if client := web.ClientAddr(c.Request); client.IsValid() {
		return client.String()
	}
	return ""
}
