package httpapi

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/apikey"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
)

// refused is middleware that counts what the stages after it refuse, for the audit log. reason is for who showed nothing that was
// accepted.
func (p Parts) refused(reason audit.Reason) gin.HandlerFunc {
	return func(c *gin.Context) {
		c.Next()
		status := c.Writer.Status()
		if p.Denials == nil || status != http.StatusUnauthorized && status != http.StatusForbidden {
			return
		}
		ctx := c.Request.Context()
		denial := audit.Denial{Reason: audit.NotAllowed, Status: status, Origin: audit.From(ctx), Route: c.Request.Method + " " + c.FullPath()}
		if !audit.Told(ctx) { // nobody was let in
			denial.Origin = audit.Origin{Actor: audit.Unknown, TraceID: web.TraceID(ctx), Remote: remoteOf(c)}
			denial.Reason, denial.ShownKeyID = reason, shownKeyID(c.Request)
			switch {
			case status == http.StatusForbidden:
				denial.Reason = audit.NotManagement
			case c.GetHeader("Authorization") == "":
				denial.Reason = audit.NoCredential
			}
		}
		p.Denials.Note(denial)
	}
}

// shownKeyID returns the id on the key that a request shows, if it is well formed: the part of it that is no secret.
func shownKeyID(r *http.Request) string {
	token, _ := web.Bearer(r)
	parsed, err := apikey.Parse(token)
	if err != nil {
		return ""
	}
	return parsed.ID()
}

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
