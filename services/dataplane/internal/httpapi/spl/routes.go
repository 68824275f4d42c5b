package spl

import (
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gin-gonic/gin"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/dataplane/internal/engineconfig"
)

// route is one row of the route table.
type route struct {
	method, path string
	// scope is what its token must have; empty where any token will do.
	scope grant.Verb
	// resource is what the permission rules know it as.
	resource engineconfig.Resource
	serve    gin.HandlerFunc
}

// routes is the whole route table of the face, but for what asks for no token. None of the scopes implies another, but admin all.
func routes(api ServerInterfaceWrapper) []route {
	const get, post, patch, remove = http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete
	return []route{
		{get, "/v1/health", "", daemonRead, api.GetDaemonHealth},
		{get, "/v1/capabilities", "", daemonRead, api.GetCapabilities},
		{get, "/v1/identity", "", daemonRead, api.GetIdentity},

		{get, "/v1/service-accounts", grant.Admin, accountRead, api.ListServiceAccounts},
		{post, "/v1/service-accounts", grant.Admin, accountWrite, api.CreateServiceAccount},
		{get, "/v1/service-accounts/:id", grant.Admin, accountRead, api.GetServiceAccount},
		{patch, "/v1/service-accounts/:id", grant.Admin, accountWrite, api.EditServiceAccount},
		{remove, "/v1/service-accounts/:id", grant.Admin, accountWrite, api.RevokeServiceAccount},
		{get, "/v1/service-accounts/:id/tokens", grant.Admin, accountRead, api.ListAccountTokens},
		{post, "/v1/service-accounts/:id/tokens", grant.Admin, accountWrite, api.MintToken},
		{post, "/v1/service-accounts/:id/tokens/rotate", grant.Admin, accountWrite, api.RotateTokens},
		{remove, "/v1/service-accounts/:id/tokens/:token_id", grant.Admin, accountWrite, api.RevokeToken},
		{get, "/v1/tokens", grant.Admin, accountRead, api.ListTokens},

		{get, "/v1/records", grant.RecordsRead, recordRead, api.ListRecords},
		{get, "/v1/records/:id", grant.RecordsRead, recordRead, api.GetRecord},
		{post, "/v1/records", grant.RecordsWrite, recordWrite, api.AppendRecord},
		{post, "/v1/records/query", grant.RecordsRead, recordRead, api.QueryRecords},
		{get, "/v1/threads", grant.RecordsRead, threadRead, api.ListThreads},
		{post, "/v1/threads", grant.ThreadsWrite, threadWrite, api.CreateThread},
		{get, "/v1/threads/:id", grant.RecordsRead, threadRead, api.GetThread},
		{remove, "/v1/threads/:id", grant.ThreadsWrite, threadWrite, api.DeleteThread},
		{get, "/v1/threads/:id/records", grant.RecordsRead, threadRead, api.ListThreadRecords},
		{get, "/v1/threads/:id/state", grant.RecordsRead, threadRead, api.GetThreadState},
		{get, "/v1/threads/:id/project", grant.RecordsRead, threadRead, api.ProjectThread},
		{get, "/v1/threads/:id/participants", grant.RecordsRead, threadRead, api.ListParticipants},

		{get, "/v1/config", grant.ConfigRead, configRead, api.GetEngineConfig},
		{post, "/v1/config/permissions", grant.ConfigWrite, configWrite, api.SwitchPermissions},
		{post, "/v1/config/auth-cors-origins", grant.ConfigWrite, configWrite, api.SetCORSOrigins},
		{get, "/v1/config/:kind", grant.ConfigRead, configRead, api.ListRules},
		{post, "/v1/config/:kind", grant.ConfigWrite, configWrite, api.SetRule},

		{get, "/v1/sync/changes", grant.FederationManage, federation, api.ListChanges},
		{post, "/v1/sync/records", grant.FederationManage, federation, api.PushRecords},
		{get, "/v1/sync/pairs", grant.FederationManage, federation, api.ListPairs},
		{post, "/v1/sync/pairs", grant.FederationManage, federation, api.CreatePair},
		{get, "/v1/sync/pairs/:id", grant.FederationManage, federation, api.GetPair},
		{remove, "/v1/sync/pairs/:id", grant.FederationManage, federation, api.DeletePair},
		{get, "/v1/sync/pairs/:id/stats", grant.FederationManage, federation, api.GetPairStats},
		{post, "/v1/sync/pairs/:id/:action", grant.FederationManage, federation, api.ActOnPair},
		{get, "/v1/sync/health", grant.FederationManage, federation, api.GetSyncHealth},
		{post, "/v1/federation/pair", grant.FederationManage, federation, api.FederationPair},
		{get, "/v1/federation/peers", grant.FederationManage, federation, api.ListPeers},
		{get, "/v1/discovery/mdns", grant.FederationManage, federation, api.ListDiscovered},
	}
}

const (
	manifestPath = "/.well-known/syncropel"
	healthPath   = "/health" // both faces have it
)

// within reports whether an escaped path belongs to this face, be there a route or not.
func within(path string) bool {
	return path == manifestPath || path == "/v1" || strings.HasPrefix(path, "/v1/")
}

// Codes gives the errors of this face their codes, for [web.Options].
func Codes(path string) web.Coding {
	if within(path) {
		return code
	}
	return nil
}

// mirrored is the path that a route is also served at, if there is one.
func mirrored(path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, "/v1/sync/")
	return "/v1/federation/sync/" + rest, ok
}

func (s server) mount(engine *gin.Engine, spec *openapi3.T) {
	api := ServerInterfaceWrapper{
		Handler: NewStrictHandlerWithOptions(s, []StrictMiddlewareFunc{detach}, StrictGinServerOptions{
			RequestErrorHandlerFunc:  web.RefuseBody,
			HandlerErrorFunc:         refuse,
			ResponseErrorHandlerFunc: web.Fail,
		}),
		ErrorHandler: web.RefuseParameter,
	}
	for path, item := range spec.Paths.Map() {
		if other, ok := mirrored(path); ok {
			spec.Paths.Set(other, item)
		}
	}
	validate := web.Validate(spec)
	engine.GET(manifestPath, api.GetManifest)
	engine.POST("/v1/bootstrap/service-account", s.refuseOtherPages, validate, api.BootstrapServiceAccount)
	for _, r := range routes(api) {
		handlers := append(s.stages(r), invalidAs(r), validate, s.confirm(r.scope), r.serve)
		engine.Handle(r.method, r.path, handlers...)
		if other, ok := mirrored(r.path); ok {
			engine.Handle(r.method, other, handlers...)
		}
	}
	engine.NoRoute(s.elsewhere, web.NoRoute)
	engine.NoMethod(s.elsewhere, web.NoMethod)
}

// invalidAs gives a route its own code for a body that is wrong.
func invalidAs(r route) gin.HandlerFunc {
	invalid := map[string]string{"POST /v1/records": "INVALID_RECORD", "POST /v1/records/query": "INVALID_QUERY"}[r.method+" "+r.path]
	return web.Codes(func(kind fault.Kind) string {
		if kind == fault.Invalid && invalid != "" {
			return invalid
		}
		return code(kind)
	})
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
