package httpapi

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gin-gonic/gin"
	"github.com/google/go-cmp/cmp"

	"github.com/spectron-hq/spectron/services/chassis/web"
	"github.com/spectron-hq/spectron/services/dataplane/internal/httpapi/door"
	"github.com/spectron-hq/spectron/services/dataplane/internal/httpapi/spl"
)

// beside are the routes that are not the documents': MCP, a document itself, and what is passed on to the key manager.
var beside = slices.Concat([]string{"/mcp", spl.DocumentPath, door.DocumentPath, "/api/v1/contexts/*rest", "/api/v1/webhooks/*rest", auditPath}, managementPaths)

func TestRoutesAreThoseOfTheDocuments(t *testing.T) {
	t.Parallel()
	var want []string
	for name, read := range map[string]func() (*openapi3.T, error){"openapi.yaml": GetSpec, "spl.yaml": spl.GetSpec, "doors.yaml": door.GetSpec} {
		spec, err := read()
		if err != nil {
			t.Fatal(err)
		}
		if err := spec.Validate(t.Context()); err != nil {
			t.Errorf("%s is not valid: %v", name, err)
		}
		for path, item := range spec.Paths.Map() {
			for method := range item.Operations() {
				want = append(want, method+" "+strings.NewReplacer("{", ":", "}", "").Replace(path))
			}
		}
	}
	engine, err := newEngine(Parts{MCP: http.NotFoundHandler(), Management: &url.URL{}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, route := range engine.Routes() {
		// What is under /v1/sync is there once more.
		if strings.HasPrefix(route.Path, "/v1/federation/sync/") {
			continue
		}
		// A proxy may ask by any method.
		if strings.HasPrefix(route.Path, "/verify") && route.Method != http.MethodGet {
			continue
		}
		route.Path = strings.Replace(route.Path, "/verify/*rest", "/verify/:rest", 1)
		if !slices.Contains(slices.Concat(beside, web.DocumentationRoutes), route.Path) {
			got = append(got, route.Method+" "+route.Path)
		}
	}
	for _, path := range slices.Concat(beside, web.DocumentationRoutes) {
		if !slices.ContainsFunc(engine.Routes(), func(route gin.RouteInfo) bool { return route.Path == path }) {
			t.Errorf("%s is an exception and no route", path)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("routes (-document +engine):\n%s", diff)
	}
}

func TestFingerprintsAreOfJSONNotOfBytes(t *testing.T) {
	t.Parallel()
	same := []any{
		map[string]any{"a": json.Number("1.0"), "b": []any{"x"}}, map[string]any{"b": []any{"x"}, "a": json.Number("1")},
	}
	first, err := fingerprintOf(same[0])
	if err != nil {
		t.Fatal(err)
	}
	second, err := fingerprintOf(same[1])
	if err != nil || first != second {
		t.Errorf("equal values differ: %v", err)
	}
	for _, other := range []any{nil, map[string]any{"a": 1, "b": []any{"x", "x"}}, map[string]any{"a": "1", "b": []any{"x"}}} {
		if sum, err := fingerprintOf(other); err != nil || sum == first {
			t.Errorf("%v has the same fingerprint, or none: %v", other, err)
		}
	}
	// Neighbours that are one double.
	even, err := fingerprintOf([]any{json.Number("9007199254740992")})
	if odd, other := fingerprintOf([]any{json.Number("9007199254740993")}); err != nil || other != nil || odd == even {
		t.Errorf("two integers have one fingerprint: %v, %v", err, other)
	}
}
