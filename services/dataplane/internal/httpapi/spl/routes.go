package spl

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
)

// route is one row of the route table. scope is what its token must have; empty where any token will do.
type route struct {
	method, path string
	scope        grant.Verb
	serve        gin.HandlerFunc
}

// routes is the whole route table of the face, but for what asks for no token. None of the scopes implies another, but admin all.
func routes(api ServerInterfaceWrapper) []route {
	const get, post, patch, remove = http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete
	return []route{
		{get, "/v1/health", "", api.GetDaemonHealth},
		{get, "/v1/capabilities", "", api.GetCapabilities},
		{get, "/v1/identity", "", api.GetIdentity},

		{get, "/v1/service-accounts", grant.Admin, api.ListServiceAccounts},
		{post, "/v1/service-accounts", grant.Admin, api.CreateServiceAccount},
		{get, "/v1/service-accounts/:id", grant.Admin, api.GetServiceAccount},
		{patch, "/v1/service-accounts/:id", grant.Admin, api.EditServiceAccount},
		{remove, "/v1/service-accounts/:id", grant.Admin, api.RevokeServiceAccount},
		{get, "/v1/service-accounts/:id/tokens", grant.Admin, api.ListAccountTokens},
		{post, "/v1/service-accounts/:id/tokens", grant.Admin, api.MintToken},
		{post, "/v1/service-accounts/:id/tokens/rotate", grant.Admin, api.RotateTokens},
		{remove, "/v1/service-accounts/:id/tokens/:token_id", grant.Admin, api.RevokeToken},
		{get, "/v1/tokens", grant.Admin, api.ListTokens},

		{get, "/v1/records", grant.RecordsRead, api.ListRecords},
		{get, "/v1/records/:id", grant.RecordsRead, api.GetRecord},
		{post, "/v1/records", grant.RecordsWrite, api.AppendRecord},
		{post, "/v1/records/query", grant.RecordsRead, api.QueryRecords},
		{get, "/v1/threads", grant.RecordsRead, api.ListThreads},
		{post, "/v1/threads", grant.ThreadsWrite, api.CreateThread},
		{get, "/v1/threads/:id", grant.RecordsRead, api.GetThread},
		{remove, "/v1/threads/:id", grant.ThreadsWrite, api.DeleteThread},
		{get, "/v1/threads/:id/records", grant.RecordsRead, api.ListThreadRecords},
		{get, "/v1/threads/:id/state", grant.RecordsRead, api.GetThreadState},
		{get, "/v1/threads/:id/project", grant.RecordsRead, api.ProjectThread},
		{get, "/v1/threads/:id/participants", grant.RecordsRead, api.ListParticipants},

		{get, "/v1/config", grant.ConfigRead, api.GetEngineConfig},
		{post, "/v1/config/permissions", grant.ConfigWrite, api.SwitchPermissions},
		{get, "/v1/config/:kind", grant.ConfigRead, api.ListRules},
		{post, "/v1/config/:kind", grant.ConfigWrite, api.SetRule},

		{get, "/v1/sync/changes", grant.FederationManage, api.ListChanges},
		{post, "/v1/sync/records", grant.FederationManage, api.PushRecords},
		{get, "/v1/sync/pairs", grant.FederationManage, api.ListPairs},
		{post, "/v1/sync/pairs", grant.FederationManage, api.CreatePair},
		{get, "/v1/sync/pairs/:id", grant.FederationManage, api.GetPair},
		{remove, "/v1/sync/pairs/:id", grant.FederationManage, api.DeletePair},
		{get, "/v1/sync/pairs/:id/stats", grant.FederationManage, api.GetPairStats},
		{post, "/v1/sync/pairs/:id/:action", grant.FederationManage, api.ActOnPair},
		{get, "/v1/sync/health", grant.FederationManage, api.GetSyncHealth},
		{post, "/v1/federation/pair", grant.FederationManage, api.FederationPair},
		{get, "/v1/federation/peers", grant.FederationManage, api.ListPeers},
		{get, "/v1/discovery/mdns", grant.FederationManage, api.ListDiscovered},
	}
}

func (s server) mount(engine *gin.Engine, validate gin.HandlerFunc) {
	api := ServerInterfaceWrapper{
		Handler: NewStrictHandlerWithOptions(s, []StrictMiddlewareFunc{detach}, StrictGinServerOptions{
			RequestErrorHandlerFunc:  web.RefuseBody,
			HandlerErrorFunc:         web.Fail,
			ResponseErrorHandlerFunc: web.Fail,
		}),
		ErrorHandler: web.RefuseParameter,
	}
	face := engine.Group("", web.Codes(code))
	face.GET("/.well-known/syncropel", api.GetManifest)
	face.POST("/v1/bootstrap/service-account", validate, api.BootstrapServiceAccount)
	for _, r := range routes(api) {
		face.Handle(r.method, r.path, validate, r.serve)
	}
}

// code is the code of an error that has none of its own.
func code(kind fault.Kind) string {
	switch kind { //nolint:exhaustive // the others are this server's faults
	case fault.Invalid:
		return "INVALID_REQUEST"
	case fault.Unauthenticated:
		return "AUTH_INVALID"
	case fault.Forbidden:
		return "SCOPE_FORBIDDEN"
	case fault.NotFound:
		return "NOT_FOUND"
	case fault.MethodNotAllowed:
		return "METHOD_NOT_ALLOWED"
	case fault.Conflict, fault.AlreadyDone:
		return "CONFLICT"
	case fault.TooLarge:
		return "PAYLOAD_TOO_LARGE"
	case fault.UnsupportedMedia:
		return "UNSUPPORTED_MEDIA_TYPE"
	case fault.Unprocessable:
		return "UNPROCESSABLE"
	case fault.RateLimited:
		return "RATE_LIMITED"
	case fault.NotSupported:
		return "NOT_SUPPORTED"
	case fault.Unavailable, fault.AuthorityUnavailable:
		return "UNAVAILABLE"
	default:
		return "INTERNAL"
	}
}

// detach hands a handler a context that stays what it is. Gin uses its own again for another request, while the database's
// driver may still be watching it for the end of this one.
func detach(next StrictHandlerFunc, _ string) StrictHandlerFunc {
	return func(c *gin.Context, request any) (any, error) { return next(c.Copy(), request) }
}
