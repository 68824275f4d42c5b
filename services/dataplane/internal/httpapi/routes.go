package httpapi

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/dataplane/internal/httpapi/door"
	"github.com/spectron-hq/spectron/services/verifier"
)

// routes is the whole route table. Who calls is asked before what is asked for, so that nobody without a key learns
// anything about the API's rules. Fixed paths win over contexts of the same name, which cannot exist.
func (p Parts) routes(engine *gin.Engine, spec *openapi3.T) {
	api := ServerInterfaceWrapper{
		Handler: NewStrictHandlerWithOptions(p, []StrictMiddlewareFunc{detach}, StrictGinServerOptions{
			RequestErrorHandlerFunc:  web.RefuseBody,
			HandlerErrorFunc:         web.Fail,
			ResponseErrorHandlerFunc: web.Fail,
		}),
		ErrorHandler: web.RefuseParameter,
	}

	open := engine.Group("")
	open.GET("/health", api.GetLiveness)
	open.GET("/api/v1/health", api.GetHealth)

	data := engine.Group("/api/v1/:context_id", p.authenticate, web.Validate(spec), p.confirm)
	identityRoutes(data, api)
	memoryRoutes(data, api)

	// Not in the document: the Model Context Protocol has its own.
	engine.Any("/mcp", p.authenticate, gather, p.confirm, gin.WrapH(p.MCP))

	if p.Management == nil {
		return
	}
	// Clients know one address for both planes. The key manager asks for the key of these routes itself.
	management := engine.Group("/api/v1", p.forward)
	for _, path := range managementPaths {
		management.Any(strings.TrimPrefix(path, "/api/v1"))
	}
	management.Any("/contexts/*rest")
	management.Any(strings.TrimPrefix(auditPath, "/api/v1"))
	management.Any("/webhooks/*rest")
}

// identityRoutes are about who may do what, and where.
func identityRoutes(data *gin.RouterGroup, api ServerInterfaceWrapper) {
	data.GET("/me", api.GetMe)
	data.GET("/keys", identify, api.ListOwnKeys)
	data.POST("/keys", identify, api.MintOwnKey)
	data.POST("/keys/:name/rotate", identify, api.RotateOwnKey)
	data.DELETE("/keys/:name", identify, api.DeleteOwnKey)
	data.GET("/principals", identify, api.ListPrincipals)
	data.GET("/principals/:principal_id", identify, api.GetPrincipal)
	data.GET("/principals/:principal_id/effective", identify, api.GetEffective)
	data.POST("/principals/:principal_id/grants", identify, api.AddGrants)
	data.DELETE("/principals/:principal_id/grants", identify, api.RemoveGrants)
	data.GET("/scopes", api.ListScopes)
	data.POST("/scopes", api.RegisterScope)
	data.DELETE("/scopes", api.TombstoneScope)
	data.POST("/scopes/forget", api.ForgetScope)
	data.POST("/scope-grants", api.ScopeGrants)
}

// memoryRoutes are about what is remembered, and what was asked.
func memoryRoutes(data *gin.RouterGroup, api ServerInterfaceWrapper) {
	data.GET("/sessions", api.ListSessions)
	data.POST("/sessions", api.CreateSession)
	data.GET("/sessions/:session_id", api.GetSession)
	data.DELETE("/sessions/:session_id", api.DeleteSession)
	data.GET("/sessions/:session_id/turns", api.ListTurns)
	data.GET("/sessions/:session_id/context", api.ReadSessionContext)
	data.POST("/sessions/:session_id/context", api.GetSessionContext)
	data.POST("/facts", fingerprintBody, api.AddFacts)
	data.POST("/facts/batch", fingerprintBody, api.AddFactsBatch)
	data.POST("/query", api.QueryMemory)
	data.POST("/context", api.GetContextFor)
	data.POST("/forget", api.ForgetMemory)
	data.POST("/reflect", api.Reflect)
	data.GET("/state", api.GetState)
	data.GET("/profile", api.GetProfile)
	data.GET("/entities", api.ListEntities)
	data.GET("/entities/:type/:name", api.GetEntity)
	data.DELETE("/entities/:type/:name", api.DeleteEntity)
	data.GET("/entities/:type/:name/history/:key", api.GetHistory)
	data.GET("/inspect", api.Inspect)
	data.GET("/traces", api.ListTraces)
	data.GET("/traces/stats", api.GetTraceStats)
	data.GET("/traces/:trace_id", api.GetTrace)
	data.GET("/audit", api.ListAudit)
	data.POST("/lifecycle/decay", api.Decay)
	data.POST("/lifecycle/expire", api.Expire)
}

// managementPaths are those of the key manager, with what lies below them.
var managementPaths = []string{
	"/api/v1/contexts", "/api/v1/verbs", "/api/v1/migrations", "/api/v1/webhooks", "/api/v1/keys/expiring", "/api/v1/keys/lookup", "/api/v1/keys/revoke",
}

// auditPath is one of the key manager, too, but what lies below it is not: a context may have that name.
const auditPath = "/api/v1/audit"

// forwards reports whether r is passed on to the key manager, which then says itself which pages may send it.
func (p Parts) forwards(r *http.Request) bool {
	if p.Management != nil && r.URL.Path == auditPath {
		return true
	}
	return p.Management != nil && slices.ContainsFunc(managementPaths, func(path string) bool {
		return r.URL.Path == path || strings.HasPrefix(r.URL.Path, path+"/")
	})
}

// elsewhere reports whether r is not this server's to say which pages may send it: it is passed on, or another server's that asks.
func (p Parts) elsewhere(r *http.Request) bool { return p.forwards(r) || door.Within(r) }

// door is what the doors are made of: they ask as all routes do.
func (p Parts) door() door.Parts {
	parts := p.Door
	parts.Authenticate, parts.Check, parts.Metrics = p.admitted, p.checkOnly, p.Metrics
	return parts
}

// checkOnly tells what a key is worth.
func (p Parts) checkOnly(ctx context.Context, key string) (verifier.Verdict, error) {
	return p.Verifier.Check(ctx, key)
}

// detach hands a handler a context that stays what it is. Gin uses its own again for another request, while the database's
// driver may still be watching it for the end of this one.
func detach(next StrictHandlerFunc, _ string) StrictHandlerFunc {
	return func(c *gin.Context, request any) (any, error) { return next(c.Copy(), request) }
}
