// Package door is what lets other software ask about keys without a library, as api/doors.yaml describes it: token introspection
// (RFC 7662), forward authentication for proxies, and the public keys of the assertions that these hand on.
//
// It promises that every question is put to the verifier that all other routes ask, so that a revoked key is refused here from the
// next question on; that nothing passes while the authority cannot be asked; that nobody learns anything about keys of another
// context than its own; and that neither bodies nor queries of clients are looked at where a proxy asks.
package door

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/contract/fault"
	"github.com/spectron-hq/spectron/services/dataplane/internal/assertion"
	"github.com/spectron-hq/spectron/services/verifier"
)

// Parts is what the doors are made of.
type Parts struct {
	// Authenticate tells what the key is worth that a request shows, as on all routes: whom it acts for and where it comes from included.
	Authenticate func(c *gin.Context, key string) (verifier.Verdict, error)
	// Check tells what a key is worth that is not the request's own.
	Check func(ctx context.Context, key string) (verifier.Verdict, error)
	// Signer signs assertions; nil where they are off.
	Signer *assertion.Signer
	// Issuer is who answers, for introspections; empty is not told.
	Issuer string
	Now    func() time.Time
	// Metrics counts the answers; nil does not.
	Metrics prometheus.Registerer
}

// DocumentPath is where the API document of the doors is served, to everybody.
const DocumentPath = "/openapi-doors.json"

const (
	introspectPath = "/oauth2/introspect"
	verifyPath     = "/verify"
	keysPath       = "/.well-known/jwks.json"
)

// methods are those by which a proxy may ask whether a request passes: whatever the client's own one is.
var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodTrace,
	"PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH", "QUERY",
}

// Mount adds the routes of the doors to engine.
func Mount(engine *gin.Engine, parts Parts) error {
	spec, err := GetSpec()
	if err != nil {
		return fmt.Errorf("loading the API document of the doors: %w", err)
	}
	if err := web.Document(engine, DocumentPath, spec); err != nil {
		return err
	}
	s := server{Parts: parts, answers: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "spectron_door_requests_total",
		Help: "Questions by door (introspect, verify) and outcome: active, inactive or allowed, or the slug of the problem that was answered.",
	}, []string{"door", "outcome"})}
	if parts.Metrics != nil {
		if err := s.register(); err != nil {
			return fmt.Errorf("registering the metrics of the doors: %w", err)
		}
	}
	engine.POST(introspectPath, s.introspect)
	engine.GET(keysPath, s.keys)
	engine.Match(methods, verifyPath, s.verify)
	engine.Match(methods, verifyPath+"/*rest", s.verify)
	return nil
}

// Within reports whether r is a question of a proxy. What a browser asks before it calls another site's page
// is the client's there, and must not be answered as if it were asked of this server: that would be leave to pass.
func Within(r *http.Request) bool {
	return r.URL.Path == verifyPath || strings.HasPrefix(r.URL.Path, verifyPath+"/")
}

// server answers at the doors.
type server struct {
	Parts

	answers *prometheus.CounterVec
}

func (s server) register() error {
	if err := s.Metrics.Register(s.answers); err != nil {
		return err
	}
	return s.Metrics.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "spectron_assertion_keys", Help: "Keys that are published to check assertions; 0 where these are off.",
	}, func() float64 {
		if s.Signer == nil {
			return 0
		}
		_, n := s.Signer.Keys()
		return float64(n)
	}))
}

// outcome is how err is counted.
func outcome(err error) string { return fault.KindOf(err).String() }

// none is the set of keys where there are none.
const none = `{"keys":[]}`

// defaultMaxAge is how long a set may be kept that nobody will change.
const defaultMaxAge = 5 * time.Minute

func (s server) keys(c *gin.Context) {
	set, age := []byte(none), defaultMaxAge
	if s.Signer != nil {
		set, _ = s.Signer.Keys()
		age = s.Signer.MaxAge()
	}
	c.Header("Cache-Control", fmt.Sprintf("public, max-age=%d", int(age.Seconds())))
	c.Data(http.StatusOK, "application/json", set)
}
