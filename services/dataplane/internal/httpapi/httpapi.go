// Package httpapi is the data plane on HTTP: the REST surface of api/openapi.yaml, /mcp beside it, and the management API
// passed on to the key manager. It promises that every route of its own but health first asks who calls, that a key opens no
// context but its own, and that every answer is one the document describes.
package httpapi

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	tracing "go.opentelemetry.io/otel/trace"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/dataplane/internal/entity"
	"github.com/spectron-hq/spectron/services/dataplane/internal/httpapi/door"
	"github.com/spectron-hq/spectron/services/dataplane/internal/httpapi/spl"
	"github.com/spectron-hq/spectron/services/dataplane/internal/lifecycle"
	"github.com/spectron-hq/spectron/services/dataplane/internal/memory"
	"github.com/spectron-hq/spectron/services/dataplane/internal/reflection"
	"github.com/spectron-hq/spectron/services/dataplane/internal/scopetree"
	"github.com/spectron-hq/spectron/services/dataplane/internal/session"
	"github.com/spectron-hq/spectron/services/dataplane/internal/trace"
	"github.com/spectron-hq/spectron/services/verifier"
	"github.com/spectron-hq/spectron/services/verifier/admission"
)

// Verifier tells what a key is worth.
type Verifier interface {
	// Check returns the caller that key stands for, and how that is known; fault.Unauthenticated for every key that opens
	// nothing, or fault.AuthorityUnavailable when that cannot be known.
	Check(ctx context.Context, key string) (verifier.Verdict, error)
	// CheckOnBehalf does the same for a key that acts for another principal of its context; fault.Forbidden when there is no
	// such principal.
	CheckOnBehalf(ctx context.Context, key, target string) (verifier.Verdict, error)
	// Recheck does either, as there is a target or not, once more for a request that was let pass: it is no other use of the key.
	Recheck(ctx context.Context, key, target string) (verifier.Verdict, error)
}

// Parts is what the API is made of. Log and Metrics may be nil, as in web.Options.
type Parts struct {
	Verifier Verifier
	// Gate holds keys to their limits.
	Gate        *admission.Gate
	Keys        Keys
	Principals  Principals
	Memory      *memory.Service
	Scopes      *scopetree.Tree
	Sessions    *session.Service
	Entities    *entity.Service
	Reflections *reflection.Service
	Lifecycle   *lifecycle.Service
	Traces      *trace.Log
	Limits      Limits
	// MCP serves /mcp to callers that have been authenticated.
	MCP http.Handler
	// Management is where the key manager is, and ToManagement what carries requests there. Without Management, its routes are
	// not served.
	Management   *url.URL
	ToManagement http.RoundTripper
	// Spl is the other face.
	Spl spl.Parts
	// Door is how other software asks about keys. Whom to ask it is told here.
	Door door.Parts
	// Version is what health tells.
	Version string
	// Origins are the pages that may call from a browser.
	Origins web.Origins
	// Proxies are those whose word about a client's address is taken.
	Proxies []netip.Prefix
	Log     *slog.Logger
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
		Name: "spectron", Log: parts.Log, Metrics: parts.Metrics, Tracing: parts.Tracing, Origins: parts.Origins, ElsewhereCORS: parts.elsewhere, Codes: spl.Codes,
		MoreOrigins:    parts.Spl.Pages,
		TrustedProxies: parts.Proxies,
	})
	if err := web.Documentation(engine, spec); err != nil {
		return nil, err
	}
	parts.routes(engine, spec)
	if err := spl.Mount(engine, parts.Spl); err != nil {
		return nil, err
	}
	if err := door.Mount(engine, parts.door()); err != nil {
		return nil, err
	}
	return engine, nil
}

// GetHealth says that the process serves, and goes on serving.
func (p Parts) GetHealth(ctx context.Context, _ GetHealthRequestObject) (GetHealthResponseObject, error) {
	return GetHealth200JSONResponse{HealthyJSONResponse{Status: HealthStatusOk, Version: p.Version}}, web.Healthy(ctx)
}

// GetLiveness says the same on the older path.
func (p Parts) GetLiveness(ctx context.Context, _ GetLivenessRequestObject) (GetLivenessResponseObject, error) {
	return GetLiveness200JSONResponse{HealthyJSONResponse{Status: HealthStatusOk, Version: p.Version}}, web.Healthy(ctx)
}
