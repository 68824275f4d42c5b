// Package httpapi is the key manager on HTTP: the management API of api/openapi.yaml for operators, and the internal API of
// contract/introspection for other services. It promises that every route but health first asks who calls, and that every
// answer is one the document describes.
package httpapi

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	tracing "go.opentelemetry.io/otel/trace"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/grant"
	"github.com/spectron-hq/spectron/services/keymanager/internal/audit"
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
	Imports    *key.Importer
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
	Audit      audit.Store
	// Denials counts what is refused; nil counts nothing.
	Denials *audit.Denials
	Log     *slog.Logger
	// Origins are the pages that may call from a browser.
	Origins web.Origins
	// Proxies are those whose word about a client's address is taken.
	Proxies []netip.Prefix
	Metrics prometheus.Registerer
	Tracing tracing.TracerProvider
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
	engine := web.NewEngine(web.Options{
		Name: "spectron", Log: parts.Log, Metrics: parts.Metrics, Tracing: parts.Tracing, Origins: parts.Origins, TrustedProxies: parts.Proxies,
	})
	if err := web.Documentation(engine, spec); err != nil {
		return nil, err
	}
	parts.routes(engine, spec)
	return engine, nil
}

// GetHealth says that the process serves, and goes on serving.
func (Parts) GetHealth(ctx context.Context, _ GetHealthRequestObject) (GetHealthResponseObject, error) {
	return GetHealth200JSONResponse{HealthyJSONResponse{Status: "ok"}}, web.Healthy(ctx)
}

// GetLiveness says the same on the older path.
func (Parts) GetLiveness(ctx context.Context, _ GetLivenessRequestObject) (GetLivenessResponseObject, error) {
	return GetLiveness200JSONResponse{HealthyJSONResponse{Status: "ok"}}, web.Healthy(ctx)
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
