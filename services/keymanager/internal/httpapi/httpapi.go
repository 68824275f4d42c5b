// Package httpapi is the key manager on HTTP: the management API of api/openapi.yaml for operators, and the internal API of
// contract/introspection for other services. It promises that every route but health first asks who calls, and that every
// answer is one the document describes.
package httpapi

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/keymanager/internal/deployment"
	"github.com/spectron-hq/spectron/services/keymanager/internal/errand"
	"github.com/spectron-hq/spectron/services/keymanager/internal/hook"
	"github.com/spectron-hq/spectron/services/keymanager/internal/key"
	"github.com/spectron-hq/spectron/services/keymanager/internal/principal"
	"github.com/spectron-hq/spectron/services/keymanager/internal/revision"
	"github.com/spectron-hq/spectron/services/keymanager/internal/secret"
	"github.com/spectron-hq/spectron/services/keymanager/internal/serviceaccount"
	"github.com/spectron-hq/spectron/services/keymanager/internal/tenant"
)

// Parts is what the API is made of. Log and Metrics may be nil, as in web.Options.
type Parts struct {
	Contexts   *tenant.Registry
	Purges     *tenant.Purger
	Jobs       *tenant.Jobs
	Principals *principal.Registry
	Keys       *key.Registry
	Judge      *key.Judge
	Uses       *key.Uses
	Leaks      *key.Leaks
	Hooks      *hook.Registry
	Errands    *errand.Desk
	Accounts   *serviceaccount.Founder
	Leases     *revision.Leases
	Feed       *revision.Feed
	Founder    *deployment.Founder
	Services   *secret.ServiceTokens
	Log        *slog.Logger
	// Origins are the pages that may call from a browser.
	Origins web.Origins
	Metrics prometheus.Registerer
}

// New returns the handler of all routes.
func New(parts Parts) (http.Handler, error) {
	engine, err := newEngine(parts)
	if err != nil {
		return nil, err
	}
	return web.Handler(engine), nil
}

func newEngine(parts Parts) (*gin.Engine, error) {
	spec, err := GetSpec()
	if err != nil {
		return nil, fmt.Errorf("loading the API document: %w", err)
	}
	engine := web.NewEngine(web.Options{Name: "spectron", Log: parts.Log, Metrics: parts.Metrics, Origins: parts.Origins})
	if err := web.Documentation(engine, spec); err != nil {
		return nil, err
	}
	parts.routes(engine, spec)
	return engine, nil
}

// GetHealth says that the process serves.
func (Parts) GetHealth(context.Context, GetHealthRequestObject) (GetHealthResponseObject, error) {
	return GetHealth200JSONResponse{HealthyJSONResponse{Status: "ok"}}, nil
}

// GetLiveness says the same on the older path.
func (Parts) GetLiveness(context.Context, GetLivenessRequestObject) (GetLivenessResponseObject, error) {
	return GetLiveness200JSONResponse{HealthyJSONResponse{Status: "ok"}}, nil
}

// ListVerbs lists what grants can allow.
func (Parts) ListVerbs(context.Context, ListVerbsRequestObject) (ListVerbsResponseObject, error) {
	verbs := grant.Verbs()
	out := make(ListVerbs200JSONResponse, len(verbs))
	for i, verb := range verbs {
		out[i] = Verb{Verb: string(verb), Description: verb.Description()}
	}
	return out, nil
}
