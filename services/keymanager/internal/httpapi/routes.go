package httpapi

import (
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/introspection"
	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
)

// routes is the whole route table. Who calls is asked before what is asked for, so that nobody without a key learns
// anything about the API's rules.
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

	management := engine.Group("/api/v1", p.refused(audit.BadCredential), p.requireOperator, web.Validate(spec))
	management.GET("/verbs", api.ListVerbs)
	management.GET("/migrations", api.GetMigrations)
	management.GET("/audit", api.GetAudit)
	contextRoutes(management, api)
	principalRoutes(management, api)
	keyRoutes(management, api)
	webhookRoutes(management, api)

	p.internal(engine.Group("", p.refused(audit.BadServiceToken), p.requireService))
	p.errands(engine.Group("", p.refused(audit.BadServiceToken), p.requireCaller))
}

func contextRoutes(management gin.IRoutes, api ServerInterfaceWrapper) {
	management.GET("/contexts", api.ListContexts)
	management.POST("/contexts", api.CreateContextNamed)
	management.GET("/contexts/:context_id", api.GetContext)
	management.POST("/contexts/:context_id", api.CreateContext)
	management.PATCH("/contexts/:context_id", api.PatchContext)
	management.DELETE("/contexts/:context_id", api.DeleteContext)
	management.POST("/contexts/:context_id/access-tokens", api.BrokerAccessToken)
	management.GET("/contexts/:context_id/usage", api.GetUsage)
	management.POST("/contexts/:context_id/lifecycle/decay", api.DecayContext)
	management.POST("/contexts/:context_id/lifecycle/reindex", api.ReindexContext)
}

func keyRoutes(management gin.IRoutes, api ServerInterfaceWrapper) {
	management.GET("/contexts/:context_id/keys", api.ListKeys)
	management.POST("/contexts/:context_id/keys/import", api.ImportKeys)
	management.POST("/contexts/:context_id/keys/:name", api.MintKey)
	management.PATCH("/contexts/:context_id/keys/:name", api.PatchKey)
	management.DELETE("/contexts/:context_id/keys/:name", api.DeleteKey)
	management.POST("/contexts/:context_id/keys/:name/rotate", api.RotateKey)
	management.GET("/keys/expiring", api.ListExpiringKeys)
	management.POST("/keys/lookup", api.LookupKeys)
	management.POST("/keys/revoke", api.RevokeKeys)
}

// principalRoutes are about principals, and the keys that are managed with them.
func principalRoutes(management gin.IRoutes, api ServerInterfaceWrapper) {
	management.GET("/contexts/:context_id/principals", api.ListPrincipals)
	management.POST("/contexts/:context_id/principals", api.CreatePrincipal)
	management.GET("/contexts/:context_id/principals/:principal_id", api.GetPrincipal)
	management.PATCH("/contexts/:context_id/principals/:principal_id", api.PatchPrincipal)
	management.DELETE("/contexts/:context_id/principals/:principal_id", api.DeletePrincipal)
	management.POST("/contexts/:context_id/principals/:principal_id/grants", api.AddGrants)
	management.DELETE("/contexts/:context_id/principals/:principal_id/grants", api.RemoveGrants)
	management.GET("/contexts/:context_id/principals/:principal_id/keys", api.ListPrincipalKeys)
	management.POST("/contexts/:context_id/principals/:principal_id/keys/:name", api.MintPrincipalKey)
	management.DELETE("/contexts/:context_id/principals/:principal_id/keys/:name", api.DeletePrincipalKey)
	management.POST("/contexts/:context_id/principals/:principal_id/keys/:name/rotate", api.RotatePrincipalKey)
}

func webhookRoutes(management gin.IRoutes, api ServerInterfaceWrapper) {
	management.GET("/webhooks", api.ListWebhooks)
	management.POST("/webhooks", api.CreateWebhook)
	management.GET("/webhooks/:webhook_id", api.GetWebhook)
	management.PATCH("/webhooks/:webhook_id", api.PatchWebhook)
	management.DELETE("/webhooks/:webhook_id", api.DeleteWebhook)
	management.POST("/webhooks/:webhook_id/rotate-secret", api.RotateWebhookSecret)
	management.POST("/webhooks/:webhook_id/test", api.TestWebhook)
	management.GET("/webhooks/:webhook_id/deliveries", api.ListWebhookDeliveries)
	management.POST("/webhooks/:webhook_id/deliveries/:message_id/redeliver", api.RedeliverWebhook)
}

// internal are the routes that are not in the document: contract/introspection describes them, and only our own services
// call them.
func (p Parts) internal(internal gin.IRoutes) {
	internal.POST(introspection.Path, p.introspect)
	internal.POST(introspection.LeasesPath, p.renewLease)
	internal.GET(introspection.WatchPath, p.watch)
	internal.POST(introspection.UsesPath, p.recordUses)
	internal.POST(introspection.BootstrapPath, p.bootstrap)
	internal.GET(introspection.PurgesPath, p.listPurges)
	internal.DELETE(introspection.PurgesPath+"/:incarnation", p.purgeDone)
	internal.POST(introspection.JobsPath, p.takeJobs)
	internal.DELETE(introspection.JobsPath+"/:id", p.jobDone)
	internal.GET(introspection.StandingPath, p.standing)
	internal.POST(introspection.FirstAccountPath, p.firstAccount)
}

// errands are the routes by which a service asks as a caller of the data plane.
func (p Parts) errands(errands gin.IRoutes) {
	errands.POST(introspection.ListKeysPath, run(p.Errands.ListKeys))
	errands.POST(introspection.MintKeyPath, run(p.Errands.MintKey))
	errands.POST(introspection.RotateKeyPath, run(p.Errands.RotateKey))
	errands.POST(introspection.DeleteKeyPath, run(p.deleteKey))
	errands.POST(introspection.ListPrincipalPath, run(p.Errands.ListPrincipals))
	errands.POST(introspection.GetPrincipalPath, run(p.Errands.GetPrincipal))
	errands.POST(introspection.EffectivePath, run(p.Errands.Effective))
	errands.POST(introspection.AddGrantsPath, run(p.Errands.AddGrants))
	errands.POST(introspection.RemoveGrantsPath, run(p.Errands.RemoveGrants))
	errands.POST(introspection.ListAccountsPath, run(p.Errands.ListAccounts))
	errands.POST(introspection.GetAccountPath, run(p.Errands.GetAccount))
	errands.POST(introspection.CreateAccountPath, run(p.Errands.CreateAccount))
	errands.POST(introspection.EditAccountPath, run(p.Errands.EditAccount))
	errands.POST(introspection.RevokeAccountPath, run(p.Errands.RevokeAccount))
	errands.POST(introspection.ListTokensPath, run(p.Errands.ListTokens))
	errands.POST(introspection.MintTokenPath, run(p.Errands.MintToken))
	errands.POST(introspection.RotateTokensPath, run(p.Errands.RotateTokens))
	errands.POST(introspection.RevokeTokenPath, run(p.Errands.RevokeToken))
}

// detach hands a handler a context that stays what it is. Gin uses its own again for another request, while the database's
// driver may still be watching it for the end of this one.
func detach(next StrictHandlerFunc, _ string) StrictHandlerFunc {
	return func(c *gin.Context, request any) (any, error) { return next(c.Copy(), request) }
}
